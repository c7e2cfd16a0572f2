"""The POP3 back end: the TRANSACTION state over the user's INBOX, and UPDATE at QUIT.

Deletions are committed by QUIT and by nothing else: not by a lost connection, not by a time-out, not by a
drain. A large message leaves in pieces, no faster than the client takes them, and commands wait until it has
left. Built by the back-end host.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from runtime.protocol_log.pop_imap import Outcome
from runtime.protocols.pop3 import writer
from runtime.protocols.pop3.connection import Pop3Connection
from runtime.protocols.pop3.events import (
    BadCommand,
    Capa,
    Command,
    Dele,
    List,
    Noop,
    Quit,
    Retr,
    Rset,
    Stat,
    Top,
    Uidl,
)
from runtime.protocols.pop3.maildrop import Maildrop
from runtime.protocols.pop3.state import Offer, State, capabilities
from runtime.services.back_end import BackEnd, BackEndFacts, BackEndSession, Introduced, SessionEnd
from runtime.services.base import Host, Service, Snapshot
from runtime.services.pop3 import SIGNING_OFF
from runtime.store.interface import Folder, StoreError
from schemas.v1.pop_settings import PopSettings, SortOrder

log = logging.getLogger("runtime.services")

#: Octets of a message that are written at a time.
PIECE = 256 * 1024
#: Messages, and octets of what the store tells of them, that are read at once to learn their sizes.
BATCH = 1024
SUMMARIES = 1024 * 1024

NO_SUCH_MESSAGE = "The specified message does not exist."
_FAREWELLS = {
    SessionEnd.TIMEOUT: b"",  # RFC 1939 3: the server closes without a word when a client is idle too long
    SessionEnd.SHUTDOWN: writer.err("[SYS/TEMP] Connection is closed: the service is stopping."),
}


def create(host: Host, snapshot: Snapshot, generation: int) -> Service:  # noqa: ARG001 - every service's signature
    """A generation of the service."""
    return BackEnd(
        host,
        BackEndFacts(
            service="pop3-backend",
            log_prefix="POP3BE",
            log_folder="Pop3",
            greeting=writer.ok,
            refusal=writer.err,
        ),
        settings=snapshot.pop,
        new_session=lambda introduced: Pop3BackEndSession(introduced, snapshot.pop),
    )


class Pop3BackEndSession(BackEndSession):
    """One logged-on user. Raises StoreError when the INBOX cannot be opened."""

    __slots__ = (
        "_core",
        "_end_of_body",
        "_folder",
        "_has_eof",
        "_is_paused",
        "_is_updating",
        "_maildrop",
        "_task",
        "_unsent",
    )

    def __init__(self, introduced: Introduced, settings: PopSettings) -> None:
        super().__init__(introduced)
        self._core = Pop3Connection(State.TRANSACTION, max_command_size=settings.max_command_size)
        self._folder: Folder = self.mailbox.open("INBOX")
        self._maildrop = take_snapshot(self._folder, settings.message_retrieval_sort_order)
        self._unsent: memoryview | None = None
        self._end_of_body = b""
        self._is_paused = False
        self._is_updating = False
        self._has_eof = False
        self._task: asyncio.Task[None] | None = None

    # What the back end and the driver call

    def on_data(self, data: bytes) -> None:
        self._core.receive(data)
        self._go_on()

    def on_drain(self) -> None:
        """POP3 has no word for an idle client: the next command is answered with -ERR (in `_go_on`)."""

    def end(self, end: SessionEnd) -> None:
        """An UPDATE that has begun is finished and answered; that ends the session too."""
        if not self._is_updating:
            super().end(end)

    def farewell(self, end: SessionEnd) -> bytes:
        """Nothing inside of a message."""
        return b"" if self._unsent is not None else _FAREWELLS[end]

    def on_write_paused(self) -> None:
        self._is_paused = True
        self.connection.pause_reading()

    def on_write_resumed(self) -> None:
        self._is_paused = False
        self.touch()
        self._go_on()
        if not (self._is_paused or self._is_updating):
            self.connection.resume_reading()

    def on_eof(self) -> None:
        """What was asked before is still answered."""
        self._has_eof = True
        self._go_on()

    # Commands

    def _go_on(self) -> None:
        """Send what waits, then answer commands while the client takes the answers."""
        while not (self._is_paused or self._is_updating or self.is_over):
            if self._unsent is not None:
                self._send_piece()
                continue
            command = self._core.next_command()
            if command is None:
                break
            self.touch()
            self._handle(command)
        if self._has_eof and not (self._is_paused or self._is_updating or self.is_over):
            self.close()

    def _handle(self, command: Command) -> None:
        if self.log is not None:
            self.log.command_begins()
        if self.is_draining and not isinstance(command, Quit):
            self.end(SessionEnd.SHUTDOWN)
            return
        answer = _ANSWERS.get(type(command))
        if answer is not None:
            answer(self, command)

    def _reply(self, data: bytes, command: str, *parameters: str, body_size: int = 0) -> None:
        self.connection.write(data)
        if self.log is not None:
            first = data.partition(b"\r\n")[0].decode("utf-8", "replace")
            self.log.write(command, parameters, Outcome(reply=first, reply_size=len(data) + body_size))

    def bad(self, command: BadCommand) -> None:
        self._reply(writer.err(command.reason), command.keyword)

    def capa(self, command: Capa) -> None:
        rows = capabilities(Offer(accepts_plain=True, starttls=False, is_logged_on=True))
        self._reply(writer.lines("Capability list follows.", [row.encode("ascii") for row in rows]), "CAPA")

    def noop(self, command: Noop) -> None:
        self._reply(writer.ok(), "NOOP")

    def stat(self, command: Stat) -> None:
        count, octets = self._maildrop.totals()
        self._reply(writer.ok(f"{count} {octets}"), "STAT")

    def list(self, command: List) -> None:
        self._listing("LIST", command.number, self._maildrop.size)

    def uidl(self, command: Uidl) -> None:
        self._listing("UIDL", command.number, self._maildrop.unique_id)

    def _listing(self, name: str, number: int | None, value: Callable[[int], object]) -> None:
        if number is None:
            rows = [f"{found} {value(uid)}".encode("ascii") for found, uid in self._maildrop.present()]
            count, octets = self._maildrop.totals()
            self._reply(writer.lines(f"{count} {octets}", rows), name)
        elif (uid := self._maildrop.find(number)) is not None and self._maildrop.size(uid) is not None:
            self._reply(writer.ok(f"{number} {value(uid)}"), name, str(number))
        else:
            self._reply(writer.err(NO_SUCH_MESSAGE), name, str(number))

    def retr(self, command: Retr) -> None:
        content = self._content(command.number)
        if content is None:
            self._reply(writer.err(NO_SUCH_MESSAGE), "RETR", str(command.number))
        else:
            self._send_content("RETR", content, str(command.number))

    def top(self, command: Top) -> None:
        parameters = (str(command.number), str(command.lines))
        content = self._content(command.number)
        if content is None:
            self._reply(writer.err(NO_SUCH_MESSAGE), "TOP", *parameters)
        else:
            self._send_content("TOP", writer.top(content, command.lines), *parameters)

    def dele(self, command: Dele) -> None:
        if self._maildrop.find(command.number) is None:
            self._reply(writer.err(NO_SUCH_MESSAGE), "DELE", str(command.number))
        else:
            self._maildrop.delete(command.number)
            self._reply(writer.ok(), "DELE", str(command.number))

    def rset(self, command: Rset) -> None:
        self._maildrop.reset()
        self._reply(writer.ok(), "RSET")

    def quit(self, command: Quit) -> None:
        """RFC 1939 6: remove what is marked, tell the client whether that worked, close."""
        uids = self._maildrop.deleted_uids()
        if uids:
            self._is_updating = True
            self.connection.pause_reading()  # nothing that comes now will be answered
            self._task = asyncio.get_running_loop().create_task(self._update(uids))
        else:
            self._reply(writer.ok(SIGNING_OFF), "QUIT")
            self.close()

    async def _update(self, uids: Sequence[int]) -> None:
        try:
            await self._folder.expunge(uids)
        except StoreError:
            self._reply(writer.err("Some deleted messages were not removed."), "QUIT")
            log.exception("POP3 session %s could not remove messages", self.logon.session)
        else:
            self._reply(writer.ok(SIGNING_OFF), "QUIT")
        self.close()

    # Sending

    def _content(self, number: int) -> bytes | None:
        uid = self._maildrop.find(number)
        return self._folder.content(uid) if uid is not None else None

    def _send_content(self, name: str, content: bytes, *parameters: str) -> None:
        start, body, end = writer.stuffed(content)
        size = len(start) + len(body) + len(end)
        self._reply(writer.ok(f"{len(content)} octets"), name, *parameters, body_size=size)
        self.connection.write(start)
        if len(body) <= PIECE:
            self.connection.write(body + end)
        else:
            self._unsent, self._end_of_body = memoryview(body), end

    def _send_piece(self) -> None:
        assert self._unsent is not None
        piece, rest = self._unsent[:PIECE], self._unsent[PIECE:]
        self._unsent = rest or None
        self.connection.write(bytes(piece))
        if self._unsent is None:
            self.connection.write(self._end_of_body)


def take_snapshot(folder: Folder, order: SortOrder) -> Maildrop:
    """The folder as it is now, oldest first or newest first (MessageRetrievalSortOrder)."""
    uids = list(folder.uids())
    if order is SortOrder.DESCENDING:
        uids.reverse()
    return Maildrop(folder.uid_validity, uids, lambda some: _sizes(folder, some))


def _sizes(folder: Folder, uids: Sequence[int]) -> dict[int, int]:
    """Octets by UID. Of what is read beside them no more is held than SUMMARIES."""
    wanted = sorted(uids)
    sizes: dict[int, int] = {}
    start = 0
    while start < len(wanted):
        found, count = folder.first_summaries(wanted[start : start + BATCH], budget=SUMMARIES)
        sizes.update((summary.uid, summary.size) for summary in found)
        start += count
    return sizes


_ANSWERS: Mapping[type[Command], Callable[..., None]] = {
    BadCommand: Pop3BackEndSession.bad,
    Capa: Pop3BackEndSession.capa,
    Noop: Pop3BackEndSession.noop,
    Stat: Pop3BackEndSession.stat,
    List: Pop3BackEndSession.list,
    Uidl: Pop3BackEndSession.uidl,
    Retr: Pop3BackEndSession.retr,
    Top: Pop3BackEndSession.top,
    Dele: Pop3BackEndSession.dele,
    Rset: Pop3BackEndSession.rset,
    Quit: Pop3BackEndSession.quit,
}
