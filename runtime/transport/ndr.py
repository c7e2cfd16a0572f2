"""Non-delivery reports (RFC 3464): what went wrong, for a person and for a program, with the header of the
message.

One report for all recipients of a message that failed together. Text of other servers comes in as `Reply`,
which holds printable ASCII only; addresses have passed the grammar; so no value can begin a field or a part
of its own.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from email.utils import formatdate

from runtime.transport.categorizer import Unrouted
from runtime.transport.envelope import Envelope

#: Octets of the original header that a report carries.
MAX_HEADER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports: the server's fully qualified name, and the domain of its postmaster."""

    fqdn: str
    domain: str


def build_report(
    envelope: Envelope, failed: tuple[Unrouted, ...], header: bytes, reporter: Reporter
) -> bytes:
    """The whole message, for `envelope.sender`, lines ended by CRLF."""
    boundary = f"report-{secrets.token_hex(12)}"
    parts = (
        ("text/plain; charset=us-ascii", _for_people(failed, reporter)),
        ("message/delivery-status", _for_programs(envelope, failed, reporter)),
        ("text/rfc822-headers", header[:MAX_HEADER].rstrip(b"\r\n") + b"\r\n"),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + data + b"\r\n" for kind, data in parts
    )
    return _head(envelope, reporter, boundary) + body + f"--{boundary}--\r\n".encode()


def _head(envelope: Envelope, reporter: Reporter, boundary: str) -> bytes:
    lines = (
        f"From: Mail Delivery System <postmaster@{reporter.domain}>",
        f"To: <{envelope.sender}>",
        "Subject: Undeliverable mail",
        f"Date: {formatdate(localtime=True)}",
        f"Message-ID: <{uuid.uuid4().hex}@{reporter.fqdn}>",
        "MIME-Version: 1.0",
        "Auto-Submitted: auto-replied",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii") + b"\r\n"


def _for_people(failed: tuple[Unrouted, ...], reporter: Reporter) -> bytes:
    lines = [
        "Your message could not be delivered to:",
        "",
        *(f"  {one.address}\r\n    {one.reply.text}" for one in failed),
        "",
        f"Generating server: {reporter.fqdn}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


def _for_programs(envelope: Envelope, failed: tuple[Unrouted, ...], reporter: Reporter) -> bytes:
    arrival = formatdate(envelope.accepted, localtime=True)
    message = f"Reporting-MTA: dns;{reporter.fqdn}\r\nArrival-Date: {arrival}\r\n"
    recipients = "".join(
        f"\r\nFinal-Recipient: rfc822;{one.address}\r\nAction: failed\r\n"
        f"Status: {one.reply.enhanced or '5.0.0'}\r\nDiagnostic-Code: smtp;{one.reply.text}\r\n"
        for one in failed
    )
    return (message + recipients).encode("ascii", "replace")


def header_of(content: bytes) -> bytes:
    """The header section of a message."""
    end = content.find(b"\r\n\r\n")
    return content[: end + 2] if end >= 0 else content
