"""Refreshes the directory when the live configuration changed: at once, but never most of the time.

A refresh of a small estate costs less than a millisecond, and whoever wrote finds the directory up to date.
In a large one it costs more, and thousands of writes in a row must not keep the host from serving: then a
refresh waits until the host has had several times as long for its clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: A refresh that takes less than this needs no rest. Seconds.
_CHEAP = 0.005
#: How many times the duration of the last refresh must pass before the next.
_REST = 4.0


class Refresher:
    """Calls `refresh` when asked. Event loop only."""

    def __init__(self, refresh: Callable[[], object]) -> None:
        self._refresh = refresh
        self._loop = asyncio.get_running_loop()
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Refresh now, or as soon as the pause since the last one is over; many asks meanwhile are one."""
        if self._timer is not None:
            return
        if self._loop.time() >= self._not_before:
            self.now()
        else:
            self._timer = self._loop.call_at(self._not_before, self.now)

    def now(self) -> None:
        """Refresh in any case."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        began = self._loop.time()
        self._refresh()
        ended = self._loop.time()
        is_cheap = ended - began < _CHEAP
        self._not_before = 0.0 if is_cheap else ended + _REST * (ended - began)
