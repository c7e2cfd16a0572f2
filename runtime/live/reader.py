"""The live configuration as a host sees it: read-only, and asked only for what changed.

A reader belongs to the thread that made it. It never blocks the writer (write-ahead log) and never sees half
a write. A resource that the models of this version refuse, for example since a newer one wrote it, is left out as
if it had not been written: whoever has an earlier version of it keeps that, and everything else goes on.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from runtime.live.resource import (
    COLUMNS,
    Changes,
    LiveConfigurationError,
    LiveResource,
    MailboxRename,
    Row,
    resource_of,
)
from runtime.live.tables import open_for_reading

logger = logging.getLogger("runtime.live")

# S608: the text is made of column names of this program, never of data.
_PRESENT = f"SELECT {COLUMNS} FROM resources WHERE revision > ? ORDER BY revision"
_DELETED = """
SELECT DISTINCT kind, name FROM versions v WHERE deleted AND revision > ?
AND NOT EXISTS (SELECT 1 FROM resources r WHERE r.kind = v.kind AND r.name = v.name)
"""
_RENAMED = (
    "SELECT revision, spec, old, new FROM renames WHERE kind = 'Mailbox' AND revision > ? ORDER BY revision"
)


class LiveReader:
    """Reads the live configuration at `path`. Raises LiveConfigurationError when there is none."""

    def __init__(self, path: Path) -> None:
        self._database = open_for_reading(path)
        self._refused: dict[tuple[str, str], int] = {}

    def changes_since(self, epoch: int) -> Changes:
        """Everything that changed after `epoch` (0: everything), from one consistent view. A host that was
        busy for many writes sees each resource once, as it is now."""
        self._database.execute("BEGIN")
        try:
            return self._unsynced_changes(epoch)
        finally:
            self._database.execute("COMMIT")

    def _unsynced_changes(self, epoch: int) -> Changes:
        now = current_epoch(self._database)
        present = (Row(*row) for row in self._database.execute(_PRESENT, (epoch,)))
        return Changes(
            epoch=now,
            present=tuple(self._readable(present)),
            deleted=tuple((kind, name) for kind, name in self._database.execute(_DELETED, (epoch,))),
            renames=tuple(_rename(*row) for row in self._database.execute(_RENAMED, (epoch,))),
        )

    def _readable(self, rows: Iterable[Row]) -> Iterator[LiveResource]:
        for row in rows:
            try:
                yield resource_of(row)
            except LiveConfigurationError as error:
                self._leave_out(row, error)

    def _leave_out(self, row: Row, error: LiveConfigurationError) -> None:
        """Each version is logged once."""
        if self._refused.get((row.kind, row.name)) != row.revision:
            self._refused[row.kind, row.name] = row.revision
            logger.error("left out of the live configuration: %s", error)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def __enter__(self) -> LiveReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rename(revision: int, spec: str, old: str, new: str) -> MailboxRename:
    return MailboxRename(revision, json.loads(spec)["database"], old, new)


def current_epoch(database: sqlite3.Connection) -> int:
    """The revision of the latest write; 0 when nothing was ever written."""
    row = database.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    return int(row[0]) if row else 0
