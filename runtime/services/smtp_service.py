"""One generation of an SMTP service's client side: its connectors, its sessions, admission, drain.

Front end and transport differ in their connectors' role and in where a message goes (`new_sink`); everything
else that sessions share is here. It parses nothing. The two service modules build one each.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Protocol

from runtime.directory.directory import Directory, MailboxEntry
from runtime.directory.logon import Authenticator
from runtime.net.connection import LINGER
from runtime.net.session import Connection
from runtime.protocol_log.smtp import SmtpLog
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.replies import Reply
from runtime.services.base import Host, Listener, Snapshot
from runtime.services.smtp_connectors import ConnectorView, build_views, choose_connector, per_source_limit
from runtime.services.smtp_intake import NewSink
from runtime.services.smtp_trace import SessionTrace
from runtime.throttling.connections import ConnectionTicket, Refused
from schemas.v1.receive_connector import MessageRateSource, ProtocolLoggingLevel, TransportRole

_REFUSALS = {
    Refused.MAX_CONNECTIONS: replies.TOO_MANY_CONNECTIONS,
    Refused.MAX_CONNECTION_FROM_SINGLE_IP: replies.TOO_MANY_FROM_SOURCE,
}


@dataclass(frozen=True, slots=True)
class SmtpFacts:
    """What distinguishes the two services. `log_folder` lies below the server's log directory."""

    service: str
    role: TransportRole
    log_folder: str


class DrainableSession(Protocol):
    """What the service needs of a session."""

    def drain(self) -> None: ...

    def shut_down(self) -> None: ...


@dataclass
class MessageRates:
    """Messages of each source in the current minute (MessageRateLimit). Kept by the host over generations."""

    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _minute: int = 0

    def try_count(self, connector: str, source: str, limit: int) -> bool:
        """Count one more; False, and not counted, when the limit is reached."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        count = self._counts.get((connector, source), 0)
        if count >= limit:
            return False
        self._counts[connector, source] = count + 1
        return True


class SmtpService:
    """The sessions of one generation and what they share."""

    def __init__(self, host: Host, snapshot: Snapshot, facts: SmtpFacts, *, new_sink: NewSink) -> None:
        self.directory: Directory = host.directory
        self.authenticator: Authenticator = host.authenticator
        self.new_sink = new_sink
        self._host = host
        self._snapshot = snapshot
        self._facts = facts
        self._rates = host.keep(f"{facts.service}-message-rates", MessageRates)
        self._views: tuple[ConnectorView, ...] = ()
        self._log: SmtpLog | None = None
        self._sessions: dict[DrainableSession, None] = {}
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._drain_until: float | None = None

    def start(self) -> None:
        """Raises TlsError when a connector's certificate cannot be used."""
        self._views = build_views(self._snapshot, self._facts.role)
        directory = self._host.state / "servers" / self._host.server / "logs" / self._facts.log_folder
        if any(view.settings.protocol_logging_level is ProtocolLoggingLevel.VERBOSE for view in self._views):
            self._log = SmtpLog(directory)

    # What sessions use

    def choose(self, listener: Listener, client: str) -> ConnectorView | None:
        return choose_connector(self._views, listener, client)

    def admit(self, view: ConnectorView, client: str) -> ConnectionTicket | Reply:
        """Count a connection of the connector, or the words that refuse it."""
        scope = f"{self._facts.service}/{view.name}"
        per_ip = per_source_limit(view.settings, self._host.counters.totals[scope])
        total = view.settings.max_inbound_connection
        ticket = self._host.counters.try_open(scope, client, total=total, per_ip=per_ip)
        return _REFUSALS[ticket] if isinstance(ticket, Refused) else ticket

    def count_message(self, view: ConnectorView, client: str, user: MailboxEntry | None) -> bool:
        """Whether the source may send one more message in this minute."""
        limit, source = view.settings.message_rate_limit, view.settings.message_rate_source
        if limit == "Unlimited" or source is MessageRateSource.NONE:
            return True
        names = []
        if source in {MessageRateSource.IP_ADDRESS, MessageRateSource.ALL}:
            names.append(f"ip {client}")
        if source in {MessageRateSource.USER, MessageRateSource.ALL} and user is not None:
            names.append(f"user {user.name}")
        return all(self._rates.try_count(view.name, name, limit) for name in names)

    def banner(self, view: ConnectorView) -> Reply:
        """The connector's own words, or "220 <fqdn> Microsoft ESMTP MAIL Service ready at <date>"."""
        if view.settings.banner:
            return replies.parse_reply((view.settings.banner,))
        date = formatdate(localtime=True)
        return Reply(220, None, (f"{view.fqdn} Microsoft ESMTP MAIL Service ready at {date}",))

    def trace(self, view: ConnectorView, session: str, connection: Connection) -> SessionTrace:
        if self._log is None or view.settings.protocol_logging_level is not ProtocolLoggingLevel.VERBOSE:
            return SessionTrace(None)
        name = f"{self._host.server.upper()}\\{view.name}"
        local, remote = _endpoint(connection.local), _endpoint(connection.peer)
        return SessionTrace(self._log.session(name, session, local=local, remote=remote))

    def joined(self, session: DrainableSession) -> None:
        """A session has begun. One that comes to a draining generation is ended in the time that is left."""
        self._sessions[session] = None
        self._is_empty.clear()
        if self._drain_until is not None:
            asyncio.get_running_loop().call_soon(session.drain)

    def left(self, session: DrainableSession) -> None:
        """A session is gone."""
        self._sessions.pop(session, None)
        if not self._sessions:
            self._is_empty.set()

    @property
    def sessions(self) -> tuple[DrainableSession, ...]:
        """Those that are open now."""
        return tuple(self._sessions)

    # runtime.services.base.Service

    def session_count(self) -> int:
        return len(self._sessions)

    async def drain(self, over: float) -> None:
        """421 to each session at its next command boundary, spread over three quarters of the time; the rest of the
        time is for messages that are under way. What is left then is ended."""
        loop = asyncio.get_running_loop()
        self._drain_until = loop.time() + over
        sessions = list(self._sessions)
        step = 0.75 * over / max(1, len(sessions))
        timers = [loop.call_later(step * number, session.drain) for number, session in enumerate(sessions)]
        if not await self._emptied(over):
            self._end_all()
            await self._emptied(LINGER + 1)
        for timer in timers:
            timer.cancel()
        self._release()

    async def leave(self) -> None:
        await self._is_empty.wait()
        self._release()

    async def close(self) -> None:
        self._end_all()
        await self._emptied(LINGER + 1)
        self._release()

    def _end_all(self) -> None:
        for session in list(self._sessions):
            session.shut_down()

    async def _emptied(self, within: float) -> bool:
        try:
            await asyncio.wait_for(self._is_empty.wait(), within)
        except TimeoutError:
            return False
        return True

    def _release(self) -> None:
        if self._log is not None:
            self._log.close()


def _endpoint(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
