"""A message through the public listeners: submitted as a client does, delivered by transport, read back and removed.

    submission (AUTH where it is offered, else as a stranger)  →  transport  →  the health mailbox  →  IMAP or POP3

The message is known by a header of its own, so that nothing else in that mailbox is mistaken for it. What earlier
probes left, or what came back of them, goes with it. `verify` is the only caller.
"""

from __future__ import annotations

import poplib
import secrets
import smtplib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate

from reconciler.applying.logon import (
    LogonError,
    Visit,
    expect_ok,
    imap_session,
    open_maildrop,
    pop_session,
    select_inbox,
    smtp_session,
    with_tls,
)

HEADER = "X-Reconciler-Probe"
SUBJECT = "reconciler probe"
#: Seconds between two looks for it.
PAUSE = 0.1
#: Replies to RCPT that say "not to this recipient from you": this listener is not for the health mailbox.
_NOT_HERE = range(550, 555)


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the mailbox is read: a listener, and how."""

    visit: Visit
    protocol: str  # "IMAP" or "POP"


def round_trip(
    listeners: Sequence[Visit], reading: Reading, *, wait: Callable[[float], None] = time.sleep
) -> str:
    """Send a message and read it back. `listeners`: where it may be submitted; the first that takes it is used.

    Returns what was seen. Raises LogonError when a listener that should take it does not, or when it does not arrive.
    """
    token = secrets.token_hex(16)
    refusals = []
    for visit, as_user in [*((one, True) for one in listeners), *((one, False) for one in listeners)]:
        refusal = _submit(visit, token, as_user=as_user)
        if refusal is None:
            _read_back(reading, token, wait=wait)
            at = with_tls(reading.visit.endpoint)
            return f"a message through {visit.endpoint} was read back over {reading.protocol} on {at}"
        refusals += [f"{visit.endpoint} said {refusal}"] if refusal else []
    return f"no message was sent: no listener takes one for the health mailbox ({'; '.join(refusals)})"


def _submit(visit: Visit, token: str, *, as_user: bool) -> str | None:
    """None when the listener took the message; its words when it takes none from strangers, "" when it is not for users
    or, later, for strangers. Raises LogonError when it refuses one who logged on."""
    with smtp_session(visit) as (client, words):
        if as_user != ("AUTH" in words):
            return ""
        try:
            client.send_message(_message(visit.mailbox.address, token))
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused) as error:
            code, text = _reply(error)
            if as_user or code not in _NOT_HERE:
                raise smtplib.SMTPResponseException(code, text) from error
            return f"{code} {text}"
    return None


def _reply(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPSenderRefused) -> tuple[int, str]:
    if isinstance(error, smtplib.SMTPSenderRefused):
        return error.smtp_code, _text(error.smtp_error)
    code, text = next(iter(error.recipients.values()))
    return code, _text(text)


def _text(said: bytes | str) -> str:
    return said if isinstance(said, str) else said.decode(errors="replace")


def _message(address: str, token: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = message["To"] = address
    message["Subject"] = SUBJECT
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{token}@{address.rpartition('@')[2]}>"
    message[HEADER] = token
    message.set_content("Sent to see whether mail arrives, and removed when it has.")
    return message


def _read_back(reading: Reading, token: str, *, wait: Callable[[float], None]) -> None:
    read = _imap if reading.protocol == "IMAP" else _pop
    if not read(reading.visit, token, wait):
        raise LogonError(
            f"{reading.visit.endpoint}: a message that transport had accepted did not arrive in time",
            is_final=True,
        )


def _imap(visit: Visit, token: str, wait: Callable[[float], None]) -> bool:
    with imap_session(visit) as client:
        select_inbox(client, visit)
        while (
            not (arrived := _found(client.uid("SEARCH", "HEADER", HEADER, token)))
            and visit.deadline.left > PAUSE
        ):
            wait(PAUSE)
            expect_ok(client.noop())
        ours = _found(client.uid("SEARCH", "SUBJECT", f'"{SUBJECT}"'))
        if ours:
            expect_ok(client.uid("STORE", b",".join(ours).decode(), "+FLAGS.SILENT", "(\\Deleted)"))
            client.expunge()
        return bool(arrived)


def _found(answer: tuple[str, list[bytes | None]]) -> list[bytes]:
    expect_ok(answer)
    return (answer[1][0] or b"").split()


def _pop(visit: Visit, token: str, wait: Callable[[float], None]) -> bool:
    """A maildrop is as it was at logon (RFC 1939): each look is a session of its own."""
    while True:
        with pop_session(visit) as client:
            if _take_by_pop(client, visit, token):
                return True
        if visit.deadline.left <= PAUSE:
            return False
        wait(PAUSE)


def _take_by_pop(client: poplib.POP3, visit: Visit, token: str) -> bool:
    has_arrived = False
    for number in range(1, open_maildrop(client, visit) + 1):
        lines = {line.lower() for line in client.top(number, 0)[1]}
        has_arrived |= f"{HEADER}: {token}".lower().encode() in lines
        if any(line.startswith(b"subject:") and SUBJECT.encode() in line for line in lines):
            client.dele(number)
    return has_arrived
