"""Wakes the loop: a pipe that a signal handler, a watcher thread or anybody else may write to at any moment.

A `threading.Event` must not be set from a signal handler while the same thread waits for it; a byte in a pipe may.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress


class Doorbell:
    """Many may ring, one waits."""

    def __init__(self) -> None:
        self._ear, self._button = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Never blocks; a full pipe rings already."""
        with suppress(BlockingIOError):
            os.write(self._button, b"!")

    def wait(self, seconds: float | None) -> bool:
        """True when it rang within `seconds` (None: however long that takes); several rings count as one."""
        ready, _, _ = select.select([self._ear], [], [], None if seconds is None else max(0.0, seconds))
        if ready:
            with suppress(BlockingIOError):
                while os.read(self._ear, 4096):
                    pass
        return bool(ready)

    def close(self) -> None:
        """Only when nobody rings any more."""
        os.close(self._ear)
        os.close(self._button)
