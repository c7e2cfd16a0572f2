"""Real logons over IMAP, POP3 and SMTP with the standard library's clients, as a user's program would make them.

Each function connects to one listener, checks the greeting and the certificate, logs on when a mailbox is at hand and
the server offers it, and says in a few words what it saw. Anything else raises `LogonError`. `verify` chooses the
listener.
"""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from reconciler.applying.trust import Trust, TrustError
from reconciler.targets.target import HealthMailbox

#: Seconds for each step of a probe.
TIMEOUT = 10.0


class LogonError(Exception):
    """A listener did not do what a client expects of it; the text says what happened."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One listener as a client sees it."""

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"]

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Logon = Callable[[Endpoint, Trust, HealthMailbox], str]


def imap_logon(endpoint: Endpoint, trust: Trust, mailbox: HealthMailbox) -> str:
    """Greeting, TLS, LOGIN, SELECT INBOX, LOGOUT."""
    with _errors_told(endpoint), _imap(endpoint, trust) as client:
        if mailbox.database is None:
            return _greeted(endpoint)
        if "LOGINDISABLED" in client.capabilities:
            return f"greeting on {endpoint}; it does not take a logon without TLS"
        client.login(mailbox.address, mailbox.password.reveal())
        _expect_ok(client.select("INBOX", readonly=True))
        return f"logon and SELECT INBOX on {_with_tls(endpoint)}"


def pop_logon(endpoint: Endpoint, trust: Trust, mailbox: HealthMailbox) -> str:
    """Greeting, TLS, USER and PASS, STAT, QUIT."""
    with _errors_told(endpoint), _pop(endpoint, trust) as client:
        if mailbox.database is None:
            return _greeted(endpoint)
        if endpoint.tls == "none" and "USER" not in client.capa():
            return f"greeting on {endpoint}; it does not take a logon without TLS"
        client.user(mailbox.address)
        client.pass_(mailbox.password.reveal())
        client.stat()
        return f"logon and STAT on {_with_tls(endpoint)}"


def smtp_logon(endpoint: Endpoint, trust: Trust, mailbox: HealthMailbox) -> str:
    """Greeting, EHLO, STARTTLS and AUTH as far as they are offered, NOOP, QUIT."""
    with _errors_told(endpoint), _smtp(endpoint, trust) as client:
        is_protected = endpoint.tls == "implicit"
        if client.has_extn("STARTTLS"):
            client.starttls(context=trust.context())
            trust.check(client.sock)
            client.ehlo()
            is_protected = True
        words = ["EHLO", *(["TLS"] if is_protected else [])]
        if client.has_extn("AUTH") and mailbox.database is not None:
            client.login(mailbox.address, mailbox.password.reveal())
            words.append("AUTH")
        client.noop()
        return f"{', '.join(words)} on {endpoint}"


def smtp_greeting(endpoint: Endpoint) -> str:
    """Nothing but the greeting: what an internal listener gives to a stranger."""
    with _errors_told(endpoint), closing(smtplib.SMTP(timeout=TIMEOUT)) as client:
        code, text = client.connect(endpoint.host, endpoint.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        return f"greeting on {endpoint}"


@contextmanager
def _imap(endpoint: Endpoint, trust: Trust) -> Iterator[imaplib.IMAP4]:
    client = _connect_imap(endpoint, trust)
    try:
        if endpoint.tls == "starttls":
            client.starttls(trust.context())
        if endpoint.tls != "none":
            trust.check(client.sock)
        yield client
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            client.logout()


def _connect_imap(endpoint: Endpoint, trust: Trust) -> imaplib.IMAP4:
    if endpoint.tls == "implicit":
        return imaplib.IMAP4_SSL(endpoint.host, endpoint.port, ssl_context=trust.context(), timeout=TIMEOUT)
    return imaplib.IMAP4(endpoint.host, endpoint.port, timeout=TIMEOUT)


@contextmanager
def _pop(endpoint: Endpoint, trust: Trust) -> Iterator[poplib.POP3]:
    client = _connect_pop(endpoint, trust)
    try:
        if endpoint.tls == "starttls":
            client.stls(trust.context())
        if endpoint.tls != "none":
            trust.check(client.sock)
        yield client
    finally:
        with suppress(OSError, poplib.error_proto):
            client.quit()
        client.close()


def _connect_pop(endpoint: Endpoint, trust: Trust) -> poplib.POP3:
    if endpoint.tls == "implicit":
        return poplib.POP3_SSL(endpoint.host, endpoint.port, context=trust.context(), timeout=TIMEOUT)
    return poplib.POP3(endpoint.host, endpoint.port, timeout=TIMEOUT)


@contextmanager
def _smtp(endpoint: Endpoint, trust: Trust) -> Iterator[smtplib.SMTP]:
    client = _connect_smtp(endpoint, trust)
    try:
        if endpoint.tls == "implicit":
            trust.check(client.sock)
        code, text = client.ehlo()
        if code != 250:
            raise smtplib.SMTPHeloError(code, text)
        yield client
    finally:
        with suppress(OSError, smtplib.SMTPException):
            client.quit()
        client.close()


def _connect_smtp(endpoint: Endpoint, trust: Trust) -> smtplib.SMTP:
    if endpoint.tls == "implicit":
        return smtplib.SMTP_SSL(endpoint.host, endpoint.port, context=trust.context(), timeout=TIMEOUT)
    return smtplib.SMTP(endpoint.host, endpoint.port, local_hostname="probe.invalid", timeout=TIMEOUT)


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
    ) as error:
        raise LogonError(f"{endpoint}: {_said(error)}") from error


def _said(error: Exception) -> str:
    """The server's own words where there are some; smtplib keeps them as bytes in a tuple."""
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        return f"{error.smtp_code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:g} seconds"
    first = error.args[0] if error.args else None
    return first.decode(errors="replace") if isinstance(first, bytes) else str(error) or type(error).__name__


def _expect_ok(answer: tuple[str, list[bytes | None]]) -> None:
    if answer[0] != "OK":
        raise imaplib.IMAP4.error((answer[1][0] or b"").decode(errors="replace"))


def _greeted(endpoint: Endpoint) -> str:
    return (
        f"greeting on {_with_tls(endpoint)}; no mailbox database is on this server yet, so no logon was tried"
    )


def _with_tls(endpoint: Endpoint) -> str:
    return str(endpoint) if endpoint.tls == "none" else f"{endpoint} over TLS"
