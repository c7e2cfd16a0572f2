"""POP3 replies as bytes. Texts cannot carry a line end into the stream, and bodies are byte-stuffed. Pure
functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

#: RFC 2449 4: a response line has at most 512 octets, its CRLF included.
MAX_REPLY_LINE = 512

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def ok(text: str = "") -> bytes:
    return _line("+OK", text)


def err(text: str) -> bytes:
    return _line("-ERR", text)


def challenge(text: str = "") -> bytes:
    """A SASL challenge; `text` is base64."""
    return f"+ {text}\r\n".encode("ascii")


def lines(text: str, rows: Iterable[bytes]) -> bytes:
    """A multi-line reply of rows that are known not to begin with a dot: numbers and keywords."""
    return ok(text) + b"".join(row + b"\r\n" for row in rows) + b".\r\n"


class Stuffed(NamedTuple):
    """A body in three parts, in this order on the wire; apart, because joining a large one copies it once more."""

    start: bytes
    body: bytes
    end: bytes


def stuffed(content: bytes) -> Stuffed:
    """A message as the body of a multi-line reply: dots doubled at line starts, its end marked (RFC 1939 3)."""
    start = b"." if content.startswith(b".") else b""
    end = b".\r\n" if not content or content.endswith(b"\r\n") else b"\r\n.\r\n"
    return Stuffed(start, content.replace(b"\r\n.", b"\r\n.."), end)


def top(content: bytes, count: int) -> bytes:
    """The header, the blank line, and `count` lines of the body (RFC 1939 7, TOP)."""
    blank = content.find(b"\r\n\r\n")
    if blank < 0:
        return content
    end = blank + 4
    for _ in range(count):
        found = content.find(b"\r\n", end)
        if found < 0:
            return content
        end = found + 2
    return content[:end]


def _line(status: str, text: str) -> bytes:
    clean = _BREAKS.sub(" ", text).strip()
    whole = f"{status} {clean}" if clean else status
    return whole.encode()[: MAX_REPLY_LINE - 2] + b"\r\n"
