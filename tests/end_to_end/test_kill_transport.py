"""kill -9 of the back-end host while mail comes in through the front end: what was acknowledged is there, once."""

from __future__ import annotations

import contextlib
import imaplib
import os
import signal
import smtplib
import threading
from collections import Counter
from functools import partial

from tests.support import clients
from tests.support.estate import Runtime
from tests.support.waiting import eventually

SENDERS = 4
KILLS = 3
BETWEEN_KILLS = 200


class Sender(threading.Thread):
    """Submits messages, each of them once, and notes the Message-IDs that were acknowledged."""

    def __init__(self, number: int, port: int) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.port = port
        self.sent = 0
        self.acknowledged: set[str] = set()
        self.is_done = threading.Event()

    def run(self) -> None:
        while not self.is_done.is_set():
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._send_until_cut()

    def _send_until_cut(self) -> None:
        with smtplib.SMTP(clients.HOST, self.port, "client.example", timeout=30) as client:
            while not self.is_done.is_set():
                self.sent += 1
                message_id = f"<{self.number}.{self.sent}@client.example>"
                content = f"Message-ID: {message_id}\r\nSubject: s\r\n\r\nbody\r\n"
                client.sendmail("carol@fabrikam.example", ["alice@contoso.example"], content)
                self.acknowledged.add(message_id)


def _count(senders: list[Sender]) -> int:
    return sum(len(one.acknowledged) for one in senders)


def _await_mail(senders: list[Sender]) -> None:
    """Until some more is acknowledged than now."""
    enough = _count(senders) + BETWEEN_KILLS
    eventually(lambda: _count(senders) >= enough, within=60, what="acknowledged mail")


def _stored(runtime: Runtime) -> Counter[str]:
    with clients.imap(runtime, "alice") as client:
        client.select("INBOX", readonly=True)
        _, rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    found = (row[1].decode() for row in rows if isinstance(row, tuple))
    return Counter(one.strip().partition(": ")[2] for one in found)


def _has_arrived(runtime: Runtime, message_ids: set[str]) -> bool:
    try:
        return message_ids <= set(_stored(runtime))
    except (imaplib.IMAP4.error, OSError):
        return False


def test_what_is_acknowledged_is_delivered_once(own: Runtime) -> None:
    senders = [Sender(number, own.ports.smtp) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        _await_mail(senders)
        os.kill(own.host_pid("backend"), signal.SIGKILL)
    _await_mail(senders)
    for sender in senders:
        sender.is_done.set()
    for sender in senders:
        sender.join(60)
    acknowledged = set().union(*(sender.acknowledged for sender in senders))
    eventually(partial(_has_arrived, own, acknowledged), within=60, what="the acknowledged mail")
    assert [one for one, count in _stored(own).items() if count != 1] == []
