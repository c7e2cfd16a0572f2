"""The one line buffer of a POP3 connection.

It remembers how far it has searched, so a line that comes byte by byte costs no more than one that comes
whole, and it keeps nothing of a line that is too long: the rest of it is dropped as it arrives. Called by
`connection`.
"""

from __future__ import annotations


class TooLong:
    """Stands for a line that was longer than allowed, now that it has ended."""


TOO_LONG = TooLong()


class LineReader:
    """Lines end in CRLF; a lone LF is taken too, as clients by hand send it."""

    __slots__ = ("_buffer", "_is_skipping", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._is_skipping = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_line(self, limit: int) -> bytes | TooLong | None:
        """The next line without its end; None when there is none yet. `limit` counts octets with the CRLF."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            self._drop_if_over(limit)
            return None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._searched = 0
        if self._is_skipping or len(line) > limit:
            self._is_skipping = False
            return TOO_LONG
        return line.removesuffix(b"\n").removesuffix(b"\r")

    @property
    def has_input(self) -> bool:
        """True when something was received behind the last line."""
        return bool(self._buffer)

    def take_rest(self) -> bytes:
        """Everything behind the last line; the reader is empty then."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return rest

    def _drop_if_over(self, limit: int) -> None:
        if self._is_skipping or len(self._buffer) > limit:
            self._is_skipping = True
            self._buffer.clear()
            self._searched = 0
