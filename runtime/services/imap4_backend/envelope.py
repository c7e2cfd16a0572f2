"""Reads a rendered ENVELOPE back into texts to search in (RFC 3501 section 7.4.2).

Encoded words (RFC 2047) are decoded; what cannot be decoded stays as it is. Only for envelopes that the store
rendered. Called by `search`.
"""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import TypeAlias

_Item: TypeAlias = "bytes | list[_Item]"
_TOKEN = re.compile(rb'(\()|(\))|"((?:[^"\\]|\\.)*)"|\{([0-9]+)\}\r\n|NIL| ', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
#: Positions in the envelope.
DATE = 0
FIELDS = {"SUBJECT": 1, "FROM": 2, "TO": 5, "CC": 6, "BCC": 7}


def parse(envelope: bytes) -> list[_Item]:
    """The ten members; NIL is empty."""
    stack: list[list[_Item]] = [[]]
    position = 0
    while match := _TOKEN.match(envelope, position):
        position = match.end()
        opened, closed, quoted, counted = match.groups()
        if opened:
            stack.append([])
        elif closed:
            inner = stack.pop()
            stack[-1].append(inner)
        elif quoted is not None:
            stack[-1].append(_ESCAPE.sub(rb"\1", quoted))
        elif counted is not None:
            stack[-1].append(envelope[position : position + int(counted)])
            position += int(counted)
        elif match[0] == b"NIL":
            stack[-1].append(b"")
    whole = stack[0][0]
    return whole if isinstance(whole, list) else []


def field_text(envelope: bytes, name: str) -> str:
    """Text of SUBJECT, or the addresses of FROM, TO, CC, BCC as "name <mailbox@host>"."""
    item = parse(envelope)[FIELDS[name]]
    if isinstance(item, bytes):
        return decode_words(item)
    return ", ".join(_address(address) for address in item if isinstance(address, list))


def _address(parts: list[_Item]) -> str:
    name, _, mailbox, host = (part if isinstance(part, bytes) else b"" for part in parts)
    address = mailbox + b"@" + host if host else mailbox
    return f"{decode_words(name)} <{address.decode('utf-8', 'replace')}>"


def decode_words(value: bytes) -> str:
    """RFC 2047; raw 8-bit text is taken for UTF-8, and a tab (from folding) for a space."""
    text = value.decode("utf-8", "replace").replace("\t", " ")
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return text
