"""Which old versions of resources are kept, and which are forgotten.

A version is needed for as long as somebody may go back to it: an apply that was killed, to the version right before its
own; `rollback`, to what was live at any time of the last KEPT_DAYS. So a version goes only when it is none of the last
KEPT_VERSIONS of its resource and was replaced more than KEPT_DAYS ago. Of certificates the days alone count, for a
version keeps a private key (`supervisor.certificate_store`), and no key shall stay for ever. What was live before the
revision that is noted here is then no longer known as a whole, and is never made up. Renames from before it go too, but
not those of mailboxes: mail may wait to follow them for as long as a server is off.

The search reads everything there is, and any thread may do it beside the writer: what is old once stays so. What it
found is deleted bit by bit. `store` deletes; `housekeeping` searches.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from runtime.live.tables import open_for_reading

#: Versions of each resource but a certificate, its deletion included, that are kept however old they are.
KEPT_VERSIONS = 10
#: Days that a version is kept after another one has taken its place.
KEPT_DAYS = 90

_FORGOTTEN = "forgotten"
_OLD = """
SELECT kind, name, revision, next FROM (
    SELECT kind, name, revision,
        lead(revision) OVER newer AS next,
        lead(updated_at) OVER newer AS replaced,
        row_number() OVER (PARTITION BY kind, name ORDER BY revision DESC) AS place
    FROM versions WINDOW newer AS (PARTITION BY kind, name ORDER BY revision)
) WHERE (place > ? OR kind = 'Certificate') AND replaced < ? ORDER BY next
"""


class ForgottenError(Exception):
    """What was live at a revision is no longer known."""

    def __init__(self, epoch: int, known: int) -> None:
        super().__init__(
            f"what was live at revision {epoch} is no longer known, only from revision {known} on: a version is kept "
            f"for {KEPT_DAYS} days after it was replaced, and the last {KEPT_VERSIONS} of a resource for ever unless "
            "it is a certificate; to have it again, declare it and apply"
        )


class OldVersion(NamedTuple):
    """A version that nobody needs any more; `next` has taken its place."""

    kind: str
    name: str
    revision: int
    next: int


def old_versions(path: Path, *, now: datetime) -> list[OldVersion]:
    """All of them, in the order to delete them in. Raises LiveConfigurationError."""
    before = timestamp(now - timedelta(days=KEPT_DAYS))
    with closing(open_for_reading(path)) as database:
        return [OldVersion(*row) for row in database.execute(_OLD, (KEPT_VERSIONS, before))]


def forget(database: sqlite3.Connection, old: Sequence[OldVersion]) -> None:
    """Delete these, within the caller's transaction."""
    database.executemany(
        "DELETE FROM versions WHERE kind = ? AND name = ? AND revision = ?", (version[:3] for version in old)
    )
    known = max([known_from(database), *(version.next for version in old)])
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_FORGOTTEN, str(known)))
    database.execute("DELETE FROM renames WHERE kind <> 'Mailbox' AND revision <= ?", (known,))


def known_from(database: sqlite3.Connection) -> int:
    """The first revision at which everything that was live is still known; 0 when nothing was ever forgotten."""
    row = database.execute("SELECT value FROM meta WHERE key = ?", (_FORGOTTEN,)).fetchone()
    return int(row[0]) if row else 0


def timestamp(moment: datetime) -> str:
    """How the live configuration writes a time (UTC): as text these sort by time."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
