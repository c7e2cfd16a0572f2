"""How somebody who waits sees an apply go on: a bar on a terminal, a line a step with `--format ndjson`, else nothing.

The bar is on standard error, since the report goes to standard output. `rich` is imported when there is a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler.applying.events import Begun, Event, Progress, RollingBack, Step, silently
from reconciler.cli.common import print_line
from reconciler.rendering.events_json import event_json
from reconciler.rendering.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


@contextmanager
def shown_progress(output: str) -> Iterator[Progress]:
    """What to give to an `Applier` while the block runs."""
    if output == "ndjson":
        yield print_event
    elif sys.stderr.isatty():
        with _bar() as bar:
            yield _Bar(bar)
    else:
        yield silently


def print_event(event: Event) -> None:
    """One JSON object on one line, at once."""
    print_line(event_json(event))


def _bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.fields[phase]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    return RichProgress(*columns, console=Console(stderr=True), transient=True)


class _Bar:
    """One bar over all steps; what fails stays above it."""

    def __init__(self, bar: RichProgress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Begun(changes=changes, services=services):
                self._task = self._bar.add_task("", total=changes + services, phase="Applying")
            case Step(result=result, done=done) if self._task is not None:
                subject = printable(f"{result.subject}: {result.outcome.value}")
                self._bar.update(self._task, completed=done, description=subject.replace("[", "\\["))
            case RollingBack() if self._task is not None:
                self._bar.update(self._task, phase="Rolling back")
            case _:
                return
