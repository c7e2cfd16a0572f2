"""Standard-library clients, logged on, for one mailbox of a running estate."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from email.message import EmailMessage

from tests.support.estate import DOMAIN, PASSWORDS, Runtime

HOST = "localhost"


def imap(runtime: Runtime, user: str) -> imaplib.IMAP4_SSL:
    """Implicit TLS, verified, logged on."""
    client = imaplib.IMAP4_SSL(HOST, runtime.ports.imaps, ssl_context=runtime.tls(), timeout=30)
    try:
        client.login(f"{user}@{DOMAIN}", PASSWORDS[user])
    except Exception:
        client.shutdown()
        raise
    return client


def pop(runtime: Runtime, user: str) -> poplib.POP3_SSL:
    """Implicit TLS, verified, logged on."""
    client = poplib.POP3_SSL(HOST, runtime.ports.pops, context=runtime.tls(), timeout=30)
    try:
        client.user(f"{user}@{DOMAIN}")
        client.pass_(PASSWORDS[user])
    except Exception:
        client.close()
        raise
    return client


def submission(runtime: Runtime, user: str) -> smtplib.SMTP:
    """STARTTLS on the client connector, verified, authenticated."""
    client = smtplib.SMTP(HOST, runtime.ports.submission, timeout=30)
    client.starttls(context=runtime.tls())
    client.login(f"{user}@{DOMAIN}", PASSWORDS[user])
    return client


def message(*, sender: str = "alice", to: str = "bob", subject: str, text: str = "Hello\n") -> EmailMessage:
    """A plain message between two mailboxes of the estate."""
    built = EmailMessage()
    built["From"], built["To"], built["Subject"] = f"{sender}@{DOMAIN}", f"{to}@{DOMAIN}", subject
    built.set_content(text)
    return built


def subjects(client: imaplib.IMAP4) -> list[str]:
    """The subjects in INBOX, in order."""
    client.select("INBOX", readonly=True)
    _, rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [row[1].decode().strip().removeprefix("Subject: ") for row in rows if isinstance(row, tuple)]
