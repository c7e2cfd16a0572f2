"""Octets of a message → tree of `Part`s: one pass, no recursion, no copy of bodies.

The lines that begin with two hyphens are walked once. A stack holds the entities that are open; a delimiter closes what
lies above its multipart. Work is linear in the message: each blank line and each delimiter is looked for once, whatever
the nesting. It never raises on input. Called by the store, at delivery and when a section is cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from runtime.store.mime.headers import ContentType, content_type, fields
from runtime.store.mime.limits import LIMITS, Limits
from runtime.store.mime.part import Octets, Part, transfer_encoding

_ENCODED = frozenset((b"base64", b"quoted-printable"))
_PLAIN = ContentType("text", "plain", ((b"charset", b"us-ascii"),))
_RFC822 = ContentType("message", "rfc822", ())
_OPAQUE = ContentType("application", "octet-stream", ())
_COUNT_CHUNK = 1 << 20
#: RFC 2046 5.1.1 allows 70; what is longer than this delimits nothing.
_MAX_BOUNDARY = 1000


#: Lines that begin with two hyphens and delimit nothing, after which delimiters are searched for otherwise.
_MANY_MISSES = 1000


class _Delimiter(NamedTuple):
    """A delimiter line: where it starts and the next line starts, the stack level of its multipart."""

    start: int
    end: int
    level: int
    is_last: bool


@dataclass(slots=True)
class _Entity:
    """An entity that is still open. `boundary` is set while more children may come."""

    start: int
    body_start: int
    kind: ContentType
    fields: dict[bytes, bytes]
    boundary: bytes | None = None
    children: list[Part] = field(default_factory=list)


def parse_message(data: Octets, *, limits: Limits = LIMITS) -> Part:
    """The tree of `data`, a whole message.

    Sizes and line counts are those of `data` as it is: the store passes the CRLF form. Never raises on any octets.
    """
    return _Parser(data, limits).parse()


class _Parser:
    """State of one parse."""

    def __init__(self, data: Octets, limits: Limits) -> None:
        self._data = data
        self._end = len(data)
        self._limits = limits
        self._open: list[_Entity] = []
        self._levels: dict[bytes, list[int]] = {}
        self._headers_left = limits.headers
        self._blank = (-1, -1)
        self._misses = 0
        self._parts = 0
        self._root: Part | None = None

    def parse(self) -> Part:
        position = self._enter(0)
        while self._levels and self._parts < self._limits.parts:
            found = self._next_delimiter(position, self._end)
            if found is None:
                break
            self._close_above(found.level, self._before_line_break(found.start))
            if found.is_last:
                self._end_children(found.level)
                position = found.end
            else:
                position = self._enter(found.end)
        self._close_above(-1, self._end)
        if self._root is None:  # the stack held the root, and closing it set this
            raise AssertionError("the message itself was never closed")
        return self._root

    def _enter(self, start: int) -> int:
        """Open the entity at `start` and, where it is a message, the entity inside it; return where its body starts."""
        while True:
            entity = self._read_entity(start)
            self._open.append(entity)
            self._parts += 1
            start = entity.body_start
            if not self._holds_message(entity):
                return start

    def _read_entity(self, start: int) -> _Entity:
        body_start = self._header_end(start)
        read = min(body_start - start, self._limits.header, self._headers_left)
        self._headers_left -= read
        found = fields(self._data[start : start + read])
        kind = content_type(found.get(b"content-type"), self._limits) or self._default_type()
        entity = _Entity(start, body_start, kind, found)
        if kind.type == "multipart":
            self._expect_children(entity)
        return entity

    def _default_type(self) -> ContentType:
        if self._open and self._open[-1].kind[:2] == ("multipart", "digest"):
            return _RFC822  # RFC 2046 5.1.5
        return _PLAIN

    def _expect_children(self, entity: _Entity) -> None:
        boundary = dict(reversed(entity.kind.parameters)).get(b"boundary", b"").rstrip(b" \t")
        if boundary and len(self._open) < self._limits.depth:
            entity.boundary = boundary
            self._levels.setdefault(boundary, []).append(len(self._open))

    def _holds_message(self, entity: _Entity) -> bool:
        """An encoded message (forbidden by RFC 2046 5.2.1) is not looked into."""
        return (
            entity.kind[:2] == _RFC822[:2]
            and len(self._open) <= self._limits.depth
            and self._parts < self._limits.parts
            and transfer_encoding(entity.fields) not in _ENCODED
        )

    def _header_end(self, start: int) -> int:
        """Where the body starts: behind the blank line, or at a delimiter of an open multipart that comes before it."""
        end = self._blank_line(start)
        if self._levels:
            found = self._next_delimiter(start, end)
            if found is not None:
                return found.start
        return end

    def _blank_line(self, start: int) -> int:
        """End of the first blank line at or behind `start`. One that was found ahead is kept for the next call."""
        if self._data[start : start + 2] == b"\r\n":
            return start + 2
        if self._data[start : start + 1] == b"\n":
            return start + 1
        if not self._blank[0] >= start:
            self._blank = self._find_blank_line(start)
        return self._blank[1]

    def _find_blank_line(self, start: int) -> tuple[int, int]:
        crlf = self._data.find(b"\n\r\n", start)
        limit = crlf if crlf >= 0 else self._end
        bare = self._data.find(b"\n\n", start, limit)
        if bare >= 0:
            return bare, bare + 2
        return (crlf, crlf + 3) if crlf >= 0 else (self._end, self._end)

    def _next_delimiter(self, start: int, end: int) -> _Delimiter | None:
        """The next line from `start`, itself the start of a line, that starts before `end` and delimits an open
        multipart."""
        at = self._data.find(b"\n--", start - 1, end + 2)
        while at >= 0:
            found = self._delimiter_at(at + 1)
            if found is not None:
                return found
            self._misses += 1
            if self._misses > _MANY_MISSES:
                return self._search_delimiter(at, end)
            at = self._data.find(b"\n--", at + 3, end + 2)
        return None

    def _search_delimiter(self, start: int, end: int) -> _Delimiter | None:
        """The same with an expression: slower to begin, faster through text where many lines look like delimiters."""
        boundaries = b"|".join(
            [re.escape(boundary) for boundary in sorted(self._levels, key=len, reverse=True)]
        )
        pattern = re.compile(rb"\n--(?:" + boundaries + rb")(?:--)?[ \t\r]*+(?:\n|\Z)")
        match = pattern.search(self._data, start)
        return (
            self._delimiter_at(match.start() + 1) if match is not None and match.start() + 1 < end else None
        )

    def _delimiter_at(self, line_start: int) -> _Delimiter | None:
        line = self._data[line_start + 2 : line_start + _MAX_BOUNDARY]
        text, line_feed, _ = line.partition(b"\n")
        if not line_feed and line_start + 2 + len(line) < self._end:
            return None
        line_end = line_start + 2 + len(text) + len(line_feed)
        text = text.rstrip(b" \t\r")
        if text in self._levels:
            return _Delimiter(line_start, line_end, self._levels[text][-1], False)
        if text.endswith(b"--") and text[:-2] in self._levels:
            return _Delimiter(line_start, line_end, self._levels[text[:-2]][-1], True)
        return None

    def _before_line_break(self, line_start: int) -> int:
        """The line break in front of a delimiter belongs to it (RFC 2046 5.1.1)."""
        if self._data[line_start - 2 : line_start] == b"\r\n":
            return line_start - 2
        return line_start - 1 if self._data[line_start - 1 : line_start] == b"\n" else line_start

    def _close_above(self, level: int, end: int) -> None:
        while len(self._open) > level + 1:
            self._end_children(len(self._open) - 1)
            self._close(self._open.pop(), end)

    def _end_children(self, level: int) -> None:
        boundary = self._open[level].boundary
        if boundary is None:
            return
        self._open[level].boundary = None
        self._levels[boundary].pop()
        if not self._levels[boundary]:
            del self._levels[boundary]

    def _close(self, entity: _Entity, end: int) -> None:
        part = self._finish(entity, max(end, entity.body_start))
        if self._open:
            self._open[-1].children.append(part)
        else:
            self._root = part

    def _finish(self, entity: _Entity, end: int) -> Part:
        kind, children, message = entity.kind, tuple(entity.children), None
        if children and kind.type == "message":
            message, children = children[0], ()
        elif not children and kind.type == "multipart":
            kind = _PLAIN
        elif kind[:2] == _RFC822[:2]:
            kind = _OPAQUE
        start, body = entity.start, entity.body_start
        lines = 0 if children else _count_lines(self._data, body, end)
        return Part(*kind, start, body, end, lines, entity.fields, children, message)


def _count_lines(data: Octets, start: int, end: int) -> int:
    if isinstance(data, bytes):
        return data.count(b"\n", start, end)
    return sum(data[at : min(at + _COUNT_CHUNK, end)].count(b"\n") for at in range(start, end, _COUNT_CHUNK))
