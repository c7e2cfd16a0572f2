"""kill -9 of transport under load: every acknowledged message is in the mailbox once, and no other twice."""

from __future__ import annotations

import contextlib
import os
import signal
import smtplib
import subprocess
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path

from runtime.store.store import SqliteStore
from tests.runtime.aio import run
from tests.runtime.transport.engines import engine
from tests.support.ports import free_port
from tests.support.waiting import eventually

PROGRAM = Path(__file__).parent / "crashing_transport.py"
ROOT = Path(__file__).parents[3]
KILLS = 2


class Sender(threading.Thread):
    """Submits numbered messages, over and over, and notes which were acknowledged."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(daemon=True)
        self.prefix = name
        self.port = port
        self.acknowledged: set[str] = set()
        self.is_done = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.is_done.is_set():
            with (
                contextlib.suppress(OSError, smtplib.SMTPException),
                smtplib.SMTP("localhost", self.port, "client.example") as client,
            ):
                while not self.is_done.is_set():
                    number += 1
                    subject = f"{self.prefix}-{number}"
                    client.sendmail(
                        "carol@fabrikam.example", ["alice@contoso.example"], f"Subject: {subject}\r\n\r\nx"
                    )
                    self.acknowledged.add(subject)


def have_sent(senders: list[Sender], count: int) -> bool:
    return sum(len(one.acknowledged) for one in senders) >= count


def start(state: Path, port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(state), str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


async def subjects(state: Path) -> Counter[str]:
    store = SqliteStore(state / "databases")
    inbox = (await store.mailbox("db01", "alice")).open("INBOX")
    found = Counter(_subject(inbox.content(uid) or b"") for uid in inbox.uids())
    await store.close()
    return found


def _subject(content: bytes) -> str:
    return content.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()


def test_kill_during_load(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, port)
    senders = [Sender(f"s{number}", port) for number in range(4)]
    for sender in senders:
        sender.start()
    for round_ in range(1, KILLS + 1):
        eventually(partial(have_sent, senders, round_ * 40))
        kill(process)
        process = start(tmp_path, port)
    for sender in senders:
        sender.is_done.set()
    for sender in senders:
        sender.join()
    acknowledged = set().union(*(sender.acknowledged for sender in senders))
    kill(process)
    found = run(_after_recovery(tmp_path))
    assert acknowledged <= set(found)
    assert [subject for subject, count in found.items() if count != 1] == []


async def _after_recovery(state: Path) -> Counter[str]:
    """Let a last engine deliver what is left."""
    async with engine(state, queue=state / "servers/ex01/queue") as running:
        await running.inbox("alice")
    return await subjects(state)
