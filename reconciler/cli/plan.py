"""`reconcile plan`, which also is `reconcile apply --dry-run`.

It is given a `Reader`, and so has nothing to write with. Where digests show that there is nothing to do, nothing more
is imported or read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.applying.hold import active
from reconciler.cli.common import (
    DONE,
    directory_argument,
    open_reader,
    print_diagnostics,
    state_directory,
    tell_interrupted,
    tells_errors,
)
from reconciler.cli.environment import switch_option
from reconciler.cli.formats import FINDINGS, plan_format_option, print_judged
from reconciler.cli.guardrails import guardrail_options
from reconciler.cli.inputs import ahead_of, inputs_of, inputs_options
from reconciler.cli.selecting import is_everything, prune_options, selection_options
from reconciler.declared.outline import Outline
from reconciler.settled import empty_plan, outline_file, settled
from reconciler.verdict import UNJUDGED

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard


class _PlanOrShow(click.Command):
    """`plan DIR`, and `plan show FILE`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """A directory that is called "show" is written ./show."""
        if args[:1] == ["show"] and len(args) > 1:
            from reconciler.cli.saved import show

            return show.make_context(f"{info_name} show", args[1:], parent=parent, **extra)
        return super().make_context(info_name, args, parent=parent, **extra)


@click.command(cls=_PlanOrShow)
@directory_argument
@inputs_options
@switch_option
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
    state = state_directory(ctx)
    is_whole = is_everything(ctx) and out is None and not guard.policies and not active(state.holds)
    outline = outline_file(state.cache, directory, inputs_of(ctx)) if is_whole else None
    with open_reader(ctx) as reader:
        if outline is not None and (found := settled(outline, reader)) is not None:
            return _tell_settled(ctx, found, output)
        ahead_of(ctx, directory)  # goes on while the models are imported, which an estate at rest spares
        from reconciler.cli.planning import show_whole

        return show_whole(ctx, directory, reader, output=output, guard=guard, out=out, outline=outline)


def _tell_settled(ctx: click.Context, outline: Outline, output: str) -> int:
    """What `show_whole` says of a plan without changes."""
    if output not in FINDINGS:
        print_diagnostics(outline.remarks, {})
    tell_interrupted(ctx)
    print_judged(empty_plan(outline), UNJUDGED, output, outline.remarks)
    return DONE
