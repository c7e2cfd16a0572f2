"""What the IMAP4 and POP3 back ends share: who may speak to them, which sessions there are, how they end.

A back end listens on loopback and believes nobody before a line signed with the backend key (`backend_hop`):
until then it says nothing, reads at most one line and waits ten seconds. Then it opens the user's mailbox and
makes the protocol's session. A protocol's module builds a `BackEnd` with its own subclass of
`BackEndSession`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runtime.directory.directory import MailboxEntry
from runtime.net.connection import LINGER, StreamConnection
from runtime.net.session import Connection
from runtime.protocol_log.pop_imap import PopImapLog
from runtime.services.back_end_session import BackEndSession, Introduced, SessionEnd
from runtime.services.backend_hop import MAX_LINE, Drain, HopError, Logon, Nonces, audience, verify
from runtime.services.base import Host, Listener
from runtime.store.interface import MailboxStore, StoreError
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings

__all__ = ["BackEnd", "BackEndFacts", "BackEndSession", "Introduced", "SessionEnd"]

log = logging.getLogger("runtime.services")

#: Seconds that a connection has for its first line.
FIRST_LINE_TIMEOUT = 10.0
#: The part of a drain in which sessions are told; the rest is for their last replies.
SPREAD = 0.5
#: Seconds that a session of a renamed mailbox has for its last replies.
RENAME_GRACE = 2.0


@dataclass(frozen=True, slots=True)
class BackEndFacts:
    """What distinguishes the two back ends. `greeting` words the line that the front end waits for, with the proof in
    it; `refusal` words a reason for it."""

    service: str  # "imap4-backend"
    log_prefix: str  # "IMAP4BE"
    log_folder: str  # "Imap4"
    greeting: Callable[[str], bytes]
    refusal: Callable[[str], bytes]


class BackEnd:
    """One generation of a back end (`runtime.services.base.Service`)."""

    def __init__(
        self,
        host: Host,
        facts: BackEndFacts,
        *,
        settings: ImapSettings | PopSettings,
        new_session: Callable[[Introduced], BackEndSession],
    ) -> None:
        self.host = host
        self.facts = facts
        self.settings = settings
        self.log: PopImapLog | None = None
        self.idle_timeout = settings.authenticated_connection_timeout.total_seconds()
        self.name = audience(host.server, facts.service)
        self.nonces: Nonces = host.keep(f"{facts.service}/nonces", Nonces)
        self._new_session = new_session
        self._sessions: dict[str, BackEndSession] = {}
        self._gates: dict[_Gate, None] = {}
        self._mailboxes: dict[tuple[str, str], MailboxStore] = {}
        #: Sessions of all generations, by id: a drain may name any of them.
        self._everyone: dict[str, BackEndSession] = host.keep(f"{facts.service}/sessions", dict)
        self._empty = asyncio.Event()
        self._empty.set()

    # runtime.services.base.Service

    async def start(self) -> None:
        """Raises RuntimeError when the host has no store."""
        if self.host.store is None:
            raise RuntimeError(f"{self.facts.service} needs a store, and this host has none")
        directory = self.host.state / "servers" / self.host.server / "logs" / self.facts.log_folder
        self.log = PopImapLog.from_settings(
            self.settings, prefix=self.facts.log_prefix, default_directory=directory
        )

    def protocol_factory(self, listener: Listener) -> Callable[[], StreamConnection]:
        return lambda: StreamConnection(_Gate(self))

    def session_count(self) -> int:
        return len(self._sessions)

    async def drain(self, over: float) -> None:
        self._drain(self._sessions.values(), over)
        if not await self._emptied(over):
            self._end_all()
            await self._emptied(LINGER + 1)
        self._release()

    async def leave(self) -> None:
        await self._empty.wait()
        self._release()

    async def close(self) -> None:
        self._end_all()
        await self._emptied(LINGER + 1)
        self._release()

    # What gates and sessions use

    def forget(self, session: BackEndSession) -> None:
        """The session's connection is gone."""
        name = session.logon.session
        if self._sessions.get(name) is session:
            del self._sessions[name]
            self._everyone.pop(name, None)
        self._note_if_empty()

    def add_gate(self, gate: _Gate) -> None:
        self._gates[gate] = None
        self._empty.clear()

    def remove_gate(self, gate: _Gate) -> None:
        self._gates.pop(gate, None)
        self._note_if_empty()

    def drain_named(self, drain: Drain) -> None:
        """A front end asks: it pumps these sessions and cannot word their end."""
        found = (self._everyone.get(name) for name in drain.sessions)
        self._drain((session for session in found if session is not None), drain.over)

    def find(self, logon: Logon) -> MailboxEntry | None:
        """The mailbox, when it lives here. A front end may know of one that this directory has not read yet."""
        entry = self.host.directory.mailbox(logon.user)
        if entry is None and self.host.directory.refresh():
            entry = self.host.directory.mailbox(logon.user)
        return entry if entry is not None and entry.server == self.host.server else None

    def open_mailbox(self, entry: MailboxEntry) -> MailboxStore | None:
        """The mailbox if it was opened before, without waiting; one that has another name now is another's."""
        found = self._mailboxes.get((entry.database, entry.name))
        return found if found is not None and found.name == entry.name else None

    async def load_mailbox(self, entry: MailboxEntry) -> MailboxStore:
        """Open (and at first use make) the mailbox. Raises StoreError."""
        assert self.host.store is not None
        mailbox = await self.host.store.mailbox(entry.database, entry.name)
        self._mailboxes[entry.database, entry.name] = mailbox
        return mailbox

    def begin(
        self,
        connection: Connection,
        logon: Logon,
        entry: MailboxEntry,
        *,
        mailbox: MailboxStore,
        proof: bytes,
    ) -> BackEndSession:
        """Make the session and greet the front end with the proof. Raises StoreError when the protocol cannot open
        what it needs."""
        session_log = None
        if self.log is not None:
            session_log = self.log.session(logon.session, server=logon.server, client=logon.client)
            session_log.user = entry.name
        session = self._new_session(Introduced(self, connection, logon, entry, mailbox, session_log))
        connection.session = session
        self._sessions[logon.session] = self._everyone[logon.session] = session
        self._empty.clear()
        connection.write(self.greeting(proof))
        session.touch()
        return session

    def greeting(self, proof: bytes) -> bytes:
        """The line that a front end believes."""
        return self.facts.greeting(f"ready {proof.decode('ascii')}")

    # Inside

    def _drain(self, sessions: Iterable[BackEndSession], over: float) -> None:
        """Tell one after the other, so that clients do not come back all at once; end who is left at last."""
        loop = asyncio.get_running_loop()
        found = list(sessions)
        for position, session in enumerate(found):
            loop.call_later(over * SPREAD * position / len(found), session.drain)
            loop.call_later(over, session.end, SessionEnd.SHUTDOWN)

    def _end_all(self) -> None:
        for gate in list(self._gates):
            gate.give_up()
        for session in list(self._sessions.values()):
            session.end(SessionEnd.SHUTDOWN)

    async def _emptied(self, within: float) -> bool:
        try:
            await asyncio.wait_for(self._empty.wait(), within)
        except TimeoutError:
            return False
        return True

    def _note_if_empty(self) -> None:
        if not self._sessions and not self._gates:
            self._empty.set()

    def _release(self) -> None:
        if self.log is not None:
            self.log.close()


