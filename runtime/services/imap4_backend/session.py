"""One logged-on user: events of the core in, replies out.

A command whose handler gives a reply at once costs no task; one that waits for the store suspends the session, and
what the client sends meanwhile stays in the core (up to a mark, then it is not read). A large answer is made piece
by piece as the client takes it. An error in a handler is logged with its traceback and answered NO; the session
lives on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from runtime.net.session import Octets
from runtime.protocol_log.pop_imap import Outcome
from runtime.protocols.imap4 import events, writer
from runtime.protocols.imap4.connection import ServerConnection
from runtime.protocols.imap4.grammar import GrammarError, Limits
from runtime.protocols.imap4.state import State
from runtime.services import imap4_words as words
from runtime.services.back_end import BackEnd, BackEndFacts, BackEndSession, Introduced, SessionEnd
from runtime.services.base import Host, Service, Snapshot
from runtime.services.imap4_backend import folders, messages, selection
from runtime.services.imap4_backend.output import Output
from runtime.services.imap4_backend.reply import Answer, RefusedError, Reply, refusal
from runtime.services.imap4_backend.selected import Selected
from runtime.services.imap4_backend.upload import Upload, begin_upload
from runtime.store.interface import StoreError

log = logging.getLogger("runtime.services")

#: Octets that a suspended session keeps before it stops reading.
UNREAD_MARK = 64 * 1024
#: Commands in a row that may be invalid before the client is given up.
MAX_BAD_COMMANDS = 20

FACTS = BackEndFacts(
    service="imap4-backend",
    log_prefix="IMAP4BE",
    log_folder="Imap4",
    greeting=lambda text: writer.tagged(b"*", "OK", text, code=b"BACKEND"),
    refusal=writer.bye,
)
_FAREWELLS: Mapping[SessionEnd, str] = {
    SessionEnd.TIMEOUT: words.TIMED_OUT,
    SessionEnd.SHUTDOWN: words.RESTARTING,
}
_BROKEN = "imap4-backend: %s of %s failed"
_BREAKDOWN = Reply(words.UNAVAILABLE, status="NO", code=b"SERVERBUG")
Handler = Callable[["ImapSession", Any], Answer]


def create(host: Host, snapshot: Snapshot, generation: int) -> Service:  # noqa: ARG001 - the registry's signature
    """One generation of the back end."""
    limits = Limits(command_line=snapshot.imap.max_command_size)
    return BackEnd(
        host,
        FACTS,
        settings=snapshot.imap,
        new_session=lambda introduced: ImapSession(introduced, limits),
    )


class ImapSession(BackEndSession):
    """A session after its logon."""

    __slots__ = (
        "_bad_commands",
        "_command",
        "_has_ended_input",
        "_idle_tag",
        "_is_news_due",
        "_output",
        "_parameters",
        "_task",
        "_upload",
        "selected",
        "wire",
    )

    def __init__(self, introduced: Introduced, limits: Limits) -> None:
        super().__init__(introduced)
        self.wire = ServerConnection(limits=limits, state=State.AUTHENTICATED)
        self.selected: Selected | None = None
        self._output = Output(self.connection)
        self._task: asyncio.Task[None] | None = None
        self._upload: Upload | None = None
        self._idle_tag: bytes | None = None
        self._command: tuple[bytes, str] = (b"*", "")
        self._parameters: tuple[str, ...] = ()
        self._bad_commands = 0
        self._is_news_due = False
        self._has_ended_input = False

    # What the shared session asks for

    def on_data(self, data: bytes) -> None:
        self.touch()
        self.wire.receive_data(data)
        if self._is_busy:
            if self.wire.unread > UNREAD_MARK:
                self.connection.pause_reading()
        else:
            self._run()

    def on_eof(self) -> None:
        """What was asked before is still answered."""
        self._has_ended_input = True
        if not self._is_busy:
            self.close()

    def on_drain(self) -> None:
        if not self._is_busy and self._upload is None:
            self.end(SessionEnd.SHUTDOWN)

    def farewell(self, end: SessionEnd) -> bytes:
        """Nothing in the middle of an answer: it would be taken for a part of it."""
        return b"" if self._output.is_producing else writer.bye(_FAREWELLS[end])

    def on_gone(self) -> None:
        """A write to the store that has begun is finished, only its answer is dropped."""
        self._output.clear()
        self.deselect()
        if self._upload is not None:
            self._upload.writer.discard()
            self._upload = None

    def on_write_paused(self) -> None:
        self._output.is_paused = True

    def on_write_resumed(self) -> None:
        """A client that takes its answer is not idle."""
        self._output.is_paused = False
        self.touch()
        self._tell_news()
        self._go_on()

    # What handlers use

    def select(self, selected: Selected) -> None:
        self.selected = selected
        self.wire.state = State.SELECTED

    def deselect(self) -> None:
        if self.selected is not None:
            self.selected.close()
            self.selected = None
        self.wire.state = State.AUTHENTICATED

    def news_has_come(self) -> None:
        """Told at once to a client in IDLE, with everything else that happens in this turn of the loop."""
        if self._idle_tag is not None and not self._is_news_due:
            self._is_news_due = True
            asyncio.get_running_loop().call_soon(self._tell_news)

    # Commands

    @property
    def _is_busy(self) -> bool:
        return self._task is not None or self._output.is_held

    def _run(self) -> None:
        """Take commands until one has to wait, or none is left."""
        while not self._is_busy and not self.is_over:
            event = self.wire.next_event()
            if event is None:
                self._all_done()
                return
            self._react(event)

    def _all_done(self) -> None:
        if self._has_ended_input:
            self.close()

    def _go_on(self) -> None:
        """After a wait: first what is left of an answer, then the commands that came meanwhile."""
        if self.is_over or self._task is not None:
            return
        if self._output.go_on(self._go_on, self._production_failed) and not self._is_busy:
            self.connection.resume_reading()
            self._end_if_draining()
            self._run()

    def _react(self, event: events.Event) -> None:
        if isinstance(event, events.MessageData):
            if self._upload is not None:
                self._upload.write(event.data)
            return
        if self.log is not None:
            self.log.command_begins()
            self._parameters = parameters(event)
        react = _REACTIONS.get(type(event))
        if react is not None:
            react(self, event)
        else:
            self._do(event)

    def _do(self, command: Any) -> None:
        self._command = (command.tag, command.name)
        self._perform(_HANDLERS[command.name], command)

    def _perform(self, handler: Handler, command: Any) -> None:
        """Run a handler for the current command; only one that waits gets a task."""
        try:
            answer = handler(self, command)
        except (RefusedError, StoreError, GrammarError) as error:
            self._reply(_failure(error, self._command[1]))
        except Exception:
            log.exception(_BROKEN, self._command[1], self.entry.name)
            self._reply(_BREAKDOWN)
        else:
            if isinstance(answer, Reply):
                self._reply(answer)
            else:
                self._task = asyncio.get_running_loop().create_task(self._wait(answer))

    async def _wait(self, answer: Awaitable[Reply]) -> None:
        try:
            reply = await answer
        except (RefusedError, StoreError, GrammarError) as error:
            reply = _failure(error, self._command[1])
        except Exception:
            log.exception(_BROKEN, self._command[1], self.entry.name)
            reply = _BREAKDOWN
        self._task = None
        if not self.is_over:
            self._reply(reply)
            self._go_on()

    def _production_failed(self) -> None:
        """An answer broke off between two responses: the tagged line says so. Called in the handler of the error."""
        log.exception(_BROKEN, self._command[1], self.entry.name)
        self._output.clear()
        self._reply(_BREAKDOWN)

    def _reply(self, reply: Reply) -> None:
        self._bad_commands = 0 if reply.status != "BAD" else self._bad_commands + 1
        if isinstance(reply.data, bytes) and not self._has_much_news(reply):
            self._finish(reply, reply.data)
        else:
            self._produce(self._told(reply), lambda: self._finish(reply, b""))

    def _produce(self, pieces: Iterator[Octets], done: Callable[[], None]) -> None:
        self._output.begin(pieces, done)
        self._output.go_on(self._go_on, self._production_failed)

    def _has_much_news(self, reply: Reply) -> bool:
        return self.selected is not None and self.selected.has_much_news(may_expunge=reply.may_expunge)

    def _told(self, reply: Reply) -> Iterator[Octets]:
        """What is made while the client takes it: the untagged data, and news that are not few."""
        if isinstance(reply.data, bytes):
            yield reply.data
        else:
            yield from reply.data
        while self.selected is not None and self._has_much_news(reply):
            yield from self.selected.news(may_expunge=reply.may_expunge)

    def _finish(self, reply: Reply, data: bytes) -> None:
        """Untagged data, news, tagged line: one write."""
        tag, name = self._command
        if self.selected is not None and self.selected.has_news:
            data += b"".join(self.selected.news(may_expunge=reply.may_expunge))
        line = writer.tagged(tag, reply.status, reply.text, code=reply.code)
        self.connection.write(data + line)
        if self.log is not None:
            outcome = Outcome(
                reply=line.decode("ascii", "replace").rstrip(), reply_size=len(data) + len(line)
            )
            self.log.write(name, self._parameters, outcome)
        if name == "LOGOUT" and reply.status == "OK":
            self.close()
        elif self._bad_commands >= MAX_BAD_COMMANDS:
            self.connection.write(writer.bye(words.TOO_MANY_ERRORS))
            self.close()
        else:
            self._end_if_draining()

    def _end_if_draining(self) -> None:
        if self.is_draining and self._task is None and not self._output.is_producing:
            self.end(SessionEnd.SHUTDOWN)

    # Events that are no complete commands

    def _on_bad(self, event: events.Bad) -> None:
        self._drop_upload()
        self._command = (event.tag, "?")
        self._reply(Reply(f"Command Argument Error. 11: {event.reason}", status="BAD", may_expunge=False))

    def _on_wrong_state(self, event: events.WrongState) -> None:
        self._command = (event.tag, event.name)
        self._reply(Reply(words.INVALID_STATE, status="BAD", may_expunge=False))

    def _on_unknown_charset(self, event: events.UnknownCharset) -> None:
        self._command = (event.tag, "SEARCH")
        code = b"BADCHARSET (US-ASCII UTF-8)"
        self._reply(
            Reply("The specified charset is not supported.", status="NO", code=code, may_expunge=False)
        )

    def _on_too_big(self, event: events.TooBig) -> None:
        self._command = (event.tag, "?")
        self._reply(Reply(words.TOO_BIG, status="NO", code=b"TOOBIG", may_expunge=False))

    def _on_fatal(self, event: events.Fatal) -> None:
        self.connection.write(writer.bye(f"Connection is closed: {event.reason}."))
        self.close()

    def _on_continuation(self, _: events.ContinuationNeeded) -> None:
        self.connection.write(writer.continuation(words.CONTINUE))

    # APPEND

    def _on_append(self, event: events.Append) -> None:
        """The folder is looked up before the message comes."""
        self._command = (event.tag, event.name)
        try:
            self._upload = begin_upload(self.mailbox, event)
        except (RefusedError, StoreError) as error:
            self.wire.refuse_message()
            self._reply(_failure(error, event.name))
            return
        self.wire.accept_message()
        if event.is_waiting:
            self.connection.write(writer.continuation(words.CONTINUE))

    def _on_message_end(self, _: events.MessageEnd) -> None:
        upload, self._upload = self._upload, None
        assert upload is not None
        self._perform(_store_upload, upload)

    def _drop_upload(self) -> None:
        if self._upload is not None:
            self._upload.writer.discard()
            self._upload = None

    # IDLE (RFC 2177)

    def _begin_idle(self, event: events.Simple) -> None:
        self._command = (event.tag, "IDLE")
        self._idle_tag = event.tag
        self.wire.expect_line()
        self.connection.write(writer.continuation("IDLE accepted, awaiting DONE command."))
        self._tell_news()

    def _tell_news(self) -> None:
        self._is_news_due = False
        if self._idle_tag is None or self.selected is None or self.is_over or self._output.is_held:
            return
        if self.selected.has_much_news(may_expunge=True):
            self._produce(self.selected.news(may_expunge=True), self._tell_news)
        else:
            self.connection.write(b"".join(self.selected.news(may_expunge=True)))

    def _on_line(self, event: events.Line) -> None:
        self._idle_tag = None
        if event.text.reveal().upper() == b"DONE":
            self._reply(Reply("IDLE completed."))
        else:
            self._reply(Reply("Command Argument Error. 11: expected DONE", status="BAD"))

    def _on_simple(self, event: events.Simple) -> None:
        if event.name == "IDLE":
            self._begin_idle(event)
        else:
            self._do(event)


def parameters(event: events.Event) -> tuple[str, ...]:
    """What the protocol log tells of a command: folder names and data items, never what was searched for or sent."""
    if isinstance(event, events.OnMailbox | events.Status | events.Append | events.Transfer):
        return (event.mailbox.text,)
    if isinstance(event, events.ListMailboxes):
        return (event.reference, event.pattern)
    if isinstance(event, events.Fetch):
        return tuple(item.label.decode("ascii", "replace") for item in event.items)
    return ()


def _store_upload(_: ImapSession, upload: Upload) -> Answer:
    return upload.store()


def _failure(error: Exception, command: str) -> Reply:
    if isinstance(error, StoreError):
        error = refusal(error)
    if isinstance(error, RefusedError):
        return Reply(f"{command} failed. {error.text}", status="NO", code=error.code, may_expunge=False)
    return Reply(f"Command Argument Error. 11: {error}", status="BAD", may_expunge=False)


_HANDLERS: Mapping[str, Handler] = {**folders.HANDLERS, **messages.HANDLERS, **selection.HANDLERS}
_REACTIONS: Mapping[type, Callable[[ImapSession, Any], None]] = {
    events.Simple: ImapSession._on_simple,
    events.Append: ImapSession._on_append,
    events.MessageEnd: ImapSession._on_message_end,
    events.Line: ImapSession._on_line,
    events.Bad: ImapSession._on_bad,
    events.WrongState: ImapSession._on_wrong_state,
    events.UnknownCharset: ImapSession._on_unknown_charset,
    events.TooBig: ImapSession._on_too_big,
    events.Fatal: ImapSession._on_fatal,
    events.ContinuationNeeded: ImapSession._on_continuation,
}
