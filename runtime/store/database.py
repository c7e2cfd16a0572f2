"""A mailbox database that this process owns: its lock, its connections, its writer, its open mailboxes and folders.

`<root>/<database>/` holds `mailboxes.sqlite`, `blobs/`, `spool/` and `owner.lock`. The lock is held as long as the
database is open, so two processes can never write it. `SqliteStore` opens it.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sqlite3
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from runtime.store import folder_operations
from runtime.store.blobs import BlobDirectory, sync_directory
from runtime.store.folder import SqliteFolder
from runtime.store.folder_state import FolderState
from runtime.store.incoming import take_in
from runtime.store.interface import StoreError, StoreUnavailableError
from runtime.store.mailbox import SqliteMailbox
from runtime.store.operations import NewMessage
from runtime.store.reader import Reader
from runtime.store.schema import connect, migrate
from runtime.store.transaction import Operation
from runtime.store.writer import Outcome, Pending, Writer, unavailable

#: Folders kept open though no session holds them.
KEPT_FOLDERS = 128
#: Seconds for which nobody opens a mailbox under a name that was just taken from it: who looked the name up before
#: the rename would make an empty one and put mail into it.
RENAME_REST = 5.0
#: Seconds until a rename that the disk refused is tried again.
RENAME_RETRY = 1.0

logger = logging.getLogger("runtime.store")


class DatabaseOwnedError(StoreError):
    """Another process has the database open."""


class Database:
    """Every method but `open` and `close` runs on the event loop."""

    def __init__(self, *, lock: int, path: Path, loop: asyncio.AbstractEventLoop, workers: Executor) -> None:
        """`lock` is the descriptor that holds the lock. Blocks: it opens and repairs the files, for `open_database`."""
        self._lock = lock
        self._loop = loop
        self._workers = workers
        self.blobs = BlobDirectory(path)
        file = path / "mailboxes.sqlite"
        self.reader = Reader(_open_repaired(file, self.blobs), self.blobs)
        sync_directory(path)
        self._writer = Writer(file, blobs=self.blobs, loop=loop, publish=self._publish)
        self._mailboxes: dict[str, SqliteMailbox] = {}
        self._by_id: dict[int, SqliteMailbox] = {}
        self._folders: weakref.WeakValueDictionary[int, SqliteFolder] = weakref.WeakValueDictionary()
        self._kept: OrderedDict[int, SqliteFolder] = OrderedDict()
        self._is_closed = False
        self._renamed: dict[str, float] = {}

    async def mailbox(self, name: str) -> SqliteMailbox:
        """The mailbox, made at first use. Raises StoreUnavailableError."""
        if name not in self._mailboxes:
            self._refuse_renamed(name)
            await self.write(partial(folder_operations.open_mailbox, name=name))
        return self._mailboxes[name]

    async def write(self, operation: Operation) -> Any:
        """Run an operation in the writer; returns its result after the commit. Raises StoreError. The operation is
        carried out also when the caller is cancelled."""
        self._refuse_closed()
        future = self._loop.create_future()
        self._writer.submit(Pending(operation, future))
        return await future

    def rename_mailbox(self, old: str, new: str, *, revision: int) -> None:
        """Give a mailbox another name. Returns at once; whoever asks for either name afterwards finds it done. It is
        carried out once a revision, and tried again while the disk refuses."""
        self._mailboxes.pop(new, None)
        if (known := self._mailboxes.pop(old, None)) is not None:
            known.name = new
            self._mailboxes[new] = known
        self._renamed[old] = self._loop.time() + RENAME_REST
        self._renamed.pop(new, None)
        self._submit_rename(
            partial(folder_operations.rename_mailbox, old=old, new=new, revision=revision), f"{old} to {new}"
        )

    def _submit_rename(self, renaming: Operation, what: str) -> None:
        def ended(future: asyncio.Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, StoreUnavailableError):
                self._loop.call_later(RENAME_RETRY, self._submit_rename, renaming, what)
            elif error is not None:
                logger.error("The rename of mailbox %s could not be carried out: %s", what, error)

        if not self._is_closed:
            future: asyncio.Future[None] = self._loop.create_future()
            future.add_done_callback(ended)
            self._writer.submit(Pending(renaming, future))

    def write_later(self, operation: Operation) -> None:
        """Run an operation that nobody waits for."""
        if not self._is_closed:
            self._writer.submit(Pending(operation, None))

    async def take_in_and_write(
        self, message: bytes | Path, operation_for: Callable[[NewMessage], Operation]
    ) -> Any:
        """Describe and store a large message in a worker thread, then run the operation made for it."""
        self._refuse_closed()
        future = self._loop.create_future()
        self._workers.submit(self._take_in, message, operation_for=operation_for, future=future)
        return await future

    def open_folder(self, state: FolderState) -> SqliteFolder:
        """The one object of this folder; reads its messages when it is not open. Raises NoSuchFolderError."""
        folder = self._folders.get(state.id)
        if folder is None:
            folder = self._folders[state.id] = SqliteFolder(self, state)
        self._kept[state.id] = folder
        self._kept.move_to_end(state.id)
        if len(self._kept) > KEPT_FOLDERS:
            self._kept.popitem(last=False)
        return folder

    def opened_folder(self, folder_id: int) -> SqliteFolder | None:
        return self._folders.get(folder_id)

    def forget_folder(self, folder_id: int) -> None:
        """The folder was deleted."""
        self._kept.pop(folder_id, None)
        self.reader.summary_cache.drop_folder(folder_id)
        folder = self._folders.pop(folder_id, None)
        if folder is not None:
            folder.vanish()

    async def close(self) -> None:
        """Commit what is queued, close the files, give up the lock. Safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.to_thread(self._writer.close)
        self.reader.close()
        os.close(self._lock)

    def _take_in(
        self,
        message: bytes | Path,
        *,
        operation_for: Callable[[NewMessage], Operation],
        future: asyncio.Future[Any],
    ) -> None:
        """In a worker thread."""
        try:
            new = take_in(message, self.blobs)
        except OSError as error:
            outcome = Outcome(Pending(_nothing, future), error=unavailable(error))
            self._loop.call_soon_threadsafe(self._publish, (outcome,))
            return
        abandon = partial(self.blobs.remove, new.blob) if new.blob is not None else None
        self._writer.submit(Pending(operation_for(new), future, abandon))

    def _publish(self, outcomes: Sequence[Outcome]) -> None:
        """Results of commits, in order: first what they changed, then who waits for them."""
        for outcome in outcomes:
            for change in outcome.changes:
                mailbox = self._by_id.get(change.mailbox_id)
                if mailbox is not None:
                    mailbox.apply(change)
            if isinstance(outcome.result, folder_operations.OpenedMailbox):
                self._take_mailbox(outcome.result)
            _resolve(outcome)

    def _take_mailbox(self, opened: folder_operations.OpenedMailbox) -> None:
        if opened.id not in self._by_id:
            self._by_id[opened.id] = SqliteMailbox(self, opened.name, opened.contents)
        self._mailboxes[opened.name] = self._by_id[opened.id]

    def _refuse_renamed(self, name: str) -> None:
        if self._renamed.get(name, 0.0) > self._loop.time():
            raise StoreUnavailableError("The mailbox has just been renamed. Try again later.")

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise StoreError("The mailbox database is closed.")