def end_sessions_of(host: Host, mailbox: str) -> None:
    """The mailbox goes by another name from now on: its sessions are told politely that they are over. Clients that
    come back log on as the new name."""
    for service in ("imap4-backend", "pop3-backend"):
        sessions: dict[str, BackEndSession] = host.kept.get(f"{service}/sessions", {})
        for session in [one for one in sessions.values() if one.entry.name == mailbox]:
            session.drain()
            asyncio.get_running_loop().call_later(RENAME_GRACE, session.end, SessionEnd.SHUTDOWN)


class _Gate:
    """A connection that has not authenticated yet."""

    __slots__ = ("_back_end", "_buffer", "_connection", "_is_over", "_proof", "_task")

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = back_end
        self._buffer = b""
        self._proof = b""
        self._is_over = False
        self._task: asyncio.Task[None] | None = None

    def give_up(self) -> None:
        self._finish()
        self._connection.close()

    def on_connect(self, connection: Connection) -> None:
        self._connection = connection
        self._back_end.add_gate(self)
        connection.set_timeout(FIRST_LINE_TIMEOUT)

    def on_data(self, data: bytes) -> None:
        if self._is_over:
            return
        self._buffer += data
        if self._task is not None:
            return
        line, end, rest = self._buffer.partition(b"\r\n")
        if len(line) > MAX_LINE:
            self._reject("the first line is too long")
        elif end:
            self._buffer = rest
            self._authenticate(line)

    def on_tls(self) -> None:
        """Never called: the hop is plain TCP on the loopback."""

    def on_eof(self) -> None:
        self._reject("closed before it had authenticated")

    def on_disconnect(self, error: Exception | None) -> None:
        self._finish()

    def on_write_paused(self) -> None:
        """At most one line is written."""

    def on_write_resumed(self) -> None:
        """As above."""

    def on_timeout(self) -> None:
        self._reject("gave no line in time")

    def _authenticate(self, line: bytes) -> None:
        try:
            back_end = self._back_end
            verified = verify(back_end.host.backend_key, line, back_end.nonces, me=back_end.name)
        except HopError as error:
            self._reject(str(error))
            return
        request, self._proof = verified.request, verified.proof
        if isinstance(request, Drain):
            back_end.drain_named(request)
            self._answer(back_end.greeting(self._proof))
        else:
            self._admit(request)

    def _admit(self, logon: Logon) -> None:
        entry = self._back_end.find(logon)
        if entry is None:
            self._refuse(logon, "The mailbox is not on this server.")
            return
        mailbox = self._back_end.open_mailbox(entry)
        if mailbox is not None:
            self._begin(logon, entry, mailbox)
        else:
            self._connection.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._load(logon, entry))

    async def _load(self, logon: Logon, entry: MailboxEntry) -> None:
        try:
            mailbox = await self._back_end.load_mailbox(entry)
        except StoreError as error:
            self._refuse(logon, str(error))
            return
        if not self._is_over:
            self._connection.resume_reading()
            self._begin(logon, entry, mailbox)

    def _begin(self, logon: Logon, entry: MailboxEntry, mailbox: MailboxStore) -> None:
        try:
            session = self._back_end.begin(self._connection, logon, entry, mailbox=mailbox, proof=self._proof)
        except StoreError as error:
            self._refuse(logon, str(error))
            return
        self._finish()
        if self._buffer:
            session.on_data(self._buffer)

    def _refuse(self, logon: Logon, reason: str) -> None:
        """The peer is a front end of ours: it may know why."""
        log.warning("%s refused session %s of %s: %s", self._name, logon.session, logon.user, reason)
        self._answer(self._back_end.facts.refusal(reason))

    def _answer(self, line: bytes) -> None:
        if not self._is_over:
            self._connection.write(line)
            self._finish()
            self._connection.close()

    def _reject(self, reason: str) -> None:
        """The peer is nobody: it learns nothing."""
        if not self._is_over:
            log.warning("%s dropped a connection from %s: %s", self._name, self._connection.peer[0], reason)
            self._finish()
            self._connection.abort()

    def _finish(self) -> None:
        self._is_over = True
        self._back_end.remove_gate(self)

    @property
    def _name(self) -> str:
        return self._back_end.facts.service
