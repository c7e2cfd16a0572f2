"""The files of a mailbox database: owner, schema, orphans, group commit."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.store import schema
from runtime.store.database import DatabaseOwnedError
from runtime.store.interface import FolderEvent, StoreError
from runtime.store.mailbox import SqliteMailbox
from runtime.store.store import SqliteStore
from runtime.store.transaction import Transaction
from tests.runtime import aio

TEXT = b"Subject: hello\r\n\r\ntext\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"y" * 70_000

HOLDER = """
import fcntl, os, sys
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, str(os.getpid()).encode())
print("held", flush=True)
sys.stdin.read()
"""


async def alice(store: SqliteStore) -> SqliteMailbox:
    mailbox = await store.mailbox("db01", "alice")
    assert isinstance(mailbox, SqliteMailbox)
    return mailbox


def test_a_database_of_another_process_is_refused_and_opens_later(tmp_path: Path) -> None:
    (tmp_path / "db01").mkdir()
    lock = tmp_path / "db01" / "owner.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None

    async def test() -> None:
        store = SqliteStore(tmp_path)
        try:
            with pytest.raises(DatabaseOwnedError, match=f"process {holder.pid}"):
                await alice(store)
            holder.communicate("")
            assert (await alice(store)).name == "alice"
        finally:
            await store.close()

    with holder:
        assert holder.stdout.readline() == "held\n"
        aio.run(test())


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "a\0", ".hidden", "x" * 200, "ünïcode", "a "])
def test_names_that_are_no_database_names_make_no_directory(tmp_path: Path, name: str) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path / "root")
        try:
            with pytest.raises(StoreError):
                await store.mailbox(name, "alice")
        finally:
            await store.close()

    aio.run(test())
    assert list(tmp_path.iterdir()) == []


def test_a_closed_store_refuses(tmp_path: Path) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path)
        folder = (await alice(store)).open("INBOX")
        await store.close()
        await store.close()
        with pytest.raises(StoreError):
            await folder.append(TEXT)
        with pytest.raises(StoreError):
            await alice(store)

    aio.run(test())


def test_what_is_queued_is_committed_at_closing(tmp_path: Path) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path)
        folder = (await alice(store)).open("INBOX")
        appending = [asyncio.ensure_future(folder.append(data)) for data in (TEXT, LARGE, TEXT)]
        await asyncio.sleep(0)
        await store.close()
        assert sorted(appended.uid for appended in await asyncio.gather(*appending)) == [1, 2, 3]

    aio.run(test())


def test_orphans_are_swept_when_the_database_opens(tmp_path: Path) -> None:
    async def life(*, is_first: bool) -> None:
        store = SqliteStore(tmp_path)
        folder = (await alice(store)).open("INBOX")
        if is_first:
            await folder.append(LARGE)
        assert folder.content(1) == LARGE
        await store.close()

    aio.run(life(is_first=True))
    for directory in ("blobs", "spool"):
        (tmp_path / "db01" / directory / ("0" * 32)).write_bytes(b"left by a crash")
    aio.run(life(is_first=False))
    assert len(list((tmp_path / "db01" / "blobs").iterdir())) == 1
    assert list((tmp_path / "db01" / "spool").iterdir()) == []


def test_a_blob_goes_with_its_last_copy(tmp_path: Path) -> None:
    blobs = tmp_path / "db01" / "blobs"

    async def test() -> None:
        store = SqliteStore(tmp_path)
        try:
            mailbox = await alice(store)
            await mailbox.create("A")
            folder = mailbox.open("INBOX")
            await folder.append(LARGE)
            await folder.copy([1], "A")
            await folder.copy([1], "A")
            await folder.expunge([1])
            await mailbox.open("A").expunge([1])
            assert len(list(blobs.iterdir())) == 1
            await mailbox.delete("A")
            assert list(blobs.iterdir()) == []
        finally:
            await store.close()

    aio.run(test())


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path)
        await alice(store)
        await store.close()

    aio.run(test())
    assert stat.S_IMODE((tmp_path / "db01").stat().st_mode) == 0o700


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async def life() -> None:
        store = SqliteStore(tmp_path)
        try:
            await alice(store)
        finally:
            await store.close()

    aio.run(life())
    with sqlite3.connect(tmp_path / "db01" / "mailboxes.sqlite") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        aio.run(life())


def test_an_older_schema_is_migrated_step_by_step(tmp_path: Path) -> None:
    connection = schema.connect(tmp_path / "file")
    schema.migrate(connection)

    def add(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE added (id INTEGER)")

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (id INTEGER)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        schema.migrate(connection, (*schema.MIGRATIONS, add, fail))
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "added" in tables
    assert "half" not in tables
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS) + 1,)
    connection.close()


def test_the_log_is_synced_at_each_commit(tmp_path: Path) -> None:
    connection = schema.connect(tmp_path / "file")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_operations_that_wait_share_a_commit(tmp_path: Path) -> None:
    commits: list[str] = []

    def trace(transaction: Transaction) -> None:
        transaction._connection.set_trace_callback(
            lambda statement: commits.append(statement) if statement == "COMMIT" else None
        )

    async def test() -> None:
        store = SqliteStore(tmp_path)
        try:
            folder = (await alice(store)).open("INBOX")
            await folder._database.write(trace)
            commits.clear()
            await asyncio.gather(*(folder.append(TEXT) for _ in range(100)))
            assert list(folder.uids()) == list(range(1, 101))
            assert len(commits) < 50
        finally:
            await store.close()

    aio.run(test())


def test_a_folder_opened_between_commit_and_news_hears_nothing_twice(tmp_path: Path) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path)
        try:
            mailbox = await alice(store)
            database = mailbox._database
            await mailbox.open("INBOX").append(TEXT)
            appending = asyncio.ensure_future(mailbox.open("INBOX").append(TEXT))
            await asyncio.sleep(0)
            reader = database.reader
            inbox = mailbox.folder_info("INBOX").id
            while len(reader.load(inbox)[1].uids) < 2:  # blocks the loop: the commit happens, the news waits
                pass
            database.forget_folder(inbox)
            folder = mailbox.open("INBOX")
            events: list[FolderEvent] = []
            folder.watch(events.append)
            assert list(folder.uids()) == [1, 2]
            assert folder.uid_next == 3
            await appending
            assert (list(folder.uids()), events) == ([1, 2], [])
            await folder.append(TEXT)
            assert [event.uids for event in events] == [(3,)]
        finally:
            await store.close()

    aio.run(test())


def test_folders_nobody_holds_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.store.database.KEPT_FOLDERS", 2)

    async def test() -> None:
        store = SqliteStore(tmp_path)
        try:
            mailbox = await alice(store)
            for folder in mailbox.folders():
                mailbox.open(folder.name)
            gc.collect()
            assert len(mailbox._database._folders) == 2
            await mailbox.open("INBOX").append(TEXT)
            assert list(mailbox.open("INBOX").uids()) == [1]
        finally:
            await store.close()

    aio.run(test())


def test_bodies_are_read_ahead_in_order(tmp_path: Path) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path)
        try:
            folder = (await alice(store)).open("INBOX")
            bodies = [
                b"Subject: %d\r\n\r\n" % number + (b"z" * 70_000 if number % 9 == 4 else b"")
                for number in range(50)
            ]
            for body in bodies:
                await folder.append(body)
            await folder.expunge([10, 11])
            expected = [body for uid, body in enumerate(bodies, 1) if uid not in (10, 11)]
            assert [folder.content(uid) for uid in folder.uids()] == expected
            assert [folder.content(uid) for uid in reversed(folder.uids())] == expected[::-1]
        finally:
            await store.close()

    aio.run(test())


@aio.on_both_loops
def test_both_event_loops_serve(tmp_path: Path, loop: str) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path)
        try:
            folder = (await alice(store)).open("INBOX")
            await asyncio.gather(*(folder.append(data) for data in (TEXT, LARGE)))
            assert sorted(map(len, map(folder.content, folder.uids()))) == sorted(map(len, (TEXT, LARGE)))  # type: ignore[arg-type]
        finally:
            await store.close()

    aio.run(test(), loop)
