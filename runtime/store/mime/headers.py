"""Header fields and the structured values of MIME fields (RFC 5322 2.2, RFC 2045 5.1, RFC 2183).

It unfolds and splits; it never decodes RFC 2047 or RFC 2231, and the first field of a name wins. The parser and the
envelope call it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from runtime.store.mime.limits import Limits
from runtime.store.mime.part import Parameters

_TOKEN = rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_MEDIA_TYPE = re.compile(rb"[ \t]*(" + _TOKEN + rb")[ \t]*/[ \t]*(" + _TOKEN + rb")[ \t]*(?=;|$|[ \t])")
_PARAMETER = re.compile(
    rb';[ \t]*([^\s=;"]++)[ \t]*+=[ \t]*+(?:"((?:[^"\\]++|\\.)*+)"[^;]*+|([^;]*+))'
    rb'|;[^;"]*+(?:"(?:[^"\\]++|\\.)*+"?[^;"]*+)*+',  # anything else up to the next semicolon
    re.DOTALL,
)
_COMMON_LENGTH = 100
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_EDGE = re.compile(rb'[()"\\]')
_FIELD = re.compile(
    rb"\r\n(content-(?:type|transfer-encoding|id|description|md5|disposition|language|location)"
    rb"|date|subject|from|sender|reply-to|to|cc|bcc|in-reply-to|message-id)[ \t]*+:([^\r]*+(?:\r(?!\n)[^\r]*+)*+)",
    re.IGNORECASE,
)


def fields(header: bytes) -> dict[bytes, bytes]:
    """The values of the fields that ENVELOPE and BODYSTRUCTURE tell, unfolded and stripped, by lower-case name."""
    if header.count(b"\n") != header.count(b"\r\n"):
        header = header.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    unfolded = header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
    found: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(b"\r\n" + unfolded):
        found.setdefault(name.lower(), value.strip())
    return found


class ContentType(NamedTuple):
    """Type and subtype in lower case."""

    type: str
    subtype: str
    parameters: Parameters


def content_type(value: bytes | None, limits: Limits) -> ContentType | None:
    """A Content-Type (RFC 2045 5.1), None where the field is missing or malformed."""
    if value is None:
        return None
    return (
        _common_content_type(value, limits) if len(value) <= _COMMON_LENGTH else _content_type(value, limits)
    )


def _content_type(value: bytes, limits: Limits) -> ContentType | None:
    bare = without_comments(value)
    match = _MEDIA_TYPE.match(bare)
    if match is None:
        return None
    return ContentType(
        match[1].decode("ascii").lower(), match[2].decode("ascii").lower(), parameters(bare, limits)
    )


#: The same few types without a boundary make up most parts.
_common_content_type = lru_cache(maxsize=1024)(_content_type)


def parameters(value: bytes, limits: Limits) -> Parameters:
    """`; attribute=value` pairs behind the first semicolon; those beyond the limit are dropped."""
    start = value.find(b";")
    if start < 0:
        return ()
    found: list[tuple[bytes, bytes]] = []
    for match in _PARAMETER.finditer(value, start):
        if match[1] is None:
            continue
        if len(found) == limits.parameters:
            break
        found.append((match[1].lower(), _parameter_value(match[2], match[3])))
    return tuple(found)


def without_comments(value: bytes) -> bytes:
    """The value with every comment replaced by a space; parentheses inside quoted strings stay."""
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    position = depth = 0
    is_quoted = False
    while (edge := _COMMENT_EDGE.search(value, position)) is not None:
        mark = edge[0]
        end = min(edge.end() + (mark == b"\\"), len(value))
        is_text = depth == 0 and (is_quoted or mark not in b"()")
        kept.append(value[position : end if is_text else edge.start()] if depth == 0 else b"")
        if mark == b'"' and depth == 0:
            is_quoted = not is_quoted
        elif mark == b"(" and not is_quoted:
            depth += 1
            kept.append(b" ")
        elif mark == b")" and not is_quoted:
            depth = max(depth - 1, 0)
        position = end
    if depth == 0:
        kept.append(value[position:])
    return b"".join(kept)


def disposition(value: bytes | None, limits: Limits) -> tuple[bytes, Parameters] | None:
    """Content-Disposition (RFC 2183)."""
    if not value:
        return None
    bare = without_comments(value)
    kind = bare.partition(b";")[0].strip().lower()
    return (kind, parameters(bare, limits)) if kind else None


def languages(value: bytes | None, limits: Limits) -> tuple[bytes, ...]:
    """Content-Language (RFC 3282): its tags."""
    if not value:
        return ()
    tags = [tag.strip() for tag in without_comments(value).split(b",", limits.languages)[: limits.languages]]
    return tuple(tag for tag in tags if tag)


def unescape(quoted: bytes) -> bytes:
    """The text of a quoted string's inside."""
    return _ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def _parameter_value(quoted: bytes | None, bare: bytes | None) -> bytes:
    return unescape(quoted) if quoted is not None else (bare or b"").strip()
