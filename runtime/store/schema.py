"""The SQLite file of a mailbox database: its tables, its settings, and how an older file is brought up to date.

`user_version` counts the migrations that were applied. A file from a newer version is refused, never guessed at.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.store.interface import StoreError

#: Pages of the write-ahead log beyond which a commit copies it into the database file.
CHECKPOINT_PAGES = 4000

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE mailboxes (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    # `recent_from`: messages from this UID on are \Recent. Ids are never used again (AUTOINCREMENT).
    """CREATE TABLE folders (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        mailbox_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        special_use TEXT,
        uid_validity INTEGER NOT NULL,
        uid_next INTEGER NOT NULL DEFAULT 1,
        recent_from INTEGER NOT NULL DEFAULT 1,
        modseq INTEGER NOT NULL DEFAULT 1,
        messages INTEGER NOT NULL DEFAULT 0,
        unseen INTEGER NOT NULL DEFAULT 0,
        UNIQUE (mailbox_id, name)
    )""",
    """CREATE TABLE subscriptions (
        mailbox_id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (mailbox_id, name)
    ) WITHOUT ROWID""",
    # `date` is INTERNALDATE in seconds since 1970, `zone` its offset from UTC in minutes.
    """CREATE TABLE messages (
        folder_id INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        body_id INTEGER NOT NULL,
        flags TEXT NOT NULL,
        modseq INTEGER NOT NULL,
        date INTEGER NOT NULL,
        zone INTEGER NOT NULL,
        PRIMARY KEY (folder_id, uid)
    ) WITHOUT ROWID""",
    # Shared by all copies of a message. The content lies here or in the file `blob`; it comes last, so that the rest
    # is read without it.
    """CREATE TABLE bodies (
        id INTEGER PRIMARY KEY,
        copies INTEGER NOT NULL,
        size INTEGER NOT NULL,
        blob TEXT,
        envelope BLOB NOT NULL,
        body BLOB NOT NULL,
        body_structure BLOB NOT NULL,
        content BLOB
    )""",
    "CREATE UNIQUE INDEX bodies_blob ON bodies (blob) WHERE blob IS NOT NULL",
)


def _create(connection: sqlite3.Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement)
    # Starting at the time, a database that was lost and made anew gives higher UIDVALIDITYs than the lost one.
    connection.execute("INSERT INTO meta VALUES ('uid_validity', ?)", (int(time.time()),))


#: Entry n brings a file from `user_version` n to n + 1. Entries are never changed once released, only added.
MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create,)


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode with the settings that durability rests on. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


def migrate(
    connection: sqlite3.Connection,
    migrations: Sequence[Callable[[sqlite3.Connection], None]] = MIGRATIONS,
) -> None:
    """Apply what is missing, each step in a transaction of its own. Raises StoreError for a file of a newer version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise StoreError(
            f"The mailbox database has schema {version}, this program knows {len(migrations)}: "
            "it was written by a newer version. Run that version, or restore a backup."
        )
    for number in range(version, len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            migrations[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
