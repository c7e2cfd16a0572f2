"""Encoders of what a server sends. No value can break out of its place: what a form cannot hold goes into another
form, or is refused with `ValueError`.

A string with CR, LF or 8-bit octets becomes a literal, never a quoted string; an atom is checked; a human text
loses its control characters. Called by services and by `fetch_items` for labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from runtime.protocols.imap4.grammar import ASTRING_ATOM, ATOM, CRLF, FLAG, QUOTABLE, TAG
from runtime.protocols.imap4.values import MailboxName

_NEEDS_ESCAPE = re.compile(rb'([\\"])')
_NOT_TEXT = re.compile(r"[^\x20-\x7e]")
_LONGEST_QUOTED = 1024


def literal(value: bytes) -> bytes:
    """{n} CRLF octets. Raises `ValueError` for NUL, which no string of RFC 3501 may hold."""
    if b"\x00" in value:
        raise ValueError("a literal must not hold NUL")
    return b"{%d}\r\n%b" % (len(value), value)


def string(value: bytes) -> bytes:
    """A quoted string where it can hold the value, a literal where not."""
    if len(value) > _LONGEST_QUOTED or not QUOTABLE.fullmatch(value):
        return literal(value)
    return b'"%b"' % _NEEDS_ESCAPE.sub(rb"\\\1", value)


def nstring(value: bytes | None) -> bytes:
    return b"NIL" if value is None else string(value)


def astring(value: bytes) -> bytes:
    """An atom where it can hold the value, a string where not."""
    return value if ASTRING_ATOM.fullmatch(value) and value.upper() != b"NIL" else string(value)


def atom(value: bytes) -> bytes:
    """The value itself. Raises `ValueError` when it is no atom."""
    if not ATOM.fullmatch(value):
        raise ValueError("not an atom")
    return value


def mailbox(name: str) -> bytes:
    """A mailbox name in modified UTF-7."""
    return astring(MailboxName(name).encoded)


def flags(names: Iterable[str]) -> bytes:
    """A flag list in parentheses. Raises `ValueError` for what is no flag."""
    return b"(%b)" % b" ".join(_flag(name) for name in names)


def _flag(name: str) -> bytes:
    encoded = name.encode("ascii", "replace")
    if encoded != b"\\*" and not FLAG.fullmatch(encoded):
        raise ValueError("not a flag")
    return encoded


def text(value: str) -> bytes:
    """resp-text: printable ASCII on one line; anything else becomes "?"."""
    return _NOT_TEXT.sub("?", value).encode("ascii")


def tagged(tag: bytes, status: str, message: str, *, code: bytes = b"") -> bytes:
    """`tag OK [code] message`. `status` is OK, NO or BAD; `code` comes from this module's encoders."""
    if tag != b"*" and not TAG.fullmatch(tag):
        raise ValueError("not a tag")
    return tag + _status(status, message, code)


@lru_cache(maxsize=256)
def _status(status: str, message: str, code: bytes) -> bytes:
    """Few different ones are said again and again."""
    bracket = b"[%b] " % code if code else b""
    return b" %b %b%b\r\n" % (status.encode("ascii"), bracket, text(message))


def untagged(data: bytes) -> bytes:
    """`* data`, the data made by this module's encoders."""
    return b"* " + data + CRLF


def bye(message: str) -> bytes:
    return tagged(b"*", "BYE", message)


def continuation(message: str) -> bytes:
    return b"+ " + text(message) + CRLF


def capabilities(names: Iterable[str]) -> bytes:
    return untagged(b"CAPABILITY " + b" ".join(atom(name.encode("ascii")) for name in names))


def number_set(numbers: Sequence[int]) -> bytes:
    """Numbers in the order given, with ascending runs as ranges: COPYUID pairs two such sets by position."""
    pieces: list[bytes] = []
    start = previous = 0
    for number in (*numbers, 0):
        if pieces and number == previous + 1:
            previous = number
            pieces[-1] = b"%d:%d" % (start, previous)
        elif number:
            start = previous = number
            pieces.append(b"%d" % number)
    return b",".join(pieces)
