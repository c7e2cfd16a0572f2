"""`reconcile rollback --to N`: live values as they were right after an entry of the history."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.applying.apply import Special
from reconciler.applying.history import Author, entry
from reconciler.applying.hold import active
from reconciler.applying.journal import unfinished
from reconciler.applying.lock import apply_lock
from reconciler.applying.past import plan_return
from reconciler.cli.common import (
    DONE,
    ERROR,
    current_user,
    open_reader,
    open_target,
    state_directory,
    tell_interrupted,
    tells_errors,
)
from reconciler.cli.environment import back_at
from reconciler.cli.guarded import judged_return
from reconciler.cli.guardrails import guardrail_options, refuse_blocked, tell_findings
from reconciler.cli.inputs import inputs_options
from reconciler.cli.planning import exit_code, print_plan
from reconciler.cli.running import Run, apply_format_option, parallelism_option
from reconciler.cli.saved import estate_option, refuse_incomplete
from reconciler.cli.selecting import delete_option, prune_of
from reconciler.expected import ExpectedError
from reconciler.model import Position
from reconciler.pipeline import Planned
from reconciler.targets.target import Reader

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard

NO_ANSWER = (
    "rollback asks before it changes anything, and there is no terminal to ask on: "
    "pass --yes to do what is shown above, or --dry-run to look only"
)


@click.command()
@click.option(
    "--to", "number", type=click.IntRange(min=1), required=True, metavar="N", help="The entry to go back to."
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and stop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@delete_option
@estate_option
@inputs_options
@guardrail_options
@parallelism_option
@apply_format_option
@click.pass_context
@tells_errors
def rollback(
    ctx: click.Context,
    *,
    number: int,
    dry_run: bool,
    yes: bool,
    estate: Path | None,
    guard: Guard,
    parallelism: int,
    output: str,
) -> int:
    """Bring live values back to what they were right after history entry N, passwords included.

    What was changed since is restored, what an apply made since is deleted, what was deleted since comes back;
    resources that are held stay. Deletions have the limits of `plan --prune`, and one that is not allowed refuses the
    whole. It is shown, held against guardrails and asked for like any plan, restarts and probes what it touches, and is
    taken back when a probe fails. The policies are those that the newest apply of a directory was held against, and
    what --policies adds. The files still say what they said: the next apply brings their values again, so revert them
    too.

    \b
      reconcile history
      reconcile rollback --to 3 --dry-run
      reconcile rollback --to 3
      reconcile rollback --to 3 --delete Mailbox/carol

    Exit code 0: done, or nothing to do; 1: an error (with --dry-run 2: there are changes).
    """
    state = state_directory(ctx)
    if dry_run or not (yes or sys.stdin.isatty()):
        with open_reader(ctx) as reader:
            planned, _ = _planned(ctx, reader, number, guard=guard, estate=estate)
        return _look(ctx, planned, output, refuses=not dry_run)
    state.make()
    author = Author(current_user())
    run = Run(output=output, parallelism=parallelism)
    with open_target(ctx) as target, apply_lock(state.apply_lock, actor=author.user):
        applier = run.applier(target, state, author)
        run.settle(applier)
        planned, special = _planned(ctx, target, number, guard=guard, estate=estate)
        if planned.plan.is_empty or output != "json":  # which has it in the report, unless there will be none
            print_plan(planned, output)
        if planned.plan.is_empty:
            return DONE
        refuse_blocked(planned)
        refuse_incomplete(planned.plan)
        if not _is_agreed(yes=yes):
            return ERROR
        return run.carry_out(applier, planned, special=special)


def _planned(
    ctx: click.Context, reader: Reader, number: int, *, guard: Guard, estate: Path | None
) -> tuple[Planned, Special]:
    """The way back, held against guardrails; what stands against it is told."""
    state = state_directory(ctx)
    found, history = entry(state.history, number), _shown(state.history)
    back = plan_return(found, reader, history=history, holds=active(state.holds), named=prune_of(ctx).named)
    environment, note = back_at(state.history, number)
    plan = replace(back.plan, environment=environment, note=note)
    planned = Planned(back.desired, back.live, plan, (), {}, {})
    planned = judged_return(ctx, planned, guard, estate, elsewhere=Position(history, number, 1))
    tell_findings(planned)
    from_where = {"environment": environment} if environment else {}
    return planned, Special(back.restores, {"rollbackTo": number, **from_where})


def _shown(path: Path) -> Path:
    """As short as it can be said from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _look(ctx: click.Context, planned: Planned, output: str, *, refuses: bool) -> int:
    """Show it and no more. `refuses`: somebody wants it done, and there is nobody to ask."""
    tell_interrupted(ctx)
    print_plan(planned, output)
    code = exit_code(planned)
    is_idle = code == DONE and not unfinished(state_directory(ctx).journals)
    if refuses and code != ERROR and not is_idle:
        raise ExpectedError(NO_ANSWER)
    return code


def _is_agreed(*, yes: bool) -> bool:
    if yes:
        return True
    if click.confirm("Go back to this?", default=False, err=True):
        return True
    click.echo("Nothing was changed.", err=True)
    return False
