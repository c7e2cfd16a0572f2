"""What the IMAP4 and POP3 front ends share as services: listeners, limits, joined sessions, drain.

A front end terminates TLS, applies the connection limits, verifies credentials, finds the back end that owns
the mailbox, introduces the user there and pumps. It parses nothing after the logon and never touches a
mailbox. A protocol's module builds a `FrontEnd` with its own subclass of `front_end_session.FrontEndSession`,
which holds the words before the logon.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from runtime.directory.directory import MailboxEntry
from runtime.net.connection import LINGER, StreamConnection
from runtime.net.session import Connection, Session
from runtime.net.tls import CertificateLike, choose_certificate, server_context
from runtime.protocol_log.pop_imap import PopImapLog
from runtime.services.backend_hop import SESSIONS_PER_DRAIN, Drain, audience, sign_drain
from runtime.services.base import Host, Listener, Snapshot
from runtime.services.hop_client import HopCall
from runtime.throttling.connections import ConnectionTicket, Refused
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.mailbox import Mailbox
from schemas.v1.pop_settings import PopSettings

log = logging.getLogger("runtime.services")

#: Seconds for which a connection before its logon is safe from making room for a new one.
EVICTION_AGE = 5.0

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Destination:
    """A back end: where it listens, and its name in lines to it (`backend_hop.audience`)."""

    address: Address
    name: str


@dataclass(frozen=True, slots=True)
class FrontEndFacts:
    """What distinguishes the two front ends."""

    service: str  # "imap4": also the scope of the connection counters
    back_end: Literal["imap", "pop"]
    certificate_service: str  # "IMAP"
    log_prefix: str  # "IMAP4", the beginning of log file names
    log_folder: str  # "Imap4", below the server's log directory
    is_enabled: Callable[[Mailbox], bool]


class PreLogon(Session, Protocol):
    """What a front end needs of a session that has not logged on."""

    @property
    def since(self) -> float:
        """When it was accepted (monotonic seconds)."""

    @property
    def is_logging_on(self) -> bool: ...

    def admit(self, connection: StreamConnection) -> bool:
        """Count it; False drops it before TLS."""

    def make_room(self) -> None:
        """End it now because the service is full."""

    def shut_down(self) -> None:
        """End it now because the service stops."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A logged-on session: two connections and a pump."""

    session_id: str
    destination: Destination
    client: Connection
    back_end: Connection
    ticket: ConnectionTicket


