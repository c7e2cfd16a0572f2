"""Cuts BODY[…] sections out of a message (RFC 3501 section 6.4.5).

Sections of the whole message need no MIME structure and are cut without it; a numbered part asks for it. Called by
`fetch`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from runtime.protocols.imap4.values import Section
from runtime.store.mime import Part
from runtime.store.mime import section as find_part

_HEADER_END = re.compile(rb"\A\r?\n|\r?\n\r?\n")
#: One field with its continuation lines, or the blank line.
_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*|[^\n]+\Z")


def cut(content: bytes, section: Section, structure: Callable[[], Part | None]) -> bytes | None:
    """The octets of the section, or None (NIL) when the message has no such part."""
    found = _whole(content, section.text) if not section.path else _part(content, section, structure())
    if found is None:
        return None
    if section.fields:
        found = pick_fields(found, section)
    if section.partial is None:
        return found
    start, count = section.partial
    return found[start : start + count]


def _whole(content: bytes, text: str) -> bytes:
    if not text:
        return content
    end = header_end(content)
    return content[end:] if text == "TEXT" else content[:end]


def header_end(content: bytes) -> int:
    """Where the body starts: behind the blank line."""
    match = _HEADER_END.search(content)
    return match.end() if match else len(content)


def _part(content: bytes, section: Section, root: Part | None) -> bytes | None:
    part = find_part(content, root, section.path) if root is not None else None
    if part is None:
        return None
    if not section.text:
        return content[part.body_start : part.body_end]
    if section.text == "MIME":
        return content[part.header_start : part.body_start]
    inner = part.message
    if inner is None:
        return None
    if section.text == "TEXT":
        return content[inner.body_start : inner.body_end]
    return content[inner.header_start : inner.body_start]


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
