"""A client of a front end, from its connection to its logon: what IMAP4 and POP3 share.

A protocol's module subclasses `FrontEndSession`: it parses the few commands before the logon and words the
replies. This class counts, times, verifies, dials the back end and hands the connection over to the pump.

Life of a session: admitted (counted) → `greeting` → `log_on` → credentials (cache first, then a hash) → user
counted (MaxConnectionsPerUser) → back end dialled → its first line read → `logged_on` reply → pump. Then this
object is gone.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum

from runtime.directory.directory import MailboxEntry
from runtime.directory.logon import BusyError
from runtime.net.connection import StreamConnection
from runtime.net.pump import join
from runtime.net.session import Connection
from runtime.protocol_log.pop_imap import HIDDEN, Loggable, Outcome, SessionLog
from runtime.services.backend_hop import Logon, sign_logon
from runtime.services.base import Listener
from runtime.services.front_end import Destination, FrontEnd, Joined
from runtime.services.hop_client import HopCall
from runtime.throttling.connections import ConnectionTicket, Limit, Refused
from schemas.v1.imap_settings import LoginType
from schemas.v1.scalar import UNLIMITED

#: Commands that a client may send before it has logged on; then it is only keeping the connection busy.
MAX_COMMANDS_BEFORE_LOGON = 100
#: Logons that may fail on one connection.
MAX_FAILED_LOGONS = 10


#: Ids of this process's sessions, 16 hex digits: a random beginning and a count. They name a session in logs and drains
#: and open nothing.
_session_ids = itertools.count(secrets.randbits(64))


class End(StrEnum):
    """Why the front end ends a session; the value is the log's ErrMsg token."""

    TIMEOUT = "PreAuthenticatedConnectionTimeout"
    SHUTDOWN = "ServiceStopping"
    MAX_CONNECTIONS = "MaxConnectionsReached"
    MAX_CONNECTION_FROM_SINGLE_IP = "MaxConnectionFromSingleIPReached"
    MADE_ROOM = "OldestUnauthenticatedConnection"
    NO_CERTIFICATE = "NoCertificate"
    TOO_MANY_COMMANDS = "TooManyCommandsBeforeLogon"
    TOO_MANY_FAILED_LOGONS = "TooManyFailedLogons"


class LogonFailure(StrEnum):
    """Why a logon did not succeed; the value is the log's ErrMsg token. BAD_CREDENTIALS covers an unknown user, a
    wrong password and a protocol that is switched off for the mailbox: a client cannot tell them apart."""

    BAD_CREDENTIALS = "LogonFailed"
    USER_CONNECTION_LIMIT = "UserConnectionLimitReached"
    BUSY = "TooManyLogonsWaiting"
    UNAVAILABLE = "MailboxServerUnknown"
    PROXY_FAILED = "ProxyNotAuthenticated"

    @property
    def ends_session(self) -> bool:
        return self is LogonFailure.USER_CONNECTION_LIMIT


_ENDS = {
    Refused.MAX_CONNECTIONS: End.MAX_CONNECTIONS,
    Refused.MAX_CONNECTION_FROM_SINGLE_IP: End.MAX_CONNECTION_FROM_SINGLE_IP,
}


