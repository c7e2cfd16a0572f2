"""All mailbox databases of a server, in SQLite: implements `Store`.

Databases open at first use, each with its own writer thread. Database names are directory names and are checked;
mailbox and folder names never become paths. Back-end hosts make one of these; nobody else opens the files.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runtime.store.database import Database, open_database
from runtime.store.interface import MailboxStore, StoreError
from runtime.store.writer import unavailable

_DATABASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,126}[A-Za-z0-9]|[A-Za-z0-9]")
#: Threads for messages too large for the event loop; they mostly wait for the disk.
WORKERS = 4


class SqliteStore:
    """`root` holds one directory a database. Use it from one event loop."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._databases: dict[str, asyncio.Task[Database]] = {}
        self._renames: dict[str, list[tuple[str, str, int]]] = {}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="store-worker")
        self._is_closed = False

    async def mailbox(self, database: str, mailbox: str) -> MailboxStore:
        """Raises StoreError: the database is another process's, its name is no name, or the disk refuses."""
        return await (await self._database(database)).mailbox(mailbox)

    def rename_mailbox(self, database: str, old: str, new: str, *, revision: int) -> None:
        """A mailbox has another name since `revision` of the live configuration. Returns at once; whoever asks for a
        mailbox of that database afterwards finds it done. A disk that refuses is asked again."""
        opening = self._databases.get(database)
        if opening is not None and opening.done() and not opening.cancelled() and opening.exception() is None:
            opening.result().rename_mailbox(old, new, revision=revision)
        else:
            self._renames.setdefault(database, []).append((old, new, revision))

    async def close(self) -> None:
        """Finish and close every database. Safe to call twice."""
        self._is_closed = True
        opened = await asyncio.gather(*self._databases.values(), return_exceptions=True)
        await asyncio.to_thread(self._workers.shutdown)
        for database in opened:
            if isinstance(database, Database):
                await database.close()

    async def _database(self, name: str) -> Database:
        if self._is_closed:
            raise StoreError("The store is closed.")
        opening = self._databases.get(name)
        if opening is None:
            opening = self._databases[name] = asyncio.ensure_future(self._open(name))
        return await asyncio.shield(opening)

    async def _open(self, name: str) -> Database:
        """What fails is not kept, so that the next call tries again."""
        loop = asyncio.get_running_loop()
        try:
            path = self._root / _checked_name(name)
            database = await loop.run_in_executor(
                self._workers, lambda: open_database(path, loop=loop, workers=self._workers)
            )
        except (OSError, sqlite3.Error) as error:
            self._databases.pop(name, None)
            raise unavailable(error) from error
        except BaseException:
            self._databases.pop(name, None)
            raise
        for old, new, revision in self._renames.pop(name, ()):
            database.rename_mailbox(old, new, revision=revision)
        return database


def _checked_name(database: str) -> str:
    if not _DATABASE_NAME.fullmatch(database):
        raise StoreError("A mailbox database is named with ASCII letters, digits, spaces, '.', '_' and '-'.")
    return database
