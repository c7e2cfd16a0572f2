"""The receive buffer: octets that have arrived and were not used yet, and how far they have been searched.

It hands out whole lines and counted octets and forgets what it handed out, so that no octet is looked at twice. It
refuses lines beyond the limit it is given. Called by `connection`, which owns one.
"""

from __future__ import annotations


class LineTooLongError(Exception):
    """More octets than allowed have come without the end of the line."""


class ReceiveBuffer:
    """A queue of octets. Taking from the front of a bytearray costs no copy of the rest."""

    __slots__ = ("_data", "_searched")

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data)

    def append(self, data: bytes) -> None:
        self._data += data

    def take(self, count: int) -> bytes:
        """The next `count` octets, or as many as there are."""
        taken = bytes(self._data[:count])
        del self._data[:count]
        self._searched = 0
        return taken

    def take_line(self, longest: int) -> bytes | None:
        """The next line with its LF, None when it is not complete. Raises `LineTooLongError` beyond `longest`
        octets without the line end; nothing is taken then."""
        end = self._data.find(b"\n", self._searched)
        if (len(self._data) if end < 0 else end) > longest + 1:
            raise LineTooLongError
        if end < 0:
            self._searched = len(self._data)
            return None
        return self.take(end + 1)

    def first(self, count: int) -> bytes:
        """A look at the next octets without taking them."""
        return bytes(self._data[:count])

    def skip_to_line_end(self) -> tuple[bytes, bool]:
        """Take everything up to and with the next LF, or all there is; True when the LF was among it."""
        end = self._data.find(b"\n")
        taken = self.take(end + 1 if end >= 0 else len(self._data))
        return taken, end >= 0
