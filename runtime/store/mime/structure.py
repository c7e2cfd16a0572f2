"""BODY and BODYSTRUCTURE (RFC 3501 7.4.2), rendered from a tree of parts without recursion.

Children are rendered before what holds them. Called at delivery only; the result is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from runtime.store.mime.envelope import render_envelope
from runtime.store.mime.headers import disposition, languages
from runtime.store.mime.limits import LIMITS
from runtime.store.mime.part import Octets, Parameters, Part
from runtime.store.mime.wire import body_parameters, nstring, string

_EXTENSION = (b"content-disposition", b"content-language", b"content-location")


def render_body(part: Part, data: Octets, *, extended: bool) -> bytes:
    """The body structure of the message `part` in `data`: BODYSTRUCTURE where `extended`, else BODY."""
    return render_bodies(part, data)[extended]


def render_bodies(part: Part, data: Octets) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE of the message `part` in `data`."""
    order = [part]
    for here in order:
        order.extend(here.children)
        if here.message is not None:
            order.append(here.message)
    rendered: dict[int, tuple[bytes, bytes]] = {}
    for here in reversed(order):
        rendered[id(here)] = _multipart(here, rendered) if here.children else _single(here, data, rendered)
    return rendered[id(part)]


def _single(part: Part, data: Octets, rendered: dict[int, tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    found = part.fields
    basic = b"%b %b %b %b %d" % (
        _content_type(part.type, part.subtype, part.parameters),
        nstring(found.get(b"content-id")),
        nstring(found.get(b"content-description")),
        string(part.encoding),
        part.size,
    )
    tail = b"%b %b" % (nstring(found.get(b"content-md5")), _extension(found))
    if part.message is not None:
        body, structure = rendered.pop(id(part.message))
        basic = b"%b %b" % (basic, render_envelope(data, part.message))
        return b"(%b %b %d)" % (basic, body, part.lines), b"(%b %b %d %b)" % (
            basic,
            structure,
            part.lines,
            tail,
        )
    if part.type == "text":
        basic = b"%b %d" % (basic, part.lines)
    return b"(%b)" % basic, b"(%b %b)" % (basic, tail)


def _multipart(part: Part, rendered: dict[int, tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    children = [rendered.pop(id(child)) for child in part.children]
    subtype = string(part.subtype.encode())
    return b"(%b %b)" % (b"".join([body for body, _ in children]), subtype), b"(%b %b %b %b)" % (
        b"".join([structure for _, structure in children]),
        subtype,
        body_parameters(part.parameters),
        _extension(part.fields),
    )


@lru_cache(maxsize=1024)
def _content_type(main: str, sub: str, parameters: Parameters) -> bytes:
    return b"%b %b %b" % (string(main.encode()), string(sub.encode()), body_parameters(parameters))


def _extension(found: Mapping[bytes, bytes]) -> bytes:
    """Disposition, language and location, which end every part."""
    if found.keys().isdisjoint(_EXTENSION):
        return b"NIL NIL NIL"
    return b"%b %b %b" % (
        _disposition(found.get(b"content-disposition")),
        _languages(found.get(b"content-language")),
        nstring(found.get(b"content-location")),
    )


def _disposition(value: bytes | None) -> bytes:
    parsed = disposition(value, LIMITS) if value else None
    return b"NIL" if parsed is None else b"(%b %b)" % (string(parsed[0]), body_parameters(parsed[1]))


def _languages(value: bytes | None) -> bytes:
    tags = languages(value, LIMITS) if value else ()
    if not tags:
        return b"NIL"
    return string(tags[0]) if len(tags) == 1 else b"(%b)" % b" ".join([string(tag) for tag in tags])
