"""Cuts BODY[…] sections out of a message (RFC 3501 section 6.4.5).

Sections of the whole message need no MIME structure and are cut without it; a numbered part asks for it. What is cut
is a view: a message in memory is never copied, however many of its sections are asked for. Called by `fetch`.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from runtime.protocols.imap4.values import Section
from runtime.store.mime import Part
from runtime.store.mime import section as find_part

_HEADER_END = re.compile(rb"\A\r?\n|\r?\n\r?\n")
#: One field with its continuation lines, or the blank line.
_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*|[^\n]+\Z")


#: Where octets of a message begin and end.
_Span: TypeAlias = tuple[int, int]


def cut(content: bytes, section: Section, structure: Part | None) -> memoryview | None:
    """The octets of the section, or None (NIL) when the message has no such part. `structure` is needed for a section
    with a path."""
    span = _part(content, section, structure) if section.path else _whole(content, section.text)
    if span is None:
        return None
    found = memoryview(content)[span[0] : span[1]]
    if section.fields:
        found = memoryview(pick_fields(bytes(found), section))
    if section.partial is None:
        return found
    start, count = section.partial
    return found[start : start + count]


def _whole(content: bytes, text: str) -> _Span:
    if not text:
        return 0, len(content)
    end = header_end(content)
    return (end, len(content)) if text == "TEXT" else (0, end)


def header_end(content: bytes) -> int:
    """Where the body starts: behind the blank line."""
    match = _HEADER_END.search(content)
    return match.end() if match else len(content)


def _part(content: bytes, section: Section, root: Part | None) -> _Span | None:
    part = find_part(content, root, section.path) if root is not None else None
    if part is None:
        return None
    if not section.text:
        return part.body_start, part.body_end
    if section.text == "MIME":
        return part.header_start, part.body_start
    inner = part.message
    if inner is None:
        return None
    if section.text == "TEXT":
        return inner.body_start, inner.body_end
    return inner.header_start, inner.body_start


def pick_fields(header: bytes, section: Section) -> bytes:
    """The fields that are named (or those that are not), and the blank line."""
    wanted = {name.lower() for name in section.fields}
    is_inverted = section.text.endswith(".NOT")
    fields = (match[0] for match in _FIELD.finditer(header))
    picked = (
        field
        for field in fields
        if b":" in field and (field.partition(b":")[0].strip().lower() in wanted) is not is_inverted
    )
    return b"".join(picked) + b"\r\n"
