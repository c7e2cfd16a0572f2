"""`reconcile drift`: where live differs from declared. It only looks."""

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
    print_json,
    print_text,
    tells_errors,
    terminal_width,
    uses_colour,
)
from reconciler.cli.environment import tell_other_environment
from reconciler.cli.inputs import inputs_options
from reconciler.cli.planning import plan_or_tell
from reconciler.cli.selecting import selection_options
from reconciler.model import Plan
from reconciler.rendering.drift_text import drifted, render_drift_text
from reconciler.rendering.plan_json import plan_json


@click.command()
@directory_argument
@inputs_options
@selection_options
@format_option
@click.pass_context
@tells_errors
def drift(ctx: click.Context, directory: Path, output: str) -> int:
    """Compare the live values with the files of DIR: what somebody changed by hand, and who.

    A resource that cannot be read is no drift. What is declared under a new name (renamedFrom) is pending until the
    next apply, and no drift either. What is live and not declared is listed. Exit code 0: none; 2: drift; 1: an error,
    or something unreadable.

    \b
      reconcile drift estate/
      reconcile drift --format json estate/ || alert
    """
    with open_reader(ctx) as reader:
        planned = plan_or_tell(ctx, directory, reader, output=output)
    if planned is None:
        return ERROR
    if not planned.plan.is_empty:
        tell_other_environment(ctx, directory)
    if output == "json":
        print_json(plan_json(planned.plan))
    else:
        print_text(
            render_drift_text(planned.plan, planned.live, colour=uses_colour(), width=terminal_width())
        )
    return _exit_code(planned.plan)


def _exit_code(plan: Plan) -> int:
    if drifted(plan):
        return CHANGES
    return ERROR if plan.unreadable else DONE
