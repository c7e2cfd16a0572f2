"""What all connections of one event loop share: the receive buffers, the deadlines, and who has written in this turn.

Whoever was written to is flushed once, when the loop has called everybody who had something to read: answers to one
client leave together, and so do the two halves of what a pump carries. Called by `connection` only.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Protocol

from runtime.net.deadlines import Deadlines

#: One read takes at most this many bytes from the kernel.
RECEIVE_BUFFER = 256 * 1024
#: Connections that wait for the end of the turn. In a longer turn the first ones do not wait for the last.
MOST_DIRTY = 32


class Flushable(Protocol):
    def flush(self) -> None: ...


class Turn:
    """Shared by the connections of one loop; the loop's thread only."""

    __slots__ = ("_dirty", "_loop", "deadlines", "decrypted", "received")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dirty: list[Flushable] = []
        self.deadlines = Deadlines(loop)
        self.received = memoryview(bytearray(RECEIVE_BUFFER))
        self.decrypted = memoryview(bytearray(RECEIVE_BUFFER))

    def add(self, connection: Flushable) -> None:
        """`connection` has something to flush."""
        self._dirty.append(connection)
        if len(self._dirty) == 1:
            self._loop.call_soon(self._flush)
        elif len(self._dirty) >= MOST_DIRTY:
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
