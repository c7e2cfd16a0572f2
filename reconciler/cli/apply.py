"""`reconcile apply`: show the plan, ask, do it, say what became of each step."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.applying.apply import Special
from reconciler.applying.journal import unfinished
from reconciler.applying.lock import apply_lock
from reconciler.cli.common import (
    DONE,
    ERROR,
    current_author,
    open_target,
    print_note,
    state_directory,
    tells_errors,
)
from reconciler.cli.environment import (
    asks_to_switch,
    refuse_other_choice,
    refuse_other_environment,
    refuse_saved_elsewhere,
    switch_option,
    switch_to,
)
from reconciler.cli.guarded import origin_of, origin_of_saved, planned_again
from reconciler.cli.guardrails import guardrail_options, refuse_blocked, tell_findings
from reconciler.cli.inputs import inputs_of, inputs_options
from reconciler.cli.plan import show_plan
from reconciler.cli.planning import exit_code, plan_or_tell, print_plan, tell_remarks
from reconciler.cli.running import Run, apply_format_option, parallelism_option
from reconciler.cli.saved import (
    admitted,
    estate_option,
    refuse_incomplete,
    refuse_options,
    tell_already,
    used_plans,
)
from reconciler.cli.selecting import prune_options, selection_options
from reconciler.expected import ExpectedError
from reconciler.pipeline import Planned
from reconciler.saved import document

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard

NO_ANSWER = (
    "apply asks before it changes anything, and there is no terminal to ask on: "
    "pass --yes to apply the plan above, or --dry-run to look only"
)


@click.command()
@click.argument("directory", metavar="DIR|FILE", type=click.Path(exists=True, path_type=Path))
@inputs_options
@switch_option
@selection_options
@prune_options
@estate_option
@click.option("--dry-run", is_flag=True, help="Show the plan and stop: the same as `reconcile plan`.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@guardrail_options
@parallelism_option
@apply_format_option
@click.pass_context
@tells_errors
def apply(
    ctx: click.Context,
    directory: Path,
    *,
    estate: Path | None,
    dry_run: bool,
    yes: bool,
    guard: Guard,
    parallelism: int,
    output: str,
) -> int:
    """Make the live mail servers what the files of DIR say, and restart only what has to be.

    Given a FILE of `reconcile plan --out`, it does what that plan says, without asking, or refuses: when live values
    have moved, when the plan was edited or used before, or was made for another runtime, when what it changes is held,
    or when a guardrail stands against it now.

    Every write compares the live revision with the planned one. Each touched service is probed with a real logon; if a
    write, a restart or a probe fails, the previous values come back. An apply that was killed is finished or rolled
    back before the new one is planned. Ctrl-C ends after the current step and takes back what was written; a second
    one leaves at once.

    A plan that a guardrail of severity error stands against is not applied, unless it is waived. Nor is one of another
    environment than the last that was applied to this state.

    \b
      reconcile apply examples/quickstart             shows the plan and asks
      reconcile apply --yes estate/                   for scripts
      reconcile apply --dry-run --format json estate/
      reconcile apply change.plan                     what `reconcile plan --out change.plan` saved

    Exit code 0: done, or nothing to do; 1: an error (with --dry-run 2: there are changes).
    """
    if directory.is_file():
        if dry_run:
            raise ExpectedError(f"a saved plan is looked at with `reconcile plan show {directory}`")
        run = Run(output=output, parallelism=parallelism)
        return apply_saved(ctx, directory, estate=estate, run=run, guard=guard)
    if dry_run:
        return show_plan(ctx, directory, output, guard=guard)
    if not (yes or sys.stdin.isatty()):
        return _refuse(ctx, directory, output, guard=guard)
    inputs_of(ctx)  # refuses two environments, before anything is settled
    state = state_directory(ctx)
    state.make()
    author = current_author(directory)
    run = Run(output=output, parallelism=parallelism)
    with open_target(ctx) as target, apply_lock(state.apply_lock, actor=author.user):
        applier = run.applier(target, state, author)
        run.settle(applier)
        planned = plan_or_tell(ctx, directory, target, output=output, guard=guard)
        if planned is None:
            return ERROR
        tell_remarks(planned, directory, output)
        if not _is_agreed(ctx, directory, planned, output=output, yes=yes):
            return exit_code(planned) if planned.plan.is_empty else ERROR
        origin = origin_of(replace(guard, environment=inputs_of(ctx).environment), directory)
        return run.carry_out(applier, planned, special=Special(origin=origin))


def apply_saved(ctx: click.Context, file: Path, *, estate: Path | None, run: Run, guard: Guard) -> int:
    """Carry a saved plan out, or refuse it as a whole."""
    refuse_options(ctx)
    saved = document.read(file, estate=estate)
    refuse_other_choice(ctx, saved.guarding.environment)
    state = state_directory(ctx)
    state.make()
    author = current_author(saved.origin.estate)
    with open_target(ctx) as target, apply_lock(state.apply_lock, actor=author.user):
        applier = run.applier(target, state, author)
        run.settle(applier)
        remaining, live = admitted(ctx, saved, target)
        planned = planned_again(saved, remaining, live, guard, file=file)
        tell_already(remaining)
        tell_findings(planned)
        _show(planned, output=run.output)
        if remaining.plan.is_empty:
            if asks_to_switch(ctx):
                click.echo("This plan does nothing, so the state was given to no environment.", err=True)
            return DONE
        refuse_blocked(planned)
        refuse_saved_elsewhere(ctx, environment=saved.guarding.environment, made=saved.origin.made)
        used_plans(state).use(saved.digest, by=author.user)
        return run.carry_out(applier, planned, special=Special(origin=origin_of_saved(saved, guard)))


def _is_agreed(ctx: click.Context, directory: Path, planned: Planned, *, output: str, yes: bool) -> bool:
    """Show the plan; true when there is something to do and the user wants it: changes, or another environment."""
    gets_it = switch_to(ctx, directory) if planned.plan.is_empty else None
    _show(planned, output=output, has_report=gets_it is not None)
    if planned.plan.is_empty and gets_it is None:
        return False
    refuse_blocked(planned)
    refuse_incomplete(planned.plan)
    refuse_other_environment(ctx, directory)
    if gets_it is not None:
        print_note(f"With this plan the state is given to {gets_it}.")
    if yes or click.confirm("Apply this plan?", default=False, err=True):
        return True
    click.echo("Nothing was changed.", err=True)
    return False


def _refuse(ctx: click.Context, directory: Path, output: str, *, guard: Guard) -> int:
    """Without --yes and without a terminal: look, and refuse unless there is nothing to do."""
    code = show_plan(ctx, directory, output, guard=guard)
    if code == DONE and not unfinished(state_directory(ctx).journals) and not switch_to(ctx, directory):
        return DONE
    if code == ERROR:
        return ERROR
    raise ExpectedError(NO_ANSWER)


def _show(planned: Planned, *, output: str, has_report: bool = False) -> None:
    """Before it is carried out; as JSON the plan is a part of the report, unless there will be none."""
    if output != "json" or (planned.plan.is_empty and not has_report):
        print_plan(planned, output)
