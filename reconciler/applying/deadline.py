"""A bound on how long a probe may take in all, however slowly each of its steps is answered."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds that one step may take: longer than the tarpit of a receive connector (5 s), so that its answer is read.
STEP = 8.0


class DeadlineError(Exception):
    """The time is up."""


class Deadline:
    """`seconds` from now."""

    def __init__(self, seconds: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._end = now() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 when the time is up."""
        return max(0.0, self._end - self._now())

    def step(self) -> float:
        """The timeout of the next step in seconds. Raises DeadlineError."""
        if not self.left:
            raise DeadlineError(f"it was not done within {self._seconds:g} seconds")
        return min(STEP, self.left)
