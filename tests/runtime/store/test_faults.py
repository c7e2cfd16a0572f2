"""A disk that refuses: the caller is told, nothing is acknowledged, the store goes on afterwards."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runtime.store.database import Database, open_database
from runtime.store.interface import NoSuchFolderError, StoreUnavailableError
from runtime.store.store import WORKERS
from runtime.store.transaction import Transaction
from tests.runtime import aio

ROOT = Path(__file__).parents[3]
SMALL = b"Subject: small\r\n\r\n" + b"x" * 9000 + b"\r\n"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(WORKERS) as workers:
        database = open_database(path, loop=asyncio.get_running_loop(), workers=workers)
        try:
            yield database
        finally:
            await database.close()


def limit_pages(transaction: Transaction, more: int) -> None:
    """The file may grow by so many pages: SQLite reports a full disk beyond."""
    pages = transaction.one("PRAGMA page_count")
    transaction.execute(f"PRAGMA max_page_count = {pages + more}")


async def set_limit(database: Database, more: int) -> None:
    await database.write(lambda transaction: limit_pages(transaction, more))


def test_a_full_disk_refuses_one_message_and_keeps_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with opened(tmp_path) as database:
            folder = (await database.mailbox("alice")).open("INBOX")
            await folder.append(SMALL)
            await set_limit(database, 1)
            with pytest.raises(StoreUnavailableError):
                await folder.append(SMALL)
            assert list(folder.uids()) == [1]
            await set_limit(database, 10_000)
            uid = (await folder.append(SMALL)).uid
            assert list(folder.uids()) == [1, uid]
            assert folder.content(uid) == SMALL

    with caplog.at_level(logging.CRITICAL, "runtime.store"):
        aio.run(test())


def test_in_a_full_batch_those_that_fit_are_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with opened(tmp_path) as database:
            folder = (await database.mailbox("alice")).open("INBOX")
            await set_limit(database, 8)
            results = await asyncio.gather(*(folder.append(SMALL) for _ in range(20)), return_exceptions=True)
            refused = [result for result in results if isinstance(result, BaseException)]
            assert refused
            assert all(isinstance(error, StoreUnavailableError) for error in refused)
            assert len(folder.uids()) == len(results) - len(refused) > 0
            assert (await database.mailbox("alice")).folder_info("INBOX").messages == len(folder.uids())

    with caplog.at_level(logging.CRITICAL, "runtime.store"):
        aio.run(test())


def test_an_operation_that_fails_half_way_harms_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def half(transaction: Transaction) -> None:
        transaction.execute("DELETE FROM messages")
        raise NoSuchFolderError("half way")

    def broken(transaction: Transaction) -> None:
        transaction.execute("DELETE FROM folders")
        raise ZeroDivisionError

    async def test() -> None:
        async with opened(tmp_path) as database:
            folder = (await database.mailbox("alice")).open("INBOX")
            results = await asyncio.gather(
                folder.append(SMALL),
                database.write(half),
                folder.append(SMALL),
                database.write(broken),
                folder.append(SMALL),
                return_exceptions=True,
            )
            assert isinstance(results[1], NoSuchFolderError)
            assert isinstance(results[3], StoreUnavailableError)
            assert list(folder.uids()) == [1, 2, 3]
            assert folder.content(3) == SMALL

    with caplog.at_level(logging.CRITICAL, "runtime.store"):
        aio.run(test())


def test_a_caller_that_goes_away_leaves_the_store_right(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as database:
            folder = (await database.mailbox("alice")).open("INBOX")
            for data in (SMALL, SMALL * 20):
                appending = asyncio.ensure_future(folder.append(data))
                await asyncio.sleep(0)
                appending.cancel()
            await aio.eventually(lambda: len(folder.uids()) == 2)
            assert (await folder.append(SMALL)).uid == 3

    aio.run(test())


#: A process whose files cannot grow beyond a size, as on a full disk, while it appends messages of both kinds.
SMALL_FILES = """
import asyncio, logging, resource, sys
from pathlib import Path
from runtime.store.interface import StoreUnavailableError
from runtime.store.store import SqliteStore

logging.disable(logging.CRITICAL)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def refused(attempt):
    try:
        await attempt
    except StoreUnavailableError:
        return True
    return False

async def spool(mailbox, folder, data):
    message = mailbox.new_message()
    for start in range(0, len(data), 50_000):
        message.write(data[start:start + 50_000])
    await folder.append(message)

async def main(root):
    store = SqliteStore(Path(root))
    mailbox = await store.mailbox("db01", "alice")
    folder = mailbox.open("INBOX")
    small, large = b"Subject: s\\r\\n\\r\\n" + b"x" * 30_000, b"Subject: l\\r\\n\\r\\n" + b"y" * 900_000
    await folder.append(small)
    limit(200_000)
    assert await refused(folder.append(large))
    assert await refused(spool(mailbox, folder, large))
    outcomes = [await refused(folder.append(small)) for _ in range(10)]
    assert outcomes[-1], "the write-ahead log should not have had room"
    limit(resource.RLIM_INFINITY)
    before = len(folder.uids())
    assert before == 1 + outcomes.count(False)
    await folder.append(large)
    await spool(mailbox, folder, large)
    await folder.append(small)
    assert [len(folder.content(uid)) for uid in folder.uids()][before:] == [len(large), len(large), len(small)]
    await store.close()
    assert len(list((Path(root) / "db01" / "blobs").iterdir())) == 2
    assert not list((Path(root) / "db01" / "spool").iterdir())

asyncio.run(main(sys.argv[1]))
"""


def test_files_that_cannot_grow(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
