"""What operations see of the database: rows, counters of folders, and a list of changes to tell.

One lives in the writer thread for as long as the database is open. Counters of folders are kept here between batches
and written once a batch; after any rollback they are forgotten and read again. It never commits: the writer does.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Literal

from runtime.store.changes import Change, FolderRecord, FoldersChanged, MessagesChanged
from runtime.store.interface import NoSuchFolderError

_FOLDER_COLUMNS = (
    "id, mailbox_id, name, special_use, uid_validity, uid_next, recent_from, modseq, messages, unseen"
)
_UIDS_OF_FOLDER = "folder_id = ? AND uid IN (SELECT value FROM json_each(?))"


#: Rows that one statement inserts; SQLite takes 32,766 values in a statement.
ROWS_AT_ONCE = 64


@dataclass(slots=True)
class FolderCounters:
    """The counters of a folder as the current transaction sees them. Change them only with `is_dirty = True`."""

    id: int
    mailbox_id: int
    name: str
    special_use: str | None
    uid_validity: int
    uid_next: int
    recent_from: int
    modseq: int
    messages: int
    unseen: int
    is_dirty: bool = False


class Transaction:
    """The writer thread's view. Not thread-safe."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._folders: dict[int, FolderCounters] = {}
        self._new_bodies: list[tuple[Any, ...]] = []
        self._new_messages: list[tuple[Any, ...]] = []
        self._connection = connection
        self._next_body: int = self.one("SELECT coalesce(max(id), 0) + 1 FROM bodies")
        #: What the current operation changed, in order.
        self.changes: list[Change] = []
        #: Blobs that no row names any more once this is committed.
        self.dropped_blobs: list[str] = []

    def rebind(self, connection: sqlite3.Connection) -> None:
        """Go on with another connection to the same database."""
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement; it sees the rows that were added before it."""
        if self._new_messages:
            self._write_new_rows()
        return self._connection.execute(sql, parameters)

    def add_body(self, row: tuple[Any, ...]) -> None:
        """Add a row to `bodies`. New rows are written together: a statement costs more than a row, and each of them
        gives the interpreter to another thread."""
        self._new_bodies.append(row)

    def add_message(self, row: tuple[Any, ...]) -> None:
        """Add a row to `messages`, behind its body's."""
        self._new_messages.append(row)

    def extent(self) -> tuple[int, int]:
        """Differs after anything was written."""
        return self._connection.total_changes, len(self._new_messages)

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, None without a row."""
        row = self.execute(sql, parameters).fetchone()
        return None if row is None else row[0]

    def folder(self, folder_id: int) -> FolderCounters:
        """The counters of a folder. Raises NoSuchFolderError."""
        known = self._folders.get(folder_id)
        if known is None:
            row = self.execute(f"SELECT {_FOLDER_COLUMNS} FROM folders WHERE id = ?", (folder_id,)).fetchone()
            if row is None:
                raise NoSuchFolderError("The folder does not exist any more.")
            known = self._folders[folder_id] = FolderCounters(*row)
        return known

    def folder_named(self, mailbox_id: int, name: str) -> FolderCounters:
        """The counters of the folder with this (normalised) name. Raises NoSuchFolderError."""
        folder_id = self.find_folder(mailbox_id, name)
        if folder_id is None:
            raise NoSuchFolderError("There is no such folder.")
        return self.folder(folder_id)

    def find_folder(self, mailbox_id: int, name: str) -> int | None:
        """The id of the folder with this name; any text is accepted."""
        try:
            text = name.encode()
        except UnicodeEncodeError:  # a lone surrogate, which no folder has
            return None
        found: int | None = self.one(
            "SELECT id FROM folders WHERE mailbox_id = ? AND name = ?", (mailbox_id, text.decode())
        )
        return found

    def forget_folder(self, folder_id: int) -> None:
        """Its row was changed or deleted otherwise: read it again when it is asked for."""
        self.flush()
        self._folders.pop(folder_id, None)

    def next_body(self) -> int:
        """An id that no body ever had in this process, so that caches never mix bodies up."""
        self._next_body += 1
        return self._next_body - 1

    def next_uid_validity(self) -> int:
        """Higher than any that this database ever gave."""
        self.execute("UPDATE meta SET value = value + 1 WHERE key = 'uid_validity'")
        validity: int = self.one("SELECT value FROM meta WHERE key = 'uid_validity'")
        return validity

    def messages(self, folder_id: int, uids: Collection[int]) -> list[tuple[int, int, str, int, int]]:
        """(uid, body, flags, date, zone) of these messages, by UID; those that are gone are left out."""
        where, parameters = _selecting(folder_id, uids)
        return self.execute(
            f"SELECT uid, body_id, flags, date, zone FROM messages WHERE {where} ORDER BY uid",
            parameters,
        ).fetchall()

    def delete_messages(self, folder_id: int, uids: Collection[int]) -> None:
        """Delete the rows of these messages; the caller counts bodies and messages."""
        where, parameters = _selecting(folder_id, uids)
        self.execute(f"DELETE FROM messages WHERE {where}", parameters)

    def set_flags(self, folder_id: int, uids: Collection[int], flags: str, modseq: int) -> None:
        where, parameters = _selecting(folder_id, uids)
        self.execute(
            f"UPDATE messages SET flags = ?, modseq = ? WHERE {where}",
            (flags, modseq, *parameters),
        )

    def count_copies(self, bodies: Iterable[int], by: int) -> None:
        """Change how many messages share these bodies (one entry a message); bodies that nobody has are deleted."""
        counts = Counter(bodies)
        self._connection.executemany(
            "UPDATE bodies SET copies = copies + ? WHERE id = ?",
            [(by * count, body) for body, count in counts.items()],
        )
        if by < 0:
            self._delete_unused(counts.keys())

    def _delete_unused(self, bodies: Iterable[int]) -> None:
        unused = "copies <= 0 AND id IN (SELECT value FROM json_each(?))"
        chosen = (json.dumps(list(bodies)),)
        blobs = self.execute(f"SELECT blob FROM bodies WHERE {unused} AND blob IS NOT NULL", chosen)
        self.dropped_blobs.extend(blob for (blob,) in blobs.fetchall())
        self.execute(f"DELETE FROM bodies WHERE {unused}", chosen)

    def tell_messages(
        self,
        kind: Literal["added", "removed", "flags"],
        folder: FolderCounters,
        uids: Sequence[int],
        flags: Sequence[str],
        origin: object | None,
    ) -> None:
        """Record a change; the folder's counters, MODSEQ included, are already those after it."""
        self.changes.append(
            MessagesChanged(
                kind,
                folder.mailbox_id,
                folder.id,
                tuple(uids),
                tuple(flags),
                folder.modseq,
                folder.uid_next,
                folder.messages,
                folder.unseen,
                origin,
            )
        )

    def tell_folders(self, mailbox_id: int) -> FoldersChanged:
        """Record the folders and subscriptions that the mailbox has now."""
        self.flush()
        rows = self.execute(
            f"SELECT {_FOLDER_COLUMNS}, (SELECT count(*) FROM messages m WHERE m.folder_id = folders.id "
            "AND m.uid >= folders.recent_from) FROM folders WHERE mailbox_id = ?",
            (mailbox_id,),
        ).fetchall()
        names = self.execute("SELECT name FROM subscriptions WHERE mailbox_id = ?", (mailbox_id,)).fetchall()
        change = FoldersChanged(
            mailbox_id, tuple(FolderRecord(*row) for row in rows), frozenset(name for (name,) in names)
        )
        self.changes.append(change)
        return change

    def flush(self) -> None:
        """Write the counters that changed."""
        if self._new_messages:
            self._write_new_rows()
        dirty = [folder for folder in self._folders.values() if folder.is_dirty]
        if not dirty:
            return
        self._connection.executemany(
            "UPDATE folders SET uid_next = ?, modseq = ?, messages = ?, unseen = ? WHERE id = ?",
            [(row.uid_next, row.modseq, row.messages, row.unseen, row.id) for row in dirty],
        )
        for row in dirty:
            row.is_dirty = False

    def _write_new_rows(self) -> None:
        bodies, self._new_bodies = self._new_bodies, []
        messages, self._new_messages = self._new_messages, []
        self._insert("bodies", bodies)
        self._insert("messages", messages)

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            self._connection.execute(
                _insertion(table, columns=len(some[0]), rows=len(some)), list(chain.from_iterable(some))
            )

    def forget_all(self) -> None:
        """After a rollback nothing that is kept here is true."""
        self._folders.clear()
        self._new_bodies, self._new_messages = [], []
        self.changes = []
        self.dropped_blobs = []


@cache
def _insertion(table: str, *, columns: int, rows: int) -> str:
    values = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {table} VALUES {', '.join([values] * rows)}"


def _selecting(folder_id: int, uids: Collection[int]) -> tuple[str, tuple[Any, ...]]:
    if len(uids) == 1:
        return "folder_id = ? AND uid = ?", (folder_id, *uids)
    return _UIDS_OF_FOLDER, (folder_id, json.dumps(list(uids)))


#: An operation runs in the writer thread, inside a transaction, and may run again after a rollback. What it raises
#: fails it alone. It checks first and writes afterwards.
Operation = Callable[[Transaction], Any]
