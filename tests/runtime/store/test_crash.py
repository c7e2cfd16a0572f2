"""`kill -9` amid appends: what was acknowledged is there once, what was not is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.store.interface import Folder
from runtime.store.store import SqliteStore
from tests.runtime import aio

ROOT = Path(__file__).parents[3]

#: Appends without end, from several tasks, small and large by turns; tells each acknowledgement on its own line.
APPENDER = """
import asyncio, sys
from pathlib import Path
from tests.runtime.store.test_crash import message
from runtime.store.store import SqliteStore

async def main(root, life):
    mailbox = await SqliteStore(Path(root)).mailbox("db01", "alice")
    folder = mailbox.open("INBOX")
    async def appending(task):
        for number in range(10**6):
            key = f"{life}-{task}-{number}"
            data = message(key, is_large=number % 5 == task)
            if number % 2:
                arriving = mailbox.new_message()
                arriving.write(data)
                appended = await folder.append(arriving)
            else:
                appended = await folder.append(data)
            sys.stdout.write(f"{key} {appended.uid}\\n")
            sys.stdout.flush()
            if number % 7 == 3:
                await folder.expunge([appended.uid])
                sys.stdout.write(f"{key} gone\\n")
                sys.stdout.flush()
    await asyncio.gather(*(appending(task) for task in range(4)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def message(key: str, *, is_large: bool) -> bytes:
    """A message that proves its own wholeness: the last line is the digest of what stands before."""
    head = f"Subject: {key}\r\n\r\n".encode() + (b"x" * 76 + b"\r\n") * (1000 if is_large else 10)
    return head + hashlib.sha256(head).hexdigest().encode() + b"\r\n"


def is_whole(data: bytes) -> bool:
    head, digest = data[:-66], data[-66:-2]
    return hashlib.sha256(head).hexdigest().encode() == digest


def live_and_die(root: Path, life: int, acknowledgements: int) -> tuple[dict[str, int], set[str]]:
    """Run the appender until it has acknowledged so many, kill it; returns UIDs by key and the keys removed."""
    process = subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(root), str(life)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    with process, process.stdout:
        lines = [process.stdout.readline() for _ in range(acknowledgements)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
    words = [line.decode().split() for line in lines if line.endswith(b"\n")]
    return {key: int(what) for key, what in words if what != "gone"}, {
        key for key, what in words if what == "gone"
    }


def subject(data: bytes) -> str:
    return data.partition(b"\r\n")[0].removeprefix(b"Subject: ").decode()


def contents(folder: Folder) -> dict[int, bytes]:
    found = {uid: folder.content(uid) for uid in folder.uids()}
    assert None not in found.values()
    return {uid: data for uid, data in found.items() if data is not None}


@pytest.mark.parametrize("acknowledgements", [1, 40, 150])
def test_acknowledged_messages_survive_once(tmp_path: Path, acknowledgements: int) -> None:
    uids: dict[str, int] = {}
    gone: set[str] = set()
    for life in range(3):
        appended, removed = live_and_die(tmp_path, life, acknowledgements + life)
        assert not set(appended.values()) & set(uids.values()), "a UID was given twice"
        assert min(appended.values()) > max(uids.values(), default=0)
        uids |= appended
        gone |= removed

    async def check() -> None:
        store = SqliteStore(tmp_path)
        try:
            folder = (await store.mailbox("db01", "alice")).open("INBOX")
            found = contents(folder)
            assert all(map(is_whole, found.values()))
            keys = [subject(data) for data in found.values()]
            assert len(keys) == len(set(keys))
            present = {key: uid for key, uid in uids.items() if key not in gone}
            by_key = {subject(data): uid for uid, data in found.items()}
            # A removal whose acknowledgement was lost may have happened.
            missing = {key for key, uid in present.items() if by_key.get(key) != uid}
            assert all(int(key.rsplit("-", 1)[1]) % 7 == 3 for key in missing)
            assert not gone & set(keys)
            assert folder.uid_next > max(uids.values())
            assert [summary.size for summary in folder.summaries(list(found))] == list(
                map(len, found.values())
            )
            large = sum(len(data) > 64 * 1024 for data in found.values())
            assert len(list((tmp_path / "db01" / "blobs").iterdir())) == large
            assert list((tmp_path / "db01" / "spool").iterdir()) == []
        finally:
            await store.close()

    aio.run(check())
