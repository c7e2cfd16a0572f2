"""A message on its way from a client's session into transport: header stamped, body passed on, one reply at
the end.

The `Sink` is where it goes: the front end's is the internal hop, transport's is the queue. Trace fields are
put in front of the header section that the core cut off, which is the only place where fields are ever added;
what the header firewall forbids is removed there too. Called by the SMTP session.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from runtime.net.session import Connection
from runtime.protocols.smtp.replies import Reply
from runtime.services.smtp_rights import Rights
from runtime.transport import headers
from runtime.transport.envelope import Envelope, Origin
from schemas.v1.extended_rights import Right


class Sink(Protocol):
    """Takes one message. `done` is called once, on the event loop, after `finish`."""

    def write(self, data: bytes) -> None: ...

    def finish(self, done: Callable[[Reply], None]) -> None: ...

    def abort(self) -> None:
        """Nothing of the message may be queued."""


#: Begins a message. The second argument is called with False to stop the client's bytes for a while, then with True.
NewSink = Callable[[Envelope, Callable[[bool], None]], Sink]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What this hop puts into a header section. `local` is the address that the client reached."""

    origin: Origin
    rights: Rights
    fqdn: str
    local: str
    is_extended: bool

    def apply(self, header: bytes) -> bytes:
        """The section with our fields in front and without those that the client may not set."""
        kept = headers.firewall(header, self._forbidden())
        added, _ = headers.missing_fields(kept, fqdn=self.fqdn, is_submission=bool(self.origin.user))
        received = headers.received_from_client(
            self.origin, fqdn=self.fqdn, local=self.local, is_extended=self.is_extended
        )
        separator = b"" if headers.is_header_like(kept) else b"\r\n"
        return received + added + separator + kept

    def _forbidden(self) -> tuple[bytes, ...]:
        forbidden: tuple[bytes, ...] = ()
        if Right.ACCEPT_HEADERS_ORGANIZATION not in self.rights:
            forbidden += (headers.ORGANIZATION_FIELDS,)
        if Right.ACCEPT_HEADERS_FOREST not in self.rights:
            forbidden += (headers.FOREST_FIELDS,)
        return (
            forbidden
            if Right.ACCEPT_HEADERS_ROUTING in self.rights
            else (*forbidden, *headers.ROUTING_FIELDS)
        )


class ReadGate:
    """Whether a client's bytes are read: not while anybody has a reason against it. `connection` is set once."""

    connection: Connection

    def __init__(self) -> None:
        self._reasons: set[str] = set()

    def shut(self, reason: str) -> None:
        self._reasons.add(reason)
        self.connection.pause_reading()

    def is_shut(self, reason: str) -> bool:
        return reason in self._reasons

    def open(self, reason: str) -> None:
        self._reasons.discard(reason)
        if not self._reasons:
            self.connection.resume_reading()

    def flow(self, may_write: bool) -> None:
        """The sink is full, or has room again."""
        if may_write:
            self.open("sink")
        else:
            self.shut("sink")


class Transaction:
    """The message that a session is being given: envelope first, then the sink that takes the content."""

    def __init__(self, new_sink: NewSink, flow: Callable[[bool], None]) -> None:
        self._new_sink = new_sink
        self._flow = flow
        self._sink: Sink | None = None
        self.sender = ""
        self.recipients: list[str] = []

    def header(self, data: bytes, stamp: Stamp) -> None:
        """The header section: the first piece of every message."""
        self._open(stamp.origin).write(stamp.apply(data))

    def content(self, data: bytes) -> None:
        """A piece of the body."""
        if self._sink is not None:
            self._sink.write(data)

    def finish(self, done: Callable[[Reply], None]) -> None:
        """The message is complete; `done` gets the reply."""
        sink, self._sink = self._sink, None
        if sink is None:
            raise RuntimeError("the core ended a message that had no header section")
        sink.finish(done)

    def reset(self) -> None:
        """Forget everything; what was handed over but not finished is not queued."""
        if self._sink is not None:
            self._sink.abort()
            self._sink = None
        self.sender = ""
        self.recipients = []

    def _open(self, origin: Origin) -> Sink:
        if self._sink is None:
            submission = secrets.token_hex(8)
            envelope = Envelope(self.sender, tuple(self.recipients), origin, time.time(), submission)
            self._sink = self._new_sink(envelope, self._flow)
        return self._sink
