"""`reconcile plan`, which also is `reconcile apply --dry-run`.

It is given a `Reader`, and so has nothing to write with.
"""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.common import (
    CHANGES,
    DONE,
    ERROR,
    directory_argument,
    format_option,
    open_reader,
    print_diagnostics,
    print_json,
    print_text,
    state_directory,
    tell_interrupted,
    tells_errors,
    terminal_width,
    uses_colour,
)
from reconciler.model import Plan
from reconciler.pipeline import Planned, Rejected, plan_directory
from reconciler.rendering.diagnostics import diagnostics_json
from reconciler.rendering.plan_json import plan_json
from reconciler.rendering.plan_text import render_plan_text
from reconciler.targets.target import Reader


@click.command()
@directory_argument
@format_option
@click.pass_context
@tells_errors
def plan(ctx: click.Context, directory: Path, output: str) -> int:
    """Show what apply would do: every field that changes, what restarts and why, how many sessions feel it.

    Nothing is written. Exit code 0: nothing to do; 2: changes; 1: an error.

    \b
      reconcile plan examples/quickstart
      reconcile plan --format json estate/ > plan.json
    """
    return show_plan(ctx, directory, output)


def show_plan(ctx: click.Context, directory: Path, output: str) -> int:
    """Plan with a reader, print, and return the exit code."""
    with open_reader(ctx) as reader:
        planned = plan_or_tell(ctx, directory, reader, output=output)
    if planned is None:
        return ERROR
    tell_interrupted(ctx)
    print_plan(planned.plan, output)
    return exit_code(planned.plan)


def plan_or_tell(ctx: click.Context, directory: Path, reader: Reader, *, output: str) -> Planned | None:
    """The plan; or None, when the files are broken and that has been told."""
    planned = plan_directory(directory, reader, cache=state_directory(ctx).cache)
    if output == "json" and isinstance(planned, Rejected):
        print_json(diagnostics_json(planned.diagnostics))
        return None
    print_diagnostics(planned.diagnostics, planned.sources)
    return planned if isinstance(planned, Planned) else None


def print_plan(plan: Plan, output: str) -> None:
    """For people or for programs."""
    if output == "json":
        print_json(plan_json(plan))
    else:
        print_text(render_plan_text(plan, colour=uses_colour(), width=terminal_width()))


def exit_code(plan: Plan) -> int:
    """2 for changes; 1 when part of the live state could not be read, which is not the same as nothing to do."""
    if not plan.is_empty:
        return CHANGES
    return ERROR if plan.unreadable else DONE
