"""`reconcile plan`, which also is `reconcile apply --dry-run`.

It is given a `Reader`, and so has nothing to write with.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.applying.hold import active
from reconciler.cli.common import (
    CHANGES,
    DONE,
    ERROR,
    directory_argument,
    open_reader,
    print_diagnostics,
    print_json,
    state_directory,
    tell_interrupted,
    tells_errors,
)
from reconciler.cli.formats import FINDINGS, plan_format_option, print_findings, print_rendered
from reconciler.cli.guardrails import guardrail_options, tell_findings
from reconciler.cli.inputs import inputs_of, inputs_options
from reconciler.cli.saved import save, show
from reconciler.cli.selecting import prune_of, prune_options, selection_of, selection_options
from reconciler.declared.remarks import not_enforced
from reconciler.pipeline import Planned, Rejected, guarded, plan_directory
from reconciler.rendering.diagnostics import diagnostics_json
from reconciler.rendering.guardrails_json import guardrails_json
from reconciler.rendering.plan_json import plan_json
from reconciler.targets.target import Reader

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard


class _PlanOrShow(click.Command):
    """`plan DIR`, and `plan show FILE`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """A directory that is called "show" is written ./show."""
        if args[:1] == ["show"] and len(args) > 1:
            return show.make_context(f"{info_name} show", args[1:], parent=parent, **extra)
        return super().make_context(info_name, args, parent=parent, **extra)


@click.command(cls=_PlanOrShow)
@directory_argument
@inputs_options
@selection_options
@prune_options
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the plan, for `reconcile apply FILE`: that does this and nothing else.",
)
@guardrail_options
@plan_format_option
@click.pass_context
@tells_errors
def plan(ctx: click.Context, directory: Path, out: Path | None, guard: Guard, output: str) -> int:
    """Show what apply would do: every field that changes, what restarts and why, how many sessions feel it.

    The plan is held against the policies in DIR/policies and those of --policies; docs/guardrails.md explains them.

    Nothing is written. Exit code 0: nothing to do; 2: changes; 1: an error, or a guardrail stands against it.

    \b
      reconcile plan examples/quickstart
      reconcile plan --format json estate/ > plan.json
      reconcile plan --only 'ImapSettings/*' --exclude server=ex02 estate/
      reconcile plan --out change.plan estate/         then: reconcile apply change.plan
      reconcile plan show change.plan
    """
    return show_plan(ctx, directory, output, guard=guard, out=out)


def show_plan(
    ctx: click.Context, directory: Path, output: str, *, guard: Guard, out: Path | None = None
) -> int:
    """Plan with a reader, print, save it to `out` if that is asked for, and return the exit code."""
    with open_reader(ctx) as reader:
        planned = plan_or_tell(ctx, directory, reader, output=output, guard=guard)
        if planned is not None and out is not None:
            save(
                planned,
                reader,
                directory,
                out,
                guard=replace(guard, environment=inputs_of(ctx).environment),
            )
    if planned is None:
        return ERROR
    if output not in FINDINGS:
        print_diagnostics(tuple(not_enforced(planned.desired)), {})
    tell_interrupted(ctx)
    print_plan(planned, output)
    return exit_code(planned)


def plan_or_tell(
    ctx: click.Context, directory: Path, reader: Reader, *, output: str, guard: Guard | None = None
) -> Planned | None:
    """The plan, held against the policies that `guard` asks for; or None, when the files are broken and that has been
    told. Without a `guard` nobody will apply it, so it may say what an apply refuses."""
    planned = plan_directory(
        directory,
        reader,
        cache=state_directory(ctx).cache,
        inputs=inputs_of(ctx),
        selection=selection_of(ctx),
        prune=prune_of(ctx),
        holds=active(state_directory(ctx).holds),
        only_looks=guard is None,
    )
    if guard is not None:
        planned = guarded(planned, directory, replace(guard, environment=inputs_of(ctx).environment))
    if output == "json" and isinstance(planned, Rejected):
        print_json(diagnostics_json(planned.diagnostics))
        return None
    if output in FINDINGS and isinstance(planned, Rejected):
        print_findings(planned.diagnostics, output, what="plan")
        return None
    print_diagnostics(planned.diagnostics, planned.sources)
    if isinstance(planned, Rejected):
        return None
    tell_findings(planned)
    return planned


def print_plan(planned: Planned, output: str) -> None:
    """For people or for programs."""
    if output == "json":
        print_json({**plan_json(planned.plan), "guardrails": guardrails_json(planned.judged.verdict)})
    else:
        print_rendered(planned.plan, output, (*planned.diagnostics, *planned.judged.verdict.diagnostics))


def exit_code(planned: Planned) -> int:
    """2 for changes; 1 when a guardrail stands against the plan, or when part of the live state could not be read,
    which is not the same as nothing to do."""
    if planned.judged.verdict.is_blocking:
        return ERROR
    if not planned.plan.is_empty:
        return CHANGES
    return ERROR if planned.plan.unreadable else DONE
