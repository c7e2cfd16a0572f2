"""The IMAP4 front end: the words before the logon.

It knows CAPABILITY, NOOP, ID, STARTTLS, LOGIN, AUTHENTICATE PLAIN and LOGOUT; every other command is refused
unparsed. What a client pipelined behind its logon goes to the back end; what it pipelined behind STARTTLS ends the
session, because it came in clear and is never executed. Counting, verifying and pumping are `front_end_session`'s.
Called by the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runtime.directory.directory import MailboxEntry
from runtime.protocol_log.pop_imap import HIDDEN, Loggable
from runtime.protocols.imap4 import events, writer
from runtime.protocols.imap4.connection import ServerConnection
from runtime.protocols.imap4.grammar import Limits
from runtime.protocols.sasl import IdentityError, SaslError, decode_plain
from runtime.services import imap4_words as words
from runtime.services.base import Host, Listener, Service, Snapshot
from runtime.services.front_end import FrontEnd, FrontEndFacts
from runtime.services.front_end_session import End, FrontEndSession, LogonFailure

FACTS = FrontEndFacts(
    service="imap4",
    back_end="imap",
    certificate_service="IMAP",
    log_prefix="IMAP4",
    log_folder="Imap4",
    is_enabled=lambda mailbox: mailbox.imap_enabled,
)
#: Commands in a row that may be invalid before the client is given up.
MAX_BAD_COMMANDS = 10

_FAREWELLS: Mapping[End, str] = {
    End.NO_CERTIFICATE: words.NO_CERTIFICATE,
    End.TIMEOUT: words.TIMED_OUT,
    End.SHUTDOWN: words.RESTARTING,
    End.MADE_ROOM: "Connection is closed: the server is full, connect again later.",
    End.MAX_CONNECTIONS: "Connection is closed: the server is full, connect again later.",
    End.MAX_CONNECTION_FROM_SINGLE_IP: "Connection is closed: too many connections from this address.",
    End.TOO_MANY_COMMANDS: words.TOO_MANY_ERRORS,
    End.TOO_MANY_FAILED_LOGONS: "Connection is closed: too many failed logons.",
}
_FAILURES: Mapping[LogonFailure, tuple[bytes, str]] = {
    LogonFailure.BAD_CREDENTIALS: (b"", "failed."),
    LogonFailure.PROXY_FAILED: (b"", "failed."),
    LogonFailure.USER_CONNECTION_LIMIT: (b"LIMIT", "failed: too many connections of this user."),
    LogonFailure.BUSY: (b"UNAVAILABLE", "failed: the server is busy, try again in a moment."),
    LogonFailure.UNAVAILABLE: (b"UNAVAILABLE", "failed: the mailbox is not available."),
}


def create(host: Host, snapshot: Snapshot, generation: int) -> Service:  # noqa: ARG001 - the registry's signature
    """One generation of the front end."""
    limits = Limits(command_line=snapshot.imap.max_command_size).before_logon()
    return FrontEnd(
        host,
        snapshot,
        FACTS,
        settings=snapshot.imap,
        new_session=lambda front, listener: ImapFrontEndSession(front, listener, limits),
    )


class ImapFrontEndSession(FrontEndSession):
    """One client before its logon."""

    def __init__(self, front: FrontEnd, listener: Listener, limits: Limits) -> None:
        super().__init__(front, listener)
        self._limits = limits
        self._wire = ServerConnection(limits=limits)
        self._bad_commands = 0
        self._size = 0
        #: Tag and name of the logon that is under way.
        self._logon: tuple[bytes, str] = (b"*", "LOGIN")

    # What the shared session asks for

    def greeting(self) -> bytes:
        return writer.tagged(b"*", "OK", self.front.settings.banner)

    def farewell(self, end: End) -> bytes:
        return writer.bye(_FAREWELLS[end])

    def logged_on(self, entry: MailboxEntry) -> bytes:
        tag, name = self._logon
        return writer.tagged(tag, "OK", f"{name} completed.")

    def logon_failed(self, failure: LogonFailure) -> bytes:
        tag, name = self._logon
        code, text = _FAILURES[failure]
        reply = writer.tagged(tag, "NO", f"{name} {text}", code=code)
        return reply + writer.bye("Connection is closed.") if failure.ends_session else reply

    def take_pending(self) -> bytes:
        return self._wire.take_unread()

    def on_tls(self) -> None:
        """A new parser: nothing that was said in clear is remembered."""
        self._wire = ServerConnection(limits=self._limits)

    def on_data(self, data: bytes) -> None:
        self._wire.receive_data(data)
        if self.is_logging_on:
            self.hold_input()
        else:
            self.resume()

    def resume(self) -> None:
        while not self.is_over and not self.is_logging_on:
            before = self._wire.unread
            event = self._wire.next_event()
            self._size = before - self._wire.unread
            if event is None:
                return
            self._react(event)

    # Events

    def _react(self, event: events.Event) -> None:
        if isinstance(event, events.ContinuationNeeded):
            self.connection.write(writer.continuation(words.CONTINUE))
        elif isinstance(event, events.Fatal):
            self._hang_up(writer.bye(f"Connection is closed: {event.reason}."), "Fatal")
        elif self.begin_command():
            _HANDLERS[type(event)](self, event)

    def _done(self, reply: bytes, command: str, parameters: tuple[Loggable, ...] = ()) -> None:
        self._bad_commands = 0
        self.reply(reply, command, parameters, request_size=self._size)

    def _refuse(self, reply: bytes, command: str) -> None:
        """BAD; a client that only sends such commands is given up."""
        self.reply(reply, command, request_size=self._size, error="InvalidCommand")
        self._bad_commands += 1
        if self._bad_commands >= MAX_BAD_COMMANDS:
            self.end(End.TOO_MANY_COMMANDS)

    def _refuse_state(self, tag: bytes, command: str) -> None:
        self._refuse(writer.tagged(tag, "BAD", words.INVALID_STATE), command)

    def _hang_up(self, reply: bytes, command: str) -> None:
        self.reply(reply, command, request_size=self._size)
        self._finish()
        self.connection.close()

    def _on_bad(self, event: events.Bad) -> None:
        self._refuse(words.bad(event.tag, event.reason), "?")

    def _on_wrong_state(self, event: events.WrongState) -> None:
        self._refuse_state(event.tag, event.name)

    def _on_too_big(self, event: events.TooBig) -> None:
        self._refuse(writer.tagged(event.tag, "NO", words.TOO_BIG, code=b"TOOBIG"), "?")

    def _on_id(self, event: events.Identify) -> None:
        said = tuple(
            f"{name.decode('utf-8', 'replace')}={(value or b'NIL').decode('utf-8', 'replace')}"
            for name, value in event.parameters or ()
        )
        self._done(words.identity() + writer.tagged(event.tag, "OK", "ID completed."), "ID", said)

    def _on_simple(self, event: events.Simple) -> None:
        if event.name == "STARTTLS":
            self._begin_tls(event.tag)
        elif event.name == "LOGOUT":
            done = writer.tagged(event.tag, "OK", "LOGOUT completed.")
            self._hang_up(writer.bye(words.SIGN_OFF) + done, "LOGOUT")
        else:
            data = words.capability(self._situation()) if event.name == "CAPABILITY" else b""
            self._done(data + writer.tagged(event.tag, "OK", f"{event.name} completed."), event.name)

    def _situation(self) -> words.Situation:
        return words.Situation(may_log_on=self.accepts_plain_credentials, can_start_tls=self.offers_starttls)

    # TLS

    def _begin_tls(self, tag: bytes) -> None:
        if self._wire.unread:
            text = "Connection is closed: commands were sent behind STARTTLS in clear."
            self._hang_up(writer.bye(text), "STARTTLS")
        elif not self.offers_starttls:
            self._refuse_state(tag, "STARTTLS")
        else:
            self.start_tls(writer.tagged(tag, "OK", "Begin TLS negotiation now."), "STARTTLS")

    # Logon

    def _on_login(self, event: events.Login) -> None:
        if not self.accepts_plain_credentials:
            self._refuse_state(event.tag, "LOGIN")
            return
        # A name that is no UTF-8 belongs to nobody, which costs and says the same as any wrong name.
        name = event.user.decode("utf-8", "replace")
        self._begin_logon(event.tag, "LOGIN", name, event.password.reveal())

    def _on_authenticate(self, event: events.Authenticate) -> None:
        if not self.accepts_plain_credentials:
            self._refuse_state(event.tag, "AUTHENTICATE")
        elif event.mechanism != "PLAIN":
            reply = writer.tagged(event.tag, "NO", "Unsupported authentication mechanism.")
            self._done(reply, "AUTHENTICATE", (event.mechanism,))
        elif event.initial is None:
            self._logon = (event.tag, "AUTHENTICATE")
            self._wire.expect_line()
            self.connection.write(b"+ \r\n")
        else:
            self._authenticate(event.tag, event.initial.reveal())

    def _on_line(self, event: events.Line) -> None:
        response = event.text.reveal()
        tag = self._logon[0]
        if response == b"*":
            reply = writer.tagged(tag, "BAD", "The AUTH protocol exchange was canceled by the client.")
            self._done(reply, "AUTHENTICATE", ("PLAIN",))
        else:
            self._authenticate(tag, response)

    def _authenticate(self, tag: bytes, response: bytes) -> None:
        self._logon = (tag, "AUTHENTICATE")
        try:
            credentials = decode_plain(response)
        except IdentityError:
            self._bad_commands = 0
            self.refuse_log_on(command="AUTHENTICATE", parameters=("PLAIN", HIDDEN), request_size=self._size)
        except SaslError:
            self._refuse(words.bad(tag, "expected base64 of a PLAIN message"), "AUTHENTICATE")
        else:
            self._begin_logon(tag, "AUTHENTICATE", credentials.name, credentials.password)

    def _begin_logon(self, tag: bytes, command: str, name: str, password: bytes) -> None:
        self._logon = (tag, command)
        self._bad_commands = 0
        parameters: tuple[Loggable, ...] = ("PLAIN", name, HIDDEN) if command != "LOGIN" else (name, HIDDEN)
        self.log_on(name, password, command=command, parameters=parameters, request_size=self._size)


_HANDLERS: Mapping[type, Callable[[ImapFrontEndSession, Any], None]] = {
    events.Bad: ImapFrontEndSession._on_bad,
    events.WrongState: ImapFrontEndSession._on_wrong_state,
    events.TooBig: ImapFrontEndSession._on_too_big,
    events.Identify: ImapFrontEndSession._on_id,
    events.Simple: ImapFrontEndSession._on_simple,
    events.Login: ImapFrontEndSession._on_login,
    events.Authenticate: ImapFrontEndSession._on_authenticate,
    events.Line: ImapFrontEndSession._on_line,
}
