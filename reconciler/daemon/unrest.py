"""Until when files count as being saved: what is applied has been quiet for a moment, so that half a checkout is not.

It is about time alone; `loop` says when something was saved, and asks.
"""

from __future__ import annotations

import time

#: Seconds of quiet after a save, and how long to wait for it at most.
QUIET = 0.2
LONGEST = 10.0


class Unrest:
    """None at first. `until`: the end, in seconds of the monotonic clock, if nothing more is saved."""

    def __init__(self) -> None:
        self.until: float | None = None
        self._patience_ends = 0.0

    def begin(self) -> None:
        """Something was saved."""
        now = time.monotonic()
        if self.until is None:
            self._patience_ends = now + LONGEST
        self.until = min(now + QUIET, self._patience_ends)

    def goes_on(self) -> bool:
        """False from the end on, until something is saved again."""
        if self.until is not None and time.monotonic() >= self.until:
            self.until = None
        return self.until is not None
