"""`reconcile apply`: show the plan, ask, do it, say what became of each step."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from reconciler.applying.apply import Applier
from reconciler.applying.journal import unfinished
from reconciler.applying.lock import apply_lock
from reconciler.applying.recovery import recover
from reconciler.applying.verify import Verifier
from reconciler.cli.common import (
    DONE,
    ERROR,
    ExpectedError,
    current_author,
    directory_argument,
    format_option,
    open_target,
    print_json,
    print_text,
    state_directory,
    tells_errors,
    uses_colour,
)
from reconciler.cli.plan import exit_code, plan_or_tell, print_plan, show_plan
from reconciler.model import Report, StepResult
from reconciler.pipeline import Planned
from reconciler.rendering.plan_json import plan_json
from reconciler.rendering.report_text import render_report_text

NO_ANSWER = (
    "apply asks before it changes anything, and there is no terminal to ask on: "
    "pass --yes to apply the plan above, or --dry-run to look only"
)


@click.command()
@directory_argument
@click.option("--dry-run", is_flag=True, help="Show the plan and stop: the same as `reconcile plan`.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_option
@click.pass_context
@tells_errors
def apply(ctx: click.Context, directory: Path, dry_run: bool, yes: bool, output: str) -> int:
    """Make the live mail servers what the files of DIR say, and restart only what has to be.

    Every write compares the live revision with the planned one. Each touched service is probed with a real logon; if a
    write, a restart or a probe fails, the previous values come back. An apply that was killed is finished or rolled
    back before the new one is planned. Ctrl-C ends after the current write and takes back what was written.

    \b
      reconcile apply examples/quickstart             shows the plan and asks
      reconcile apply --yes estate/                   for scripts
      reconcile apply --dry-run --format json estate/

    Exit code 0: done, or nothing to do; 1: an error (with --dry-run 2: there are changes).
    """
    if dry_run:
        return show_plan(ctx, directory, output)
    if not (yes or sys.stdin.isatty()):
        return _refuse(ctx, directory, output)
    state = state_directory(ctx)
    state.make()
    author = current_author(directory)
    stop = _Stop()
    with open_target(ctx) as target, apply_lock(state.apply_lock, actor=author.user):
        applier = Applier(target, state, author, Verifier(target), _progress, stop.is_asked)
        with stop.on_signal():
            _recover(applier)
        planned = plan_or_tell(ctx, directory, target, output=output)
        if planned is None:
            return ERROR
        if not _is_agreed(planned, output=output, yes=yes):
            return exit_code(planned.plan) if planned.plan.is_empty else ERROR
        with stop.on_signal():
            report = applier.apply(planned.plan, desired=planned.desired, live=planned.live)
    _print_report(planned, report, output)
    return DONE if report.is_success else ERROR


def _is_agreed(planned: Planned, *, output: str, yes: bool) -> bool:
    """Show the plan; true when there is something to do and the user wants it."""
    if planned.plan.is_empty or output == "text":
        print_plan(planned.plan, output)
    if planned.plan.is_empty:
        return False
    if yes or click.confirm("Apply this plan?", default=False, err=True):
        return True
    click.echo("Nothing was changed.", err=True)
    return False


def _refuse(ctx: click.Context, directory: Path, output: str) -> int:
    """Without --yes and without a terminal: look, and refuse unless there is nothing to do."""
    code = show_plan(ctx, directory, output)
    if code == DONE and not unfinished(state_directory(ctx).journals):
        return DONE
    if code == ERROR:
        return ERROR
    raise ExpectedError(NO_ANSWER)


def _recover(applier: Applier) -> None:
    for journal in unfinished(applier.state.journals):
        click.echo(f"Apply {journal.state.apply_id} was interrupted; settling it first.", err=True)
    for report in recover(applier):
        print_text(render_report_text(report, colour=False), err=True)


def _print_report(planned: Planned, report: Report, output: str) -> None:
    if output == "json":
        print_json({"format": "reconciler/report/v1", "plan": plan_json(planned.plan), **report_json(report)})
    else:
        print_text(render_report_text(report, colour=uses_colour()), err=not report.is_success)


def report_json(report: Report) -> dict[str, Any]:
    """The report as data."""
    return {
        "applyId": report.apply_id,
        "success": report.is_success,
        "error": report.error,
        "steps": [
            {"subject": s.subject, "outcome": s.outcome.value, "detail": s.detail} for s in report.steps
        ],
    }


def _progress(step: StepResult) -> None:
    """One line a step while it goes on, for somebody who waits at a terminal."""
    if sys.stderr.isatty():
        click.echo(
            f"  {step.subject}: {step.outcome.value}{f' ({step.detail})' if step.detail else ''}", err=True
        )


class _Stop:
    """Set by the first SIGINT or SIGTERM; the second one ends the program, and the journal is left for the next run."""

    def __init__(self) -> None:
        self._is_asked = False

    def is_asked(self) -> bool:
        """What `Applier` asks before each write."""
        return self._is_asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_asked:
            raise KeyboardInterrupt
        self._is_asked = True
        click.echo(
            "Stopping after the current step. Once more leaves at once, and the next apply settles it.",
            err=True,
        )

    @contextmanager
    def on_signal(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for the length of the block; outside of it they end the program as usual."""
        previous = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
