"""Real logons over IMAP, POP3 and SMTP with the standard library's clients, as a user's program would make them.

Each function connects to one listener, checks the greeting and the certificate, logs on when a mailbox is at hand and
the server offers it, and says in a few words what it saw. Anything else raises `LogonError`, and the connection is then
cut without a goodbye, which a tarpit would only delay. `verify` chooses the listener, `message` sends mail through one.
"""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from reconciler.applying.deadline import STEP, Deadline, DeadlineError
from reconciler.applying.trust import Trust, TrustError
from reconciler.targets.target import HealthMailbox

#: What an SMTP client calls itself (RFC 2606: a name that cannot exist).
OWN_NAME = "probe.invalid"
#: What a front end says when a connection limit of its settings is reached. Other temporary refusals, such as a service
#: that is not active, share the reply code 421 4.3.2, so the words tell.
_FULL = (
    "The maximum number of concurrent connections has exceeded a limit",
    "The maximum number of concurrent server connections has exceeded a limit",
    "Connection is closed: the server is full",
    "Connection is closed: too many connections",
)
_PERMANENT = 500  # SMTP replies from here on stay the same when asked again (RFC 5321 4.2.1)


class LogonError(Exception):
    """A listener did not do what a client expects of it; the text says what happened. `is_final`: it answered, and
    would answer the same again."""

    def __init__(self, text: str, *, is_final: bool) -> None:
        super().__init__(text)
        self.is_final = is_final


