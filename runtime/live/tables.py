"""The SQLite schema of the live configuration, and how its file is opened.

The file holds password hashes and keys, so it is made with mode 0600 before SQLite sees it; the journal
beside it takes over that mode. A file written by a newer version is refused, never guessed at.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from runtime.live.resource import LiveConfigurationError

FORMAT = 2

_TABLES = """
CREATE TABLE resources (
    kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL UNIQUE,
    spec TEXT NOT NULL, secrets TEXT NOT NULL, credentials TEXT NOT NULL,
    managed_by TEXT, updated_at TEXT NOT NULL, updated_by TEXT, apply_id TEXT,
    protected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE versions (
    kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL UNIQUE,
    spec TEXT NOT NULL, secrets TEXT NOT NULL, credentials TEXT NOT NULL,
    managed_by TEXT, updated_at TEXT NOT NULL, updated_by TEXT, apply_id TEXT,
    deleted INTEGER NOT NULL, protected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, name, revision)
) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE renames (
    revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, old TEXT NOT NULL, new TEXT NOT NULL, spec TEXT NOT NULL
);
"""
#: What each older format lacks.
_MIGRATIONS = {
    1: """
ALTER TABLE resources ADD COLUMN protected INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN protected INTEGER NOT NULL DEFAULT 0;
CREATE TABLE renames (
    revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, old TEXT NOT NULL, new TEXT NOT NULL, spec TEXT NOT NULL
);
""",
}


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the file, making it (0600) the first time. Raises LiveConfigurationError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    database = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        _prepare(database, path)
    except sqlite3.Error as error:
        database.close()
        raise LiveConfigurationError(f"live configuration {path} cannot be opened: {error}") from error
    return database


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the file read-only. Raises LiveConfigurationError when it is not there or not ours."""
    try:
        database = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, timeout=10
        )
        _check_format(database, path)
    except sqlite3.Error as error:
        raise LiveConfigurationError(f"live configuration {path} cannot be read: {error}") from error
    return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={FORMAT}; COMMIT;")
    elif version in _MIGRATIONS:
        step = f"{_MIGRATIONS[version]} PRAGMA user_version={version + 1};"
        database.executescript(f"BEGIN IMMEDIATE; {step} COMMIT;")
    _check_format(database, path)


def _check_format(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version != FORMAT:
        database.close()
        raise LiveConfigurationError(
            f"live configuration {path} has format {version}, this version reads format {FORMAT}; "
            "use the version of the program that wrote it"
        )
