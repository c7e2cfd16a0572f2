"""What all connections of one event loop share while a callback runs: the receive buffers, and who has
written.

A turn begins when a connection hears from the loop and ends when its callback is over; then every connection
that was written to, also by another one's callback, is flushed once. Writes outside of a turn are flushed by
`call_soon`. Called by `connection` only.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Protocol

#: One read takes at most this many bytes from the kernel.
RECEIVE_BUFFER = 256 * 1024


class Flushable(Protocol):
    def flush(self) -> None: ...


class Turn:
    """Shared by the connections of one loop. Used as a context manager around callbacks; nesting is allowed."""

    __slots__ = ("_depth", "_dirty", "_loop", "decrypted", "received")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._depth = 0
        self._dirty: list[Flushable] = []
        self.received = memoryview(bytearray(RECEIVE_BUFFER))
        self.decrypted = memoryview(bytearray(RECEIVE_BUFFER))

    def add(self, connection: Flushable) -> None:
        """`connection` has something to flush."""
        self._dirty.append(connection)
        if not self._depth and len(self._dirty) == 1:
            self._loop.call_soon(self._flush)

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth and self._dirty:
            self._flush()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()


class _OfThread(threading.local):
    turn: Turn | None = None
    loop: asyncio.AbstractEventLoop | None = None


_of_thread = _OfThread()


def current(loop: asyncio.AbstractEventLoop) -> Turn:
    """The turn of the loop that runs in this thread. A thread runs one loop at a time, so one is kept a thread."""
    if _of_thread.turn is None or _of_thread.loop is not loop:
        _of_thread.turn, _of_thread.loop = Turn(loop), loop
    return _of_thread.turn