class FrontEndSession(ABC):
    """One client before its logon. Subclasses implement the abstract methods, `on_data`, `on_tls` among them, and must
    not parse on while `is_logging_on`."""

    connection: StreamConnection

    def __init__(self, front: FrontEnd, listener: Listener) -> None:
        self.front = front
        self.listener = listener
        self.session_id = f"{next(_session_ids) % 2**64:016x}"
        self.since = time.monotonic()
        self.is_logging_on = False
        self.is_over = False
        self._has_ended_input = False
        self.log: SessionLog | None = None
        self._ticket: ConnectionTicket | None = None
        self._refused: Refused | None = None
        self._call: HopCall | None = None
        self._task: asyncio.Task[None] | None = None
        self._command: tuple[str, Sequence[Loggable], int] = ("", (), 0)
        self._commands = 0
        self._failed_logons = 0

    # What a protocol's module implements

    @abstractmethod
    def greeting(self) -> bytes:
        """The first line to the client."""

    @abstractmethod
    def farewell(self, end: End) -> bytes:
        """The last line to the client; b"" for silence."""

    @abstractmethod
    def logged_on(self, entry: MailboxEntry) -> bytes:
        """The reply to the logon command, now that the back end has the session."""

    @abstractmethod
    def logon_failed(self, failure: LogonFailure) -> bytes:
        """The reply to the logon command. The connection is closed after it when `failure.ends_session`."""

    @abstractmethod
    def take_pending(self) -> bytes:
        """What the client sent behind the logon command and was not parsed: the back end's first bytes."""

    @abstractmethod
    def resume(self) -> None:
        """Go on parsing what was received: a logon attempt is over and failed."""

    @abstractmethod
    def on_data(self, data: bytes) -> None: ...

    @abstractmethod
    def on_tls(self) -> None:
        """TLS is on: forget everything that was said in clear."""

    # What a protocol's module uses

    @property
    def accepts_plain_credentials(self) -> bool:
        """LoginType: name and password may be sent inside TLS, and in clear with PlainTextLogin only."""
        return self.connection.is_tls or self.front.settings.login_type == LoginType.PLAIN_TEXT_LOGIN

    @property
    def offers_starttls(self) -> bool:
        return self.listener.tls == "starttls" and self.front.tls is not None and not self.connection.is_tls

    def begin_command(self) -> bool:
        """A complete command arrived: the idle timer starts again. False: that was one too many and the session is
        over."""
        self._commands += 1
        if self._commands > MAX_COMMANDS_BEFORE_LOGON:
            self.end(End.TOO_MANY_COMMANDS)
            return False
        self.connection.set_timeout(self.front.idle_timeout)
        if self.log is not None:
            self.log.command_begins()
        return True

    def reply(
        self,
        data: bytes,
        command: str,
        parameters: Sequence[Loggable] = (),
        *,
        request_size: int = 0,
        error: str = "",
    ) -> None:
        """Send a reply and log the command with it."""
        self.connection.write(data)
        if self.log is not None:
            text = data.rstrip(b"\r\n").decode("utf-8", "replace")
            outcome = Outcome(reply=text, error=error, request_size=request_size, reply_size=len(data))
            self.log.write(command, parameters, outcome)

    def start_tls(self, reply: bytes, command: str) -> None:
        """Answer STARTTLS/STLS and begin the handshake; `on_tls` follows. Only when `offers_starttls`, and with
        nothing left in the parser's buffer: bytes behind the command would have been sent in clear."""
        if self.front.tls is None:
            raise RuntimeError("TLS was not offered")
        self.reply(reply, command)
        self.connection.start_tls(self.front.tls)

    def log_on(
        self,
        name: str,
        password: bytes,
        *,
        command: str,
        parameters: Sequence[Loggable] = (),
        request_size: int = 0,
    ) -> None:
        """Verify the credentials and, if they are right, hand the session over. `logged_on` or `logon_failed` follows,
        never before this returns."""
        self.is_logging_on = True
        self._command = (command, parameters or (name, HIDDEN), request_size)
        entry = self.front.host.authenticator.verify_cached(name, password)
        if entry is not None:
            self._verified(entry)
        else:
            self._task = asyncio.get_running_loop().create_task(self._verify(name, password))

    def refuse_log_on(
        self, *, command: str, parameters: Sequence[Loggable] = (), request_size: int = 0
    ) -> None:
        """Credentials that can be nobody's: a failed logon like any other, but for the hash. `logon_failed` follows,
        never before this returns."""
        self.is_logging_on = True
        self._command = (command, parameters or (HIDDEN,), request_size)
        self._fail_soon(LogonFailure.BAD_CREDENTIALS)

    def hold_input(self) -> None:
        """The client sent more during its logon: that waits, and nothing else is read, until it is known for whom."""
        self.connection.pause_reading()

    def end(self, end: End) -> None:
        """Say goodbye and close."""
        if self.is_over:
            return
        self._finish()
        self.reply(self.farewell(end), "CloseSession", error=end.value)
        self.connection.close()

    def close(self) -> None:
        """Close after what was written: the protocol's own goodbye."""
        self._finish()
        self.connection.close()

    # What the front end and the driver call

    def admit(self, connection: StreamConnection) -> bool:
        self.connection = connection
        ticket = self.front.open_ticket(self, connection.peer[0])
        if isinstance(ticket, Refused):
            self._refused = ticket
            return self.listener.tls != "implicit"
        self._ticket = ticket
        return True

    def make_room(self) -> None:
        self.end(End.MADE_ROOM)

    def shut_down(self) -> None:
        self.end(End.SHUTDOWN)

    def on_connect(self, connection: Connection) -> None:
        if self.front.log is not None:
            local, peer = _endpoint(connection.local), _endpoint(connection.peer)
            self.log = self.front.log.session(self.session_id, server=local, client=peer)
        if self._refused is not None:
            self.end(_ENDS[self._refused])
        elif self.listener.tls == "implicit" and not connection.is_tls:
            self.end(End.NO_CERTIFICATE)
        else:
            connection.set_timeout(self.front.idle_timeout)
            self.reply(self.greeting(), "OpenSession")

    def on_eof(self) -> None:
        """Without its answer a client that stopped sending cannot be served further; during a logon it is."""
        self._has_ended_input = True
        if not self.is_logging_on and not self.is_over:
            self.close()

    def on_disconnect(self, error: Exception | None) -> None:
        self._finish()

    def on_write_paused(self) -> None:
        """A client that does not read its replies sends no more commands."""
        self.connection.pause_reading()

    def on_write_resumed(self) -> None:
        if not self.is_logging_on:
            self.connection.resume_reading()

    def on_timeout(self) -> None:
        self.end(End.TIMEOUT)

    # Inside

    async def _verify(self, name: str, password: bytes) -> None:
        address = self.connection.peer[0]
        try:
            entry = await self.front.host.authenticator.verify(name, password, address=address)
        except BusyError:
            self._task = None
            self._fail(LogonFailure.BUSY)
        else:
            self._task = None
            self._verified(entry)

    def _verified(self, entry: MailboxEntry | None) -> None:
        if self.is_over or self._ticket is None:
            return
        if entry is None or not self.front.facts.is_enabled(entry.spec):
            self._fail_soon(LogonFailure.BAD_CREDENTIALS)
            return
        limit: Limit = UNLIMITED if entry.is_health_mailbox else self.front.settings.max_connections_per_user
        destination = self.front.back_end_of(entry)
        if not self._ticket.try_user(entry.name, limit):
            self._fail_soon(LogonFailure.USER_CONNECTION_LIMIT, user=entry.name)
        elif destination is None:
            self._fail_soon(LogonFailure.UNAVAILABLE, user=entry.name)
        else:
            self._introduce(entry, destination)

    def _introduce(self, entry: MailboxEntry, destination: Destination) -> None:
        logon = Logon(
            user=entry.name,
            session=self.session_id,
            client=_endpoint(self.connection.peer),
            server=_endpoint(self.connection.local),
            is_tls=self.connection.is_tls,
        )
        self._call = HopCall(
            destination.address,
            sign_logon(self.front.host.backend_key, logon, to=destination.name),
            answered=lambda back_end, rest: self._hand_over(entry, destination, back_end, rest),
            failed=lambda reason: self._fail(LogonFailure.PROXY_FAILED, message=reason),
        )

    def _hand_over(
        self, entry: MailboxEntry, destination: Destination, back_end: Connection, rest: bytes
    ) -> None:
        """From here on this object is not needed: the pump has the connection, `Joined` the ticket."""
        assert self._ticket is not None
        ticket, self._ticket, self._call = self._ticket, None, None
        joined = Joined(self.session_id, destination, self.connection, back_end, ticket)
        host, port = destination.address
        self._answer(
            self.logged_on(entry),
            user=entry.name,
            message=f"User: {entry.name};Proxy:{host}:{port}",
        )
        self.connection.write(rest)
        join(self.connection, back_end, lambda _: self.front.remove_joined(joined))
        back_end.write(self.take_pending())
        if self._has_ended_input:
            back_end.write_eof()
        self.front.add_joined(joined)
        self._finish()

    def _fail_soon(self, failure: LogonFailure, *, user: str = "") -> None:
        """Not now: a client that pipelines logons must not make `log_on` and `resume` call each other."""
        asyncio.get_running_loop().call_soon(lambda: self._fail(failure, user=user))

    def _fail(self, failure: LogonFailure, *, user: str = "", message: str = "") -> None:
        if self.is_over:
            return
        self.is_logging_on = False
        self._call = None
        self._failed_logons += 1
        if self._ticket is not None:
            self._ticket.forget_user()
        self._answer(self.logon_failed(failure), user=user, message=message, error=failure.value)
        if failure.ends_session:
            self.close()
        elif self._failed_logons >= MAX_FAILED_LOGONS:
            self.end(End.TOO_MANY_FAILED_LOGONS)
        else:
            self.connection.resume_reading()
            self.resume()
            if self._has_ended_input:
                self.on_eof()

    def _answer(self, reply: bytes, *, user: str, message: str = "", error: str = "") -> None:
        """Reply to the logon command and log what came of it."""
        self.connection.write(reply)
        if self.log is None:
            return
        command, parameters, request_size = self._command
        self.log.user = user
        text = reply.rstrip(b"\r\n").decode("utf-8", "replace")
        self.log.write(command, parameters, Outcome(text, message, error, request_size, len(reply)))

    def _finish(self) -> None:
        """Give everything back; the object may live on for a moment in callbacks that find `is_over`."""
        self.is_over = True
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._ticket is not None:
            self._ticket.close()
            self._ticket = None
        self.front.forget(self)


def _endpoint(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
