"""The one writer of a mailbox database: a thread that commits many operations with one fsync (group commit).

Operations queue up while a commit runs; the next transaction takes them all. When anything in it fails, it is rolled
back and each operation runs in a transaction of its own, so that the fault stays with the one that has it. Results go
to the event loop only after their commit, in commit order. Nothing here knows what operations do.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.store.blobs import BlobDirectory
from runtime.store.changes import Change
from runtime.store.interface import StoreError, StoreUnavailableError
from runtime.store.schema import connect
from runtime.store.transaction import Operation, Transaction

logger = logging.getLogger("runtime.store")

MAX_BATCH = 256


@dataclass(slots=True)
class Pending:
    """An operation that waits for its commit. `abandon` runs in the writer thread when it fails."""

    run: Operation
    future: asyncio.Future[Any] | None
    abandon: Callable[[], None] | None = None


@dataclass(slots=True)
class Outcome:
    """What became of an operation."""

    pending: Pending
    result: Any = None
    error: Exception | None = None
    changes: Sequence[Change] = ()


Publish = Callable[[Sequence[Outcome]], None]


class Writer:
    """Owns the writing connection. `submit` may be called from any thread."""

    def __init__(
        self, path: Path, *, blobs: BlobDirectory, loop: asyncio.AbstractEventLoop, publish: Publish
    ) -> None:
        self._path = path
        self._blobs = blobs
        self._loop = loop
        self._publish = publish
        self._queue: queue.SimpleQueue[Pending | None] = queue.SimpleQueue()
        self._connection = connect(path)
        self._transaction = Transaction(self._connection)
        self._thread = threading.Thread(
            target=self._run, name=f"store-writer {path.parent.name}", daemon=True
        )
        self._thread.start()

    def submit(self, pending: Pending) -> None:
        """Queue an operation; its future is resolved on the event loop after the commit."""
        self._queue.put(pending)

    def close(self) -> None:
        """Finish what is queued, fold the log into the database and close. Blocks; not on the event loop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            is_open = None not in batch
            work = [pending for pending in batch if pending is not None]
            if work:
                self._hand_over(self._commit(work))
        self._connection.close()

    def _commit(self, batch: Sequence[Pending]) -> list[Outcome]:
        """One transaction for all where that goes, else one for each."""
        try:
            return self._commit_together(batch)
        except Exception as error:  # noqa: BLE001 - whatever an operation raises is its own, never the thread's end
            self._roll_back()
            if len(batch) == 1:
                return [Outcome(batch[0], error=_as_store_error(error))]
        return [self._commit((pending,))[0] for pending in batch]

    def _commit_together(self, batch: Sequence[Pending]) -> list[Outcome]:
        transaction = self._transaction
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes = [self._run_one(pending) for pending in batch]
        transaction.flush()
        self._connection.execute("COMMIT")
        blobs, transaction.dropped_blobs = transaction.dropped_blobs, []
        for blob in blobs:
            self._remove_blob(blob)
        return outcomes

    def _run_one(self, pending: Pending) -> Outcome:
        transaction = self._transaction
        transaction.changes = []
        before = transaction.extent()
        try:
            result = pending.run(transaction)
        except StoreError as error:
            if transaction.extent() != before:
                raise
            return Outcome(pending, error=error)
        return Outcome(pending, result=result, changes=transaction.changes)

    def _roll_back(self) -> None:
        self._transaction.forget_all()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            logger.exception("The mailbox database %s could not roll back; it is opened again.", self._path)
            self._reconnect()

    def _reconnect(self) -> None:
        try:
            self._connection.close()
            self._connection = connect(self._path)
        except sqlite3.Error:
            logger.exception("The mailbox database %s cannot be opened now.", self._path)
        else:
            self._transaction.rebind(self._connection)

    def _hand_over(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.error is not None and outcome.pending.abandon is not None:
                self._attempt(outcome.pending.abandon)
        try:
            self._loop.call_soon_threadsafe(self._publish, outcomes)
        except RuntimeError:
            logger.exception("The event loop ended before it heard of %d operations.", len(outcomes))

    def _remove_blob(self, blob: str) -> None:
        self._attempt(lambda: self._blobs.remove(blob))

    def _attempt(self, remove: Callable[[], None]) -> None:
        """What cannot be removed now is swept when the database opens next time."""
        try:
            remove()
        except OSError:
            logger.exception("A file beside the mailbox database %s could not be removed.", self._path)


def _as_store_error(error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    logger.error("A store operation failed.", exc_info=error)
    return unavailable(error)


def unavailable(error: Exception) -> StoreUnavailableError:
    """What a caller is told where the disk or the database refused; the cause is chained, not quoted."""
    refused = StoreUnavailableError("The store cannot do this now. Try again later.")
    refused.__cause__ = error
    return refused
