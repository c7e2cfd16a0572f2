"""From the octets between DATA and the final dot (or of BDAT chunks) to a message: un-stuffed, canonical,
measured.

Only CRLF "." CRLF ends a message (RFC 5321 4.1.1.4); any other mixture of CR, LF and dots is content. What is
done with a CR or LF that is not part of CRLF is the `LineEndings`: reject the message at its true end, or
turn each into CRLF, so that what leaves here holds no line that another program could take for the end. This
module knows no commands and sends nothing; `ServerConnection` feeds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from runtime.protocols.smtp.events import Content, EndOfMessage, Fault, Header

_END = b"\r\n.\r\n"
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
_RECEIVED = re.compile(rb"(?:^|\n)received[ \t]*:((?:[^\n]*)(?:\n[ \t][^\n]*)*)", re.IGNORECASE)


class LineEndings(Enum):
    """What to do with CR and LF that do not stand together."""

    REJECT = "reject"
    CONVERT = "convert"
    #: The sender is one of our own services, which has converted already.
    TRUST = "trust"


@dataclass(frozen=True, slots=True)
class ContentLimits:
    """Octets and counts; `local_name` is the name whose Received fields count as local hops (0 = no check)."""

    message: int
    header: int
    hops: int
    local_hops: int
    local_name: str


class DotDecoder:
    """Finds the true end of DATA and removes the dots that were stuffed in front of lines (RFC 5321 4.5.2)."""

    __slots__ = ("_held", "_is_at_start")

    def __init__(self) -> None:
        # The CRLF behind DATA is the first line end: with it in front, a lone "." at the start ends an empty message.
        self._held = b"\r\n"
        self._is_at_start = True

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """(content, what follows the end). The second is None while the end has not come."""
        data = self._held + data
        end = data.find(_END)
        if end >= 0:
            return self._clean(data[: end + 2]), data[end + len(_END) :]
        keep = len(data) - _overlap(data)
        self._held = data[keep:]
        return self._clean(data[:keep]), None

    def _clean(self, data: bytes) -> bytes:
        if not data:
            return data
        # Most messages hold no stuffed dot, and looking is three times cheaper than replacing.
        clean = data.replace(b"\r\n.", b"\r\n") if b"\r\n." in data else data
        if self._is_at_start:
            self._is_at_start = False
            return clean[2:]
        return clean


def _overlap(data: bytes) -> int:
    """How many octets at the end of `data` may be the beginning of the end marker."""
    return next((length for length in (4, 3, 2, 1) if data.endswith(_END[:length])), 0)


class ChunkDecoder:
    """Counts the octets of one BDAT chunk."""

    __slots__ = ("_missing", "is_last", "size")

    def __init__(self, size: int, *, is_last: bool) -> None:
        self.size = size
        self.is_last = is_last
        self._missing = size

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """As `DotDecoder.feed`."""
        taken = data[: self._missing]
        self._missing -= len(taken)
        return taken, data[len(taken) :] if not self._missing else None


class MessageReader:
    """Turns decoded octets into `Header`, `Content` and at last `EndOfMessage`, within the limits.

    After a fault nothing more is handed out or kept; the octets are still counted to the end.
    """

    def __init__(self, limits: ContentLimits, line_endings: LineEndings) -> None:
        self._limits = limits
        self._line_endings = line_endings
        self._header: bytearray | None = bytearray()
        self._held_cr = b""
        self._size = 0
        self._fault: Fault | None = None

    def feed(self, data: bytes) -> list[Header | Content]:
        """What can be handed out now."""
        if self._line_endings is not LineEndings.TRUST:
            data = self._canonical(data)
        self._size += len(data)
        if self._size > self._limits.message:
            self._fail(Fault.TOO_LARGE)
        if self._fault or not data:
            return []
        return [Content(data)] if self._header is None else self._read_header(data)

    def finish(self) -> list[Header | Content | EndOfMessage]:
        """The rest, and the end."""
        rest: list[Header | Content | EndOfMessage] = []
        if self._held_cr:
            self._held_cr = b""
            rest += self.feed(self._bare(b"\r"))
        if self._header is not None and not self._fault:
            rest += self._end_header(len(self._header))
        if self._fault:
            rest.clear()
        return [*rest, EndOfMessage(self._size, self._fault)]

    def _fail(self, fault: Fault) -> None:
        self._fault = self._fault or fault
        self._header = None

    def _canonical(self, data: bytes) -> bytes:
        data = self._held_cr + data
        self._held_cr = b""
        if data.endswith(b"\r"):
            self._held_cr, data = b"\r", data[:-1]
        pairs = data.count(b"\r\n")
        if data.count(b"\n") == pairs and data.count(b"\r") == pairs:
            return data
        return self._bare(data)

    def _bare(self, data: bytes) -> bytes:
        if self._line_endings is LineEndings.REJECT:
            self._fail(Fault.BARE_LINE_ENDING)
            return data
        return _ANY_LINE_END.sub(b"\r\n", data)

    def _read_header(self, data: bytes) -> list[Header | Content]:
        header = self._header
        assert header is not None
        searched = max(0, len(header) - 3)
        header += data
        end = 2 if header.startswith(b"\r\n") else header.find(b"\r\n\r\n", searched) + 4
        if end > 3 or header.startswith(b"\r\n"):
            return self._end_header(end)
        if len(header) > self._limits.header:
            self._fail(Fault.HEADER_TOO_LARGE)
        return []

    def _end_header(self, end: int) -> list[Header | Content]:
        data = bytes(self._header or b"")
        self._header = None
        header, body = data[:end], data[end:]
        fault = self._judge_header(header)
        if fault:
            self._fail(fault)
            return []
        return [Header(header), Content(body)] if body else [Header(header)]

    def _judge_header(self, header: bytes) -> Fault | None:
        limits = self._limits
        if len(header) > limits.header:
            return Fault.HEADER_TOO_LARGE
        # Without the colon, before which there may be blanks: more than there are, and then they are looked at.
        hops = header.lower().count(b"received")
        if hops <= min(limits.hops, limits.local_hops or limits.hops):
            return None
        return _judge_hops(header, limits)


def _judge_hops(header: bytes, limits: ContentLimits) -> Fault | None:
    fields = [match[1].lower() for match in _RECEIVED.finditer(header)]
    if len(fields) > limits.hops:
        return Fault.TOO_MANY_HOPS
    name = limits.local_name.lower().encode("ascii", "replace")
    local = sum(1 for field in fields if (b"by", name) in pairwise(field.split()))
    return Fault.LOCAL_LOOP if limits.local_hops and local > limits.local_hops else None
