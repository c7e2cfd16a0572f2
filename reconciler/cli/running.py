"""What the verbs that apply share: signals, progress, settling what was interrupted, and the report.

`apply`, `apply FILE` and `rollback` run through here, so that they stop, recover and tell in one way.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TypeVar

import click

from reconciler.applying.apply import PLAIN, Applier, ApplyLeftError, Special
from reconciler.applying.history import Author
from reconciler.applying.journal import unfinished
from reconciler.applying.recovery import recover, refuse_unsettled
from reconciler.applying.transaction import DEFAULT_PARALLELISM
from reconciler.applying.verify import Verifier
from reconciler.cli.common import (
    DONE,
    ERROR,
    print_json,
    print_line,
    print_note,
    print_text,
    say,
    uses_colour,
)
from reconciler.cli.progress import shown_progress
from reconciler.model import Report
from reconciler.pipeline import Planned
from reconciler.rendering.events_json import finished_event, report_json
from reconciler.rendering.guardrails_json import guardrails_json
from reconciler.rendering.plan_json import plan_json
from reconciler.rendering.report_text import render_report_text
from reconciler.state import StateDirectory
from reconciler.targets.target import Target

CommandT = TypeVar("CommandT", bound=Callable[..., object])

parallelism_option = click.option(
    "--parallelism",
    type=click.IntRange(min=1, max=64),
    default=DEFAULT_PARALLELISM,
    show_default=True,
    help="Servers that are worked on at once; on one server everything is done one after the other.",
)
apply_format_option = click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json", "ndjson"]),
    default="text",
    show_default=True,
    help="For people, for programs, or one event a line while it goes on.",
)


class Run:
    """One run of a verb that applies: how it is shown and stopped."""

    def __init__(self, *, output: str, parallelism: int) -> None:
        self.output = output
        self._parallelism = parallelism
        self._stop = _Stop()

    def applier(self, target: Target, state: StateDirectory, author: Author) -> Applier:
        """Settles what was interrupted with real probes, and stops when it is asked to."""
        return Applier(
            target,
            state,
            author,
            Verifier(target),
            should_stop=self._stop.is_asked,
            parallelism=self._parallelism,
        )

    def settle(self, applier: Applier) -> None:
        """Finish or take back what an apply left unfinished, and tell. Raises TargetError when that cannot be done."""
        with self._stop.on_signal():
            for journal in unfinished(applier.state.journals):
                print_note(f"{journal.state.unsettled}; settling it first.")
            for report in recover(applier):
                print_text(render_report_text(report, colour=False), err=True)
            refuse_unsettled(applier.state.journals)

    def carry_out(self, applier: Applier, planned: Planned, *, special: Special = PLAIN) -> int:
        """Do it, tell what became of it, and return the exit code."""
        with self._stop.on_signal():
            try:
                with shown_progress(self.output) as progress:
                    report = replace(applier, progress=progress).apply(
                        planned.plan, desired=planned.desired, live=planned.live, special=special
                    )
            except ApplyLeftError as left:
                report = left.report
        self._print_report(planned, report)
        return DONE if report.is_success else ERROR

    def _print_report(self, planned: Planned, report: Report) -> None:
        if self.output == "ndjson":
            print_line(finished_event(report))
        elif self.output == "json":
            plan = {**plan_json(planned.plan), "guardrails": guardrails_json(planned.judged.verdict)}
            print_json({"format": "reconciler/report/v1", "plan": plan, **report_json(report)})
        else:
            print_text(render_report_text(report, colour=uses_colour()), err=not report.is_success)
            if planned.plan.note:
                say(f"Note: {planned.plan.note}.", err=not report.is_success)


class _Stop:
    """Set by the first SIGINT or SIGTERM; the second one leaves at once, and the journal is left for the next run."""

    def __init__(self) -> None:
        self._is_asked = False

    def is_asked(self) -> bool:
        """What `Applier` asks before each step."""
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