class NotAdmittedError(LogonError):
    """A listener let nobody in. `is_full`: it said that a connection limit of its settings is reached. Otherwise it
    ended the connection before TLS, as it does at a limit, or when something is wrong: the runtime's status tells."""

    def __init__(self, endpoint: Endpoint, text: str, *, is_full: bool) -> None:
        super().__init__(f"{endpoint}: {text}", is_final=False)
        self.endpoint = endpoint
        self.is_full = is_full


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One listener as a client sees it."""

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"]

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Visit:
    """What it takes to go to a listener: where, whom to trust, who one is, and how long it may take."""

    endpoint: Endpoint
    trust: Trust
    mailbox: HealthMailbox
    deadline: Deadline


Logon = Callable[[Visit], str]


def imap_logon(visit: Visit) -> str:
    """Greeting, TLS, LOGIN, SELECT INBOX, LOGOUT."""
    with imap_session(visit) as client:
        if visit.mailbox.database is None:
            return _greeted(visit.endpoint)
        if "LOGINDISABLED" in client.capabilities:
            return f"greeting on {visit.endpoint}; it does not take a logon without TLS"
        select_inbox(client, visit, readonly=True)
        return f"logon and SELECT INBOX on {with_tls(visit.endpoint)}"


def select_inbox(client: imaplib.IMAP4, visit: Visit, *, readonly: bool = False) -> None:
    """Log on and open the INBOX."""
    client.socket().settimeout(visit.deadline.step())
    client.login(visit.mailbox.address, visit.mailbox.password.reveal())
    expect_ok(client.select("INBOX", readonly=readonly))


def pop_logon(visit: Visit) -> str:
    """Greeting, TLS, USER and PASS, STAT, QUIT."""
    with pop_session(visit) as client:
        if visit.mailbox.database is None:
            return _greeted(visit.endpoint)
        if visit.endpoint.tls == "none" and "USER" not in client.capa():
            return f"greeting on {visit.endpoint}; it does not take a logon without TLS"
        open_maildrop(client, visit)
        return f"logon and STAT on {with_tls(visit.endpoint)}"


def open_maildrop(client: poplib.POP3, visit: Visit) -> int:
    """Log on; returns the number of messages."""
    client.sock.settimeout(visit.deadline.step())
    client.user(visit.mailbox.address)
    client.pass_(visit.mailbox.password.reveal())
    return client.stat()[0]


def smtp_logon(visit: Visit) -> str:
    """Greeting, EHLO, STARTTLS and AUTH as far as they are offered, NOOP, QUIT."""
    with smtp_session(visit) as (client, words):
        client.noop()
        return f"{', '.join(words)} on {visit.endpoint}"


def smtp_greeting(endpoint: Endpoint, deadline: Deadline) -> str:
    """Nothing but the greeting: what an internal listener gives to a stranger."""
    with _errors_told(endpoint), closing(smtplib.SMTP(timeout=deadline.step())) as client:
        code, text = client.connect(endpoint.host, endpoint.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        return f"greeting on {endpoint}"


@contextmanager
def imap_session(visit: Visit) -> Iterator[imaplib.IMAP4]:
    """A connection over TLS as far as the listener offers it, before logon. Raises LogonError, also for what the block
    raises."""
    endpoint = visit.endpoint
    with _errors_told(endpoint), _ending(_connect_imap(visit)) as client:
        if endpoint.tls == "starttls":
            client.starttls(visit.trust.context())
        if endpoint.tls != "none":
            visit.trust.check(client.sock)
        yield client


@contextmanager
def pop_session(visit: Visit) -> Iterator[poplib.POP3]:
    """Like `imap_session`."""
    endpoint = visit.endpoint
    with _errors_told(endpoint), closing(_connect_pop(visit)) as client:
        if endpoint.tls == "starttls":
            client.stls(visit.trust.context())
        if endpoint.tls != "none":
            visit.trust.check(client.sock)
        yield client
        with suppress(OSError, poplib.error_proto):
            client.quit()


@contextmanager
def smtp_session(visit: Visit) -> Iterator[tuple[smtplib.SMTP, list[str]]]:
    """Logged on if the listener takes logons; with what was done so far, such as EHLO, TLS, AUTH."""
    endpoint, mailbox = visit.endpoint, visit.mailbox
    with _errors_told(endpoint), closing(_connect_smtp(visit)) as client:
        if endpoint.tls == "implicit":
            visit.trust.check(client.sock)
        code, text = client.ehlo()
        if code != 250:
            raise smtplib.SMTPHeloError(code, text)
        words = ["EHLO", *_secured(client, visit)]
        if client.has_extn("AUTH") and mailbox.database is not None:
            _give_time(client.sock, visit)
            client.login(mailbox.address, mailbox.password.reveal())
            words.append("AUTH")
        yield client, words
        with suppress(OSError, smtplib.SMTPException):
            client.quit()


def _give_time(sock: socket.socket | None, visit: Visit) -> None:
    if sock is not None:
        sock.settimeout(visit.deadline.step())


def _secured(client: smtplib.SMTP, visit: Visit) -> list[str]:
    if client.has_extn("STARTTLS"):
        client.starttls(context=visit.trust.context())
        visit.trust.check(client.sock)
        client.ehlo()
        return ["TLS"]
    return ["TLS"] if visit.endpoint.tls == "implicit" else []


@contextmanager
def _ending(client: imaplib.IMAP4) -> Iterator[imaplib.IMAP4]:
    """With a goodbye (which closes) when all went well, without one when it did not."""
    try:
        yield client
        client.logout()
    except BaseException:
        with suppress(OSError):
            client.shutdown()
        raise


def _connect_imap(visit: Visit) -> imaplib.IMAP4:
    at, timeout = visit.endpoint, visit.deadline.step()
    if at.tls == "implicit":
        with _dropping_told(at):
            return imaplib.IMAP4_SSL(at.host, at.port, ssl_context=visit.trust.context(), timeout=timeout)
    return imaplib.IMAP4(at.host, at.port, timeout=timeout)


def _connect_pop(visit: Visit) -> poplib.POP3:
    at, timeout = visit.endpoint, visit.deadline.step()
    if at.tls == "implicit":
        with _dropping_told(at):
            return poplib.POP3_SSL(at.host, at.port, context=visit.trust.context(), timeout=timeout)
    return poplib.POP3(at.host, at.port, timeout=timeout)


def _connect_smtp(visit: Visit) -> smtplib.SMTP:
    at, timeout = visit.endpoint, visit.deadline.step()
    if at.tls == "implicit":
        return smtplib.SMTP_SSL(at.host, at.port, context=visit.trust.context(), timeout=timeout)
    return smtplib.SMTP(at.host, at.port, local_hostname=OWN_NAME, timeout=timeout)


@contextmanager
def _errors_told(endpoint: Endpoint) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        EOFError,
        imaplib.IMAP4.error,
        poplib.error_proto,
        smtplib.SMTPException,
        TrustError,
        DeadlineError,
    ) as error:
        said = _said(error)
        if any(words in said for words in _FULL):
            raise NotAdmittedError(endpoint, said, is_full=True) from error
        raise LogonError(f"{endpoint}: {said}", is_final=_is_final(error)) from error


@contextmanager
def _dropping_told(endpoint: Endpoint) -> Iterator[None]:
    try:
        yield
    except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError) as error:
        raise NotAdmittedError(endpoint, _said(error), is_full=False) from error


def _is_final(error: Exception) -> bool:
    """True for an answer, false for what may have hit a listener that is just coming up."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= _PERMANENT
    if isinstance(error, poplib.error_proto):
        return b"EOF" not in str(error).encode()
    if isinstance(error, imaplib.IMAP4.error):
        return not isinstance(error, imaplib.IMAP4.abort)
    return isinstance(error, TrustError | DeadlineError | ssl.SSLCertVerificationError)


def _said(error: Exception) -> str:
    """The server's own words where there are some; smtplib keeps them as bytes in a tuple."""
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        return f"{error.smtp_code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"
    if isinstance(error, TimeoutError):
        return f"no answer within {STEP:g} seconds"
    first = error.args[0] if error.args else None
    return first.decode(errors="replace") if isinstance(first, bytes) else str(error) or type(error).__name__


def expect_ok(answer: tuple[str, Sequence[bytes | None]]) -> None:
    """Raise the server's own words unless it said OK."""
    if answer[0] != "OK":
        raise imaplib.IMAP4.error((answer[1][0] or b"").decode(errors="replace"))


def _greeted(endpoint: Endpoint) -> str:
    return (
        f"greeting on {with_tls(endpoint)}; no mailbox database is on this server yet, so no logon was tried"
    )


def with_tls(endpoint: Endpoint) -> str:
    """The listener, and whether it was asked over TLS."""
    return str(endpoint) if endpoint.tls == "none" else f"{endpoint} over TLS"