def open_database(path: Path, *, loop: asyncio.AbstractEventLoop, workers: Executor) -> Database:
    """Create or open the database in the directory `path`. Blocks. Raises DatabaseOwnedError when another process has
    it, StoreError for a newer schema, OSError and sqlite3.Error."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_directory(path.parent)
    lock = _take_lock(path)
    try:
        return Database(lock=lock, path=path, loop=loop, workers=workers)
    except BaseException:
        os.close(lock)
        raise


def _take_lock(path: Path) -> int:
    file = path / "owner.lock"
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise DatabaseOwnedError(
            f"The mailbox database {path} is open in process {owner}; one process owns it. "
            "End that process, or let it serve this database."
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _open_repaired(file: Path, blobs: BlobDirectory) -> sqlite3.Connection:
    connection = connect(file)
    try:
        migrate(connection)
        blobs.sweep(partial(_names_blob, connection))
    except BaseException:
        connection.close()
        raise
    return connection


def _names_blob(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM bodies WHERE blob = ?", (name,)).fetchone() is not None


def _nothing(_: object) -> None:
    """The operation of a message that never reached the writer."""


def _resolve(outcome: Outcome) -> None:
    future = outcome.pending.future
    if future is None or future.done():  # nobody waits, or no longer
        return
    if outcome.error is not None:
        future.set_exception(outcome.error)
    else:
        future.set_result(outcome.result)