class FrontEnd:
    """One generation of a front end (`runtime.services.base.Service`)."""

    def __init__(
        self,
        host: Host,
        snapshot: Snapshot,
        facts: FrontEndFacts,
        *,
        settings: ImapSettings | PopSettings,
        new_session: Callable[[FrontEnd, Listener], PreLogon],
    ) -> None:
        self.host = host
        self.facts = facts
        self.settings = settings
        self.log: PopImapLog | None = None
        self.tls: ssl.SSLContext | None = None
        self.eviction_age = EVICTION_AGE
        self.idle_timeout = settings.pre_authenticated_connection_timeout.total_seconds()
        self._snapshot = snapshot
        self._new_session = new_session
        self._pre_logon: dict[PreLogon, None] = {}
        self._joined: dict[str, Joined] = {}
        self._calls: set[HopCall] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._deadline: float | None = None

    # runtime.services.base.Service

    async def start(self) -> None:
        """Raises TlsError when the certificate that the settings choose cannot be used."""
        certificate = self._choose_certificate()
        if certificate is None:
            log.error("%s has no certificate: TLS is not offered", self.facts.service)
        else:
            self.tls = server_context(certificate.certificate_file, certificate.private_key_file)
        directory = self.host.state / "servers" / self.host.server / "logs" / self.facts.log_folder
        self.log = PopImapLog.from_settings(
            self.settings, prefix=self.facts.log_prefix, default_directory=directory
        )

    def protocol_factory(self, listener: Listener) -> Callable[[], StreamConnection]:
        """A session and its connection for each client. Without a certificate an implicit-TLS listener is served in
        clear, just to say so and close."""
        tls = self.tls if listener.tls == "implicit" else None

        def accept() -> StreamConnection:
            session = self._new_session(self, listener)
            return StreamConnection(session, tls, admit=session.admit)

        return accept

    def session_count(self) -> int:
        return len(self._pre_logon) + len(self._joined)

    async def drain(self, over: float) -> None:
        """Sessions before logon may still log on; logged-on ones are ended by their back ends, in the protocol's
        words. What is left after `over` seconds is closed."""
        self._deadline = time.monotonic() + over
        self._drain_joined(self._joined.values(), over)
        if not await self._emptied(over):
            self._end_all()
        self._release()

    async def leave(self) -> None:
        await self._empty.wait()
        self._release()

    async def close(self) -> None:
        self._end_all()
        await self._emptied(LINGER + 1)
        self._release()

    # What sessions use

    @property
    def is_draining(self) -> bool:
        return self._deadline is not None

    def open_ticket(self, session: PreLogon, ip: str) -> ConnectionTicket | Refused:
        """Count a new client; when the service is full the oldest one that has not logged on makes room."""
        ticket = self._try_open(ip)
        if ticket is Refused.MAX_CONNECTIONS and self._evict():
            ticket = self._try_open(ip)
        self._pre_logon[session] = None
        self._empty.clear()
        return ticket

    def forget(self, session: PreLogon) -> None:
        """The session is gone, or has become a `Joined`."""
        self._pre_logon.pop(session, None)
        self._note_if_empty()

    def back_end_of(self, entry: MailboxEntry) -> Destination | None:
        """Where the mailbox lives."""
        address = self.host.directory.backend(entry, self.facts.back_end)
        if address is None or entry.server is None:
            return None
        return Destination(address, audience(entry.server, f"{self.facts.service}-backend"))

    def add_joined(self, joined: Joined) -> None:
        """A session has logged on. During a drain it is drained at once, in the time that is left."""
        self._joined[joined.session_id] = joined
        self._empty.clear()
        if self._deadline is not None:
            self._drain_joined([joined], max(0.0, self._deadline - time.monotonic()))

    def remove_joined(self, joined: Joined) -> None:
        """Both of its connections are gone."""
        joined.ticket.close()
        self._joined.pop(joined.session_id, None)
        self._note_if_empty()

    # Inside

    def _choose_certificate(self) -> CertificateLike | None:
        """By X509CertificateName; when that is not set, the server's own name is preferred to any other."""
        service, name = self.facts.certificate_service, self.settings.x509_certificate_name
        if name:
            return choose_certificate(self._snapshot, service, name)
        own = choose_certificate(self._snapshot, service, self._snapshot.spec.fqdn)
        return own or choose_certificate(self._snapshot, service, None)

    def _try_open(self, ip: str) -> ConnectionTicket | Refused:
        return self.host.counters.try_open(
            self.facts.service,
            ip,
            total=self.settings.max_connections,
            per_ip=self.settings.max_connection_from_single_ip,
        )

    def _evict(self) -> bool:
        """Never one that is logged on or about to be."""
        oldest = next((session for session in self._pre_logon if not session.is_logging_on), None)
        if oldest is None or time.monotonic() - oldest.since < self.eviction_age:
            return False
        oldest.make_room()
        return True

    def _drain_joined(self, sessions: Iterable[Joined], over: float) -> None:
        for destination, group in _by_back_end(sessions).items():
            for some in _chunks(group, SESSIONS_PER_DRAIN):
                self._call_drain(destination, Drain(tuple(some), round(over, 3)))

    def _call_drain(self, destination: Destination, drain: Drain) -> None:
        def done(connection: Connection, rest: bytes) -> None:  # noqa: ARG001 - the call's signature
            self._calls.discard(call)
            connection.close()

        def failed(reason: str) -> None:
            self._calls.discard(call)
            log.warning(
                "%s: %d sessions could not be told of the drain: %s", self.facts.service, count, reason
            )

        count = len(drain.sessions)
        signed = sign_drain(self.host.backend_key, drain, to=destination.name)
        call = HopCall(destination.address, signed, answered=done, failed=failed)
        self._calls.add(call)

    def _end_all(self) -> None:
        for session in list(self._pre_logon):
            session.shut_down()
        for joined in list(self._joined.values()):
            joined.back_end.close()
            joined.client.close()

    async def _emptied(self, within: float) -> bool:
        try:
            await asyncio.wait_for(self._empty.wait(), within)
        except TimeoutError:
            return False
        return True

    def _note_if_empty(self) -> None:
        if not self._pre_logon and not self._joined:
            self._empty.set()

    def _release(self) -> None:
        for call in list(self._calls):
            call.cancel()
        self._calls.clear()
        if self.log is not None:
            self.log.close()


def _by_back_end(sessions: Iterable[Joined]) -> dict[Destination, list[str]]:
    groups: dict[Destination, list[str]] = {}
    for joined in sessions:
        groups.setdefault(joined.destination, []).append(joined.session_id)
    return groups


def _chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
