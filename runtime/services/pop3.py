"""The POP3 front end: the AUTHORIZATION state, and then a pump.

Greeting, CAPA, STLS, USER/PASS and AUTH PLAIN are answered here; everything after the logon is the back
end's. LoginType decides whether credentials are taken in clear, and the refusal is the one Exchange gives.
Built by the front-end host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runtime.directory.directory import MailboxEntry
from runtime.protocol_log.pop_imap import HIDDEN, Loggable
from runtime.protocols.pop3 import writer
from runtime.protocols.pop3.connection import Pop3Connection
from runtime.protocols.pop3.events import (
    Auth,
    AuthResponse,
    BadCommand,
    Capa,
    Command,
    Pass,
    Quit,
    Secret,
    Stls,
    User,
)
from runtime.protocols.pop3.state import NOT_NOW, Offer, State, capabilities
from runtime.protocols.sasl import IdentityError, SaslError, decode_plain
from runtime.services.base import Host, Listener, Service, Snapshot
from runtime.services.front_end import FrontEnd, FrontEndFacts
from runtime.services.front_end_session import End, FrontEndSession, LogonFailure

FACTS = FrontEndFacts(
    service="pop3",
    back_end="pop",
    certificate_service="POP",
    log_prefix="POP3",
    log_folder="Pop3",
    is_enabled=lambda mailbox: mailbox.pop_enabled,
)

SIGNING_OFF = "Microsoft Exchange Server POP3 server signing off."

_FAREWELLS: Mapping[End, str] = {
    End.TIMEOUT: "Connection is closed: no logon in time.",
    End.SHUTDOWN: "[SYS/TEMP] Connection is closed: the service is stopping.",
    End.MAX_CONNECTIONS: "[SYS/TEMP] Connection is closed: too many connections.",
    End.MAX_CONNECTION_FROM_SINGLE_IP: "[SYS/TEMP] Connection is closed: too many connections from your address.",
    End.MADE_ROOM: "[SYS/TEMP] Connection is closed: too many connections.",
    End.NO_CERTIFICATE: "[SYS/PERM] Connection is closed. 14",
    End.TOO_MANY_COMMANDS: "Connection is closed: too many commands before logon.",
    End.TOO_MANY_FAILED_LOGONS: "Connection is closed: too many failed logons.",
}

_FAILURES: Mapping[LogonFailure, str] = {
    LogonFailure.BAD_CREDENTIALS: "Logon failure: unknown user name or bad password.",
    LogonFailure.USER_CONNECTION_LIMIT: "[SYS/TEMP] Connection is closed: too many connections of this user.",
    LogonFailure.BUSY: "[SYS/TEMP] The server is busy; try again in a moment.",
    LogonFailure.UNAVAILABLE: "[SYS/TEMP] The mailbox is not available; try again later.",
    LogonFailure.PROXY_FAILED: "[SYS/TEMP] The mailbox is not available; try again later.",
}


def create(host: Host, snapshot: Snapshot, generation: int) -> Service:  # noqa: ARG001 - every service's signature
    """A generation of the service."""
    return FrontEnd(host, snapshot, FACTS, settings=snapshot.pop, new_session=Pop3Session)


class Pop3Session(FrontEndSession):
    """One client before its logon."""

    def __init__(self, front: FrontEnd, listener: Listener) -> None:
        super().__init__(front, listener)
        self._core = self._new_core()
        self._user = ""

    def greeting(self) -> bytes:
        return writer.ok(self.front.settings.banner)

    def farewell(self, end: End) -> bytes:
        return writer.err(_FAREWELLS[end])

    def logged_on(self, entry: MailboxEntry) -> bytes:
        return writer.ok("User successfully logged on.")

    def logon_failed(self, failure: LogonFailure) -> bytes:
        return writer.err(_FAILURES[failure])

    def take_pending(self) -> bytes:
        return self._core.take_rest()

    def resume(self) -> None:
        while not (self.is_logging_on or self.is_over):
            command = self._core.next_command()
            if command is None or not self.begin_command():
                return
            self._handle(command)

    def on_data(self, data: bytes) -> None:
        self._core.receive(data)
        if self.is_logging_on:
            self.hold_input()
        else:
            self.resume()

    def on_tls(self) -> None:
        """RFC 2595 4: what was said in clear is forgotten."""
        self._core = self._new_core()
        self._user = ""

    def _new_core(self) -> Pop3Connection:
        return Pop3Connection(State.AUTHORIZATION, max_command_size=self.front.settings.max_command_size)

    def _handle(self, command: Command) -> None:
        handle = _HANDLERS.get(type(command))
        if handle is not None:
            handle(self, command)

    def bad(self, command: BadCommand) -> None:
        self.reply(writer.err(command.reason), command.keyword)

    def capa(self, command: Capa) -> None:
        offer = Offer(accepts_plain=self.accepts_plain_credentials, starttls=self.offers_starttls)
        rows = [line.encode("ascii") for line in capabilities(offer)]
        self.reply(writer.lines("Capability list follows.", rows), "CAPA")

    def quit(self, command: Quit) -> None:
        self.reply(writer.ok(SIGNING_OFF), "QUIT")
        self.close()

    def stls(self, command: Stls) -> None:
        """Bytes behind STLS came in clear: somebody on the way wants them executed inside TLS."""
        if not self.offers_starttls:
            self.reply(writer.err(NOT_NOW), "STLS")
        elif self._core.has_input:
            self.reply(writer.err("Nothing may follow STLS."), "STLS", error="PlaintextBehindStls")
            self.close()
        else:
            self.start_tls(writer.ok("Begin TLS negotiation now."), "STLS")

    def user(self, command: User) -> None:
        if not self.accepts_plain_credentials:
            self.reply(writer.err(NOT_NOW), "USER")
            return
        self._user = command.name
        self.reply(writer.ok(), "USER", (command.name,))

    def password(self, command: Pass) -> None:
        user, self._user = self._user, ""
        if not user or not self.accepts_plain_credentials:
            self.reply(writer.err(NOT_NOW), "PASS", (HIDDEN,))
            return
        self.log_on(user, command.password.value, command="PASS", parameters=(HIDDEN,))

    def auth(self, command: Auth) -> None:
        if not self.accepts_plain_credentials:
            self.reply(writer.err(NOT_NOW), "AUTH", _mechanism(command))
        elif not command.mechanism:
            self.reply(writer.lines("Supported mechanisms follow.", [b"PLAIN"]), "AUTH")
        elif command.mechanism != "PLAIN":
            self.reply(
                writer.err("The authentication mechanism is not supported."), "AUTH", _mechanism(command)
            )
        elif command.initial is None:
            self._core.expect_response()
            self.reply(writer.challenge(), "AUTH", _mechanism(command))
        else:
            self._plain(command.initial)

    def auth_response(self, command: AuthResponse) -> None:
        if command.data.value == b"*":
            self.reply(
                writer.err("The AUTH protocol exchange was canceled by the client."), "AUTH", ("PLAIN",)
            )
        else:
            self._plain(command.data)

    def _plain(self, response: Secret) -> None:
        """RFC 5034 4: "=" stands for an empty initial response."""
        try:
            credentials = decode_plain(b"" if response.value == b"=" else response.value)
        except IdentityError:
            self.refuse_log_on(command="AUTH", parameters=("PLAIN", HIDDEN))
            return
        except SaslError as error:
            self.reply(writer.err(str(error)), "AUTH", ("PLAIN", HIDDEN))
            return
        parameters = ("PLAIN", credentials.name, HIDDEN)
        self.log_on(credentials.name, credentials.password, command="AUTH", parameters=parameters)


def _mechanism(command: Auth) -> Sequence[Loggable]:
    return (command.mechanism, *((HIDDEN,) if command.initial else ()))


_HANDLERS: Mapping[type[Command], Callable[..., None]] = {
    BadCommand: Pop3Session.bad,
    Capa: Pop3Session.capa,
    Quit: Pop3Session.quit,
    Stls: Pop3Session.stls,
    User: Pop3Session.user,
    Pass: Pop3Session.password,
    Auth: Pop3Session.auth,
    AuthResponse: Pop3Session.auth_response,
}
