"""Address lists (RFC 5322 3.4 with the obsolete forms) → the address structures of ENVELOPE (RFC 3501 7.4.2).

Common forms go through one expression; anything else through a tokenizer that takes any octets and never recurses.
Names are unquoted but RFC 2047 words stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runtime.store.mime.headers import unescape
from runtime.store.mime.limits import Limits
from runtime.store.mime.wire import nstring, string

_ATOMS = rb'[^\x00-\x20"\\<>()@,:;\[\]]+'
_COMMON = re.compile(
    rb'[ \t]*(?:(?:"([^"\\]*)"[ \t]*|([^"\\<>()@,:;\[\]]*))<(' + _ATOMS + rb")@(" + _ATOMS + rb")>"
    rb"|(" + _ATOMS + rb")@(" + _ATOMS + rb"))[ \t]*(,|$)"
)
_TOKEN = re.compile(
    rb'[ \t]+|(?P<quoted>"(?:[^"\\]++|\\.)*+"?)|(?P<literal>\[(?:[^\]\\]++|\\.)*+\]?)|(?P<special>[<>@,:;().\\\]])'
    rb'|(?P<atom>[^\x00-\x20"\\<>()@,:;\[\].]+)|.',
    re.DOTALL,
)
_COMMENT_EDGE = re.compile(rb"\\.|[()]", re.DOTALL)
_END_OF_GROUP = b"(NIL NIL NIL NIL)"


def render_addresses(value: bytes | None, limits: Limits) -> bytes:
    """The parenthesised list of an address field's addresses, NIL where there is none. `value` is unfolded.

    Addresses beyond the limit are left out.
    """
    if not value:
        return b"NIL"
    found = _common(value, limits)
    if found is None:
        found = _Tokens(value, limits).read()
    return b"(%b)" % b"".join(found) if found else b"NIL"


def _address(name: bytes | None, route: bytes | None, mailbox: bytes, host: bytes) -> bytes:
    return b"(%b %b %b %b)" % (nstring(name), nstring(route), string(mailbox), string(host))


def _common(value: bytes, limits: Limits) -> list[bytes] | None:
    """The addresses where all of them have a common form, else None."""
    found: list[bytes] = []
    position, end = 0, len(value)
    while position < end:
        match = _COMMON.match(value, position)
        if match is None or len(found) == limits.addresses:
            return None
        quoted, phrase, local, domain, bare_local, bare_domain, _ = match.groups()
        if bare_local is not None:
            found.append(_address(None, None, bare_local, bare_domain))
        else:
            name = quoted if quoted is not None else b" ".join(phrase.split())
            found.append(_address(name or None, None, local, domain))
        position = match.end()
    return found


@dataclass(slots=True)
class _Draft:
    """An address as far as it is read: words seen outside angle brackets, and what stood inside them."""

    words: list[bytearray] = field(default_factory=list)
    local: list[bytes | bytearray] = field(default_factory=list)
    domain: list[bytes] = field(default_factory=list)
    route: list[bytes] = field(default_factory=list)
    comment: bytes | None = None
    has_at: bool = False
    has_angle: bool = False
    is_glued: bool = False


class _Tokens:
    """The tokenizer's state over one field."""

    def __init__(self, value: bytes, limits: Limits) -> None:
        self._value = value
        self._limit = limits.addresses
        self._found: list[bytes] = []
        self._draft = _Draft()
        self._is_group = False
        self._is_angle = False

    def read(self) -> list[bytes]:
        """All addresses, with the marks that begin and end groups (which count as addresses)."""
        position, end = 0, len(self._value)
        while position < end and len(self._found) < self._limit:
            position = self._take(position)
        self._finish_address()
        if self._is_group:
            self._found.append(_END_OF_GROUP)
        return self._found

    def _take(self, position: int) -> int:
        match = _TOKEN.match(self._value, position)
        if match is None:  # every octet matches the last alternative
            return len(self._value)
        kind, text = match.lastgroup, match[0]
        if kind == "special":
            return self._special(text, match.end())
        if kind is None:
            self._draft.is_glued = False
        elif kind == "quoted":
            self._word(unescape(text[1:-1] if len(text) > 1 and text.endswith(b'"') else text[1:]))
        else:
            self._word(text)
        return match.end()

    def _special(self, mark: bytes, position: int) -> int:
        if mark == b"(":
            return self._comment(position)
        if mark == b"<":
            self._is_angle = self._draft.has_angle = True
            self._draft.local, self._draft.domain, self._draft.has_at = [], [], False
        elif mark == b">":
            self._is_angle = False
        elif mark == b"@":
            self._at()
        elif mark == b":":
            self._colon()
        elif mark == b",":
            self._comma()
        elif mark == b";" and not self._is_angle:
            self._finish_group()
        elif mark == b".":
            self._dot()
        return position

    def _word(self, text: bytes) -> None:
        draft = self._draft
        if draft.has_at and (self._is_angle or not draft.has_angle):
            draft.domain.append(text)
        elif self._is_angle:
            draft.local.append(text)
        elif draft.is_glued and draft.words:
            draft.words[-1] += text
        else:
            draft.words.append(bytearray(text))
        draft.is_glued = False

    def _dot(self) -> None:
        draft = self._draft
        is_name = not self._is_angle and (not draft.has_at or draft.has_angle)
        if is_name and draft.words:
            draft.words[-1] += b"."
        else:
            self._word(b".")
        draft.is_glued = True

    def _at(self) -> None:
        draft = self._draft
        if draft.has_angle and not self._is_angle:
            return
        if not self._is_angle and not draft.has_at:
            draft.local, draft.words = [*draft.words], []
        elif draft.has_at:
            draft.domain.append(b"@")
        draft.has_at = True

    def _colon(self) -> None:
        draft = self._draft
        if self._is_angle:  # what stood before was a source route
            draft.route = [b"@", *draft.domain]
            draft.local, draft.domain, draft.has_at = [], [], False
        elif not self._is_group and not draft.has_at:
            self._found.append(b"(NIL NIL %b NIL)" % string(b" ".join(draft.words)))
            self._draft, self._is_group = _Draft(), True

    def _comma(self) -> None:
        if not self._is_angle:
            self._finish_address()
        elif self._draft.has_at and not self._draft.local:  # between the domains of a source route
            self._draft.domain.append(b",")

    def _comment(self, position: int) -> int:
        """Skip a comment that opened before `position`; without an end it runs to the end of the field."""
        depth, start = 1, position
        while (edge := _COMMENT_EDGE.search(self._value, position)) is not None:
            position = edge.end()
            depth += {b"(": 1, b")": -1}.get(edge[0], 0)
            if depth == 0:
                self._draft.comment = unescape(self._value[start : edge.start()]).strip()
                return position
        self._draft.comment = unescape(self._value[start:]).strip()
        return len(self._value)

    def _finish_group(self) -> None:
        self._finish_address()
        if self._is_group:
            self._found.append(_END_OF_GROUP)
            self._is_group = False

    def _finish_address(self) -> None:
        draft, self._draft, self._is_angle = self._draft, _Draft(), False
        if draft.has_angle or draft.has_at:
            name = b" ".join(draft.words) or draft.comment
            route = b"".join(draft.route) or None
            self._found.append(_address(name or None, route, b"".join(draft.local), b"".join(draft.domain)))
        elif draft.words:
            self._found.append(_address(draft.comment or None, None, b" ".join(draft.words), b""))
