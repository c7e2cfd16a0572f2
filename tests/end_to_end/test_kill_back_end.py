"""kill -9 of the back-end host during appends: what was acknowledged is there once, nothing else is half there."""

from __future__ import annotations

import imaplib
import os
import re
import signal
import threading
from dataclasses import dataclass, field

from tests.support import clients
from tests.support.estate import Runtime
from tests.support.waiting import eventually

APPENDERS = 4
BEFORE_THE_KILL = 40


def _content(writer: int, number: int) -> bytes:
    # Every fifth is larger than what the database holds itself, so that it goes to a file beside it.
    size = 100_000 if number % 5 == 0 else 2_000
    line = f"line of writer {writer} message {number}\r\n".encode()
    header = f"Message-ID: <{writer}.{number}@contoso.example>\r\nSubject: s\r\n\r\n".encode()
    return header + line * (size // len(line))


@dataclass
class Acknowledged:
    """What the server said it had: content by the UID that it gave."""

    by_uid: dict[int, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    enough: threading.Event = field(default_factory=threading.Event)

    def add(self, uid: int, content: bytes) -> None:
        with self.lock:
            assert uid not in self.by_uid, f"UID {uid} was given twice"
            self.by_uid[uid] = content
            if len(self.by_uid) >= BEFORE_THE_KILL:
                self.enough.set()


def _append_until_cut(runtime: Runtime, writer: int, acknowledged: Acknowledged) -> None:
    client = clients.imap(runtime, "alice")
    try:
        for number in range(10_000):
            content = _content(writer, number)
            kind, (text, *_) = client.append("INBOX", "", "", content)
            if kind != "OK":
                return
            acknowledged.add(_append_uid(text), content)
    except (imaplib.IMAP4.error, OSError):
        return
    finally:
        client.shutdown()


def _append_uid(text: bytes) -> int:
    found = re.search(rb"APPENDUID \d+ (\d+)", text)
    assert found, f"no APPENDUID in {text!r}"
    return int(found[1])


def _messages(runtime: Runtime) -> dict[int, bytes]:
    with clients.imap(runtime, "alice") as client:
        client.select("INBOX", readonly=True)
        _, rows = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
    found = {}
    for row in rows:
        if isinstance(row, tuple):
            uid = re.search(rb"UID (\d+)", row[0])
            assert uid, row[0]
            found[int(uid[1])] = row[1]
    return found


def _can_read(runtime: Runtime) -> bool:
    try:
        clients.imap(runtime, "alice").logout()
    except (imaplib.IMAP4.error, OSError):
        return False
    return True


def test_every_acknowledged_message_survives_once(own: Runtime) -> None:
    acknowledged = Acknowledged()
    writers = [
        threading.Thread(target=_append_until_cut, args=(own, number, acknowledged))
        for number in range(APPENDERS)
    ]
    for writer in writers:
        writer.start()
    assert acknowledged.enough.wait(60), "the appends were too slow to kill anything in their midst"
    os.kill(own.host_pid("backend"), signal.SIGKILL)
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()
    eventually(lambda: _can_read(own), what="a logon after the back end came back")

    stored = _messages(own)
    assert {uid: stored.get(uid) for uid in acknowledged.by_uid} == acknowledged.by_uid
    whole = {_content(writer, number) for writer in range(APPENDERS) for number in range(len(stored) + 1)}
    assert set(stored.values()) <= whole, "a message is there that nobody sent whole"
    assert len(set(stored.values())) == len(stored), "a message is there twice"
    with clients.imap(own, "alice") as client:
        _, (text, *_) = client.append("INBOX", "", "", b"Subject: after\r\n\r\n")
    assert _append_uid(text) > max(stored)
