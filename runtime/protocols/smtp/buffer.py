"""The receive buffer of one connection: bytes in, command lines or raw bytes out, never more kept than asked for.

It remembers how far it has searched for a line's end, so a line fed byte by byte is searched once. A line beyond the
limit is not kept: it is read over to its end and reported as too long, so that the next command is not taken from its
middle. Both cores own one; nobody else touches what is in it.
"""

from __future__ import annotations

from typing import Final


class TooLong:
    """Stands for a line that was longer than the limit; its bytes are gone."""


TOO_LONG: Final = TooLong()


class ReceiveBuffer:
    """Bytes received and not yet understood."""

    __slots__ = ("_data", "_is_skipping", "_searched")

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0
        self._is_skipping = False

    def __len__(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> None:
        self._data += data

    def begins_with(self, prefix: bytes) -> bool:
        """Whether the next bytes are `prefix` in any case (ASCII)."""
        return self._data[: len(prefix)].upper() == prefix

    def take_all(self) -> bytes:
        """Everything, for a reader of content."""
        data = bytes(self._data)
        self._data.clear()
        self._searched = 0
        return data

    def put_back(self, rest: bytes) -> None:
        """What a reader of content did not use, to stand before whatever comes."""
        self._data[:0] = rest
        self._searched = 0

    def next_line(self, limit: int) -> bytes | TooLong | None:
        """The next line with its end, `TOO_LONG` when it had more than `limit` octets, None while it is incomplete."""
        end = self._data.find(b"\n", self._searched) + 1
        if end:
            return self._cut(end, limit)
        self._searched = len(self._data)
        if self._searched >= limit or self._is_skipping:
            self._is_skipping = True
            self.take_all()
        return None

    def _cut(self, end: int, limit: int) -> bytes | TooLong:
        line = bytes(self._data[:end])
        del self._data[:end]
        self._searched = 0
        is_too_long = self._is_skipping or end > limit
        self._is_skipping = False
        return TOO_LONG if is_too_long else line
