"""What the services do to a header section: trace fields in front, the header firewall, the fields a message
must have.

Each function takes the whole header section, as the core hands it out, and returns octets; fields are put in
front of the first line and nowhere else, so nothing a client sent can end up around them. Values that go into
a field have passed SMTP's grammar.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from email.utils import formatdate

from runtime.protocols.smtp import grammar
from runtime.transport.envelope import Origin

#: Header fields that only our own services may set, by the right that keeps them (Exchange's header firewall).
ORGANIZATION_FIELDS = b"x-ms-exchange-organization-"
FOREST_FIELDS = b"x-ms-exchange-forest-"
ROUTING_FIELDS = (b"received:", b"resent-")

_FIELD = re.compile(rb"[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n")


class _Clock:
    """The date as RFC 5322 writes it, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def date(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, localtime=True)
        return self._text


_clock = _Clock()


def received_from_client(origin: Origin, *, fqdn: str, local: str, is_extended: bool) -> bytes:
    """The Received field of the service that the client talked to (RFC 5321 4.4; RFC 3848 for "with")."""
    secured = f"{'S' if origin.is_tls else ''}{'A' if origin.user else ''}"
    protocol = f"ESMTP{secured}" if is_extended else "SMTP"
    return (
        f"Received: from {origin.hello or 'unknown'} ({_literal(origin.client)})\r\n"
        f"\tby {fqdn} ({_literal(local)}) with {protocol} id {origin.session};\r\n\t{_clock.date()}\r\n"
    ).encode("ascii")


def received_in_transport(*, sender: str, fqdn: str, marker: str) -> bytes:
    """The Received field of the queue; `marker` names the message for ever, `sender` the service that handed it in."""
    return (
        f"Received: from {sender} by {fqdn}\r\n\twith Mail Transport id {marker};\r\n\t{_clock.date()}\r\n"
    ).encode("ascii")


#: How `received_in_transport` begins a delivered message, behind Return-Path.
DELIVERED = re.compile(
    rb"Return-Path: [^\r\n]*\r\nReceived: from \S+ by \S+\r\n\twith Mail Transport id (?P<marker>[0-9a-f]+\.[0-9]+);"
)


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def return_path(sender: str) -> bytes:
    """The field that final delivery puts first (RFC 5321 4.4)."""
    return f"Return-Path: <{sender}>\r\n".encode("ascii")


def firewall(header: bytes, prefixes: tuple[bytes, ...]) -> bytes:
    """The header without the fields whose names, with their colon, begin with one of `prefixes` (lower case). Blanks
    before the colon do not make another name (RFC 5322 4.5)."""
    lowered = header.lower()
    if not any(prefix.rstrip(b":") in lowered for prefix in prefixes):
        return header
    return b"".join(field for field in split_fields(header) if not _name(field).startswith(prefixes))


def _name(field: bytes) -> bytes:
    name, colon, _ = field.partition(b":")
    return name.rstrip().lower() + colon


def split_fields(header: bytes) -> Iterable[bytes]:
    """The fields with their continuation lines, then the empty line; joined they are the header again."""
    end = 0
    for match in _FIELD.finditer(header):
        yield match[0]
        end = match.end()
    if end < len(header):
        yield header[end:]


def missing_fields(header: bytes, *, fqdn: str, is_submission: bool) -> tuple[bytes, str]:
    """(fields to put in front, the Message-ID). A message without Message-ID gets one; one that its author submitted
    gets a Date as well (RFC 6409 8)."""
    found = grammar.find_message_id(header)
    message_id = found or f"<{uuid.uuid4().hex}@{fqdn}>"
    fields = b"" if found else f"Message-ID: {message_id}\r\n".encode("ascii")
    if is_submission and b"\ndate:" not in b"\n" + header.lower():
        fields += f"Date: {_clock.date()}\r\n".encode("ascii")
    return fields, message_id


def is_header_like(header: bytes) -> bool:
    """Whether the section begins with a field, so that fields may stand before it without an empty line."""
    return header.startswith(b"\r\n") or re.match(rb"[\x21-\x39\x3b-\x7e]+[ \t]*:", header) is not None
