"""What an apply tells while it goes on: to a progress bar, to a stream of JSON lines, to the daemon.

`Begun` comes once, then a `Step` each time that something became of a change or a service (a roll back says it again),
and `RollingBack` at most once. The end is the report. Called from several threads, one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.model import StepResult


@dataclass(frozen=True, slots=True)
class Begun:
    """The journal is written; nothing else is yet."""

    apply_id: str
    changes: int
    services: int


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one change or service; `done` of `total` are not waiting any more."""

    result: StepResult
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class RollingBack:
    """What was written is being taken back, and why."""

    reason: str


Event = Begun | Step | RollingBack
Progress = Callable[[Event], None]


def silently(_: Event) -> None:
    """Tell nobody."""
