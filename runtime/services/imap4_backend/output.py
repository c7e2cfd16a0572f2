"""An answer that is made while the client takes it.

It holds at most one answer in pieces. It stops at the connection's high-water mark, and after every half megabyte or
a slice of time, so that one client's FETCH does not keep the others waiting. Called by `session`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from runtime.net.session import Connection, Octets

#: Octets written before the loop is given to others.
TURN = 512 * 1024
#: Seconds after which it is given to others, though less was written: a short answer can be long in the making.
SLICE = 0.02


class Output:
    """`is_paused` follows the connection; the session takes no command while `is_held`."""

    __slots__ = ("_connection", "_done", "_pieces", "is_paused")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pieces: Iterator[Octets] | None = None
        self._done: Callable[[], None] | None = None
        self.is_paused = False

    @property
    def is_producing(self) -> bool:
        """In the middle of an answer."""
        return self._pieces is not None

    @property
    def is_held(self) -> bool:
        return self.is_paused or self._pieces is not None

    def begin(self, pieces: Iterator[Octets], done: Callable[[], None]) -> None:
        """Write the pieces, then call `done`. `go_on` does it."""
        self._pieces = pieces
        self._done = done

    def clear(self) -> None:
        self._pieces = self._done = None

    def go_on(self, again: Callable[[], None], failed: Callable[[], None]) -> bool:
        """Write as much as the client takes. True when nothing is left; otherwise `again` is called later (here
        after a turn of the loop, or by the session when the connection resumes). `failed` is called, in the handler
        of the error, when the pieces cannot be made."""
        if self._pieces is None:
            return True
        room, until = TURN, time.monotonic() + SLICE
        try:
            while not self.is_paused and room > 0 and time.monotonic() < until:
                piece = next(self._pieces, None)
                if piece is None:
                    self._finish()
                    return True
                self._connection.write(piece)
                room -= len(piece)
        except Exception:  # noqa: BLE001 - reported by `failed` with its traceback
            failed()
            return True
        if not self.is_paused:
            asyncio.get_running_loop().call_soon(again)
        return False

    def _finish(self) -> None:
        done, self._pieces, self._done = self._done, None, None
        if done is not None:
            done()
