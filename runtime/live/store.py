"""The writer of the live configuration.

Every write is a compare-and-swap on the resource's revision, takes the next revision of the whole estate, and
keeps the version before it, credentials included, so that it can be brought back. A write is on disk when the
call returns. It refuses to hold a secret: callers hand in digests and hashes. Only the supervisor makes one;
one thread uses it.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from runtime.live.reader import current_epoch
from runtime.live.resource import COLUMNS, LiveResource, Row, canonical, canonical_spec, resource_of
from runtime.live.tables import open_for_writing
from schemas.v1.base import Spec

# S608: the text is made of column names of this program, never of data.
_MARKS = ", ".join("?" for _ in Row._fields)
_SELECT = f"SELECT {COLUMNS} FROM resources"  # noqa: S608
_REPLACE = f"INSERT OR REPLACE INTO resources ({COLUMNS}) VALUES ({_MARKS})"  # noqa: S608
_KEEP = f"INSERT INTO versions ({COLUMNS}, deleted) VALUES ({_MARKS}, ?)"  # noqa: S608
_VERSION = f"SELECT deleted, {COLUMNS} FROM versions WHERE kind=? AND name=? AND revision=?"  # noqa: S608


class ConflictError(Exception):
    """The resource is not at the expected revision; `current` is what it is now (None: absent)."""

    def __init__(self, key: tuple[str, str], *, expected: int | None, current: Row | None) -> None:
        self.current = current
        kind, name = key
        wanted = "absent" if expected is None else f"at revision {expected}"
        found = "absent" if current is None else f"at revision {current.revision}"
        super().__init__(f"{kind}/{name} was expected {wanted} but is {found}; read it again and decide anew")


class NoSuchVersionError(Exception):
    """A revision to restore was never a version of that resource."""

    def __init__(self, key: tuple[str, str], revision: int) -> None:
        super().__init__(
            f"{key[0]}/{key[1]} never had revision {revision}; GET it to see its present revision"
        )


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: `actor` for people, `apply_id` when an apply does it, `managed_by` who owns the
    resource."""

    actor: str | None = None
    apply_id: str | None = None
    managed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written. `secrets` and `credentials` are whole: what they leave out is gone."""

    spec: Spec
    secrets: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


class LiveStore:
    """The live configuration at `path`, made when it is not there. Raises LiveConfigurationError."""

    def __init__(self, path: Path) -> None:
        self._database = open_for_writing(path)
        self.digest_key = bytes.fromhex(self._constant("digest_key", randomness.token_hex(32)))
        self.backend_key = bytes.fromhex(self._constant("backend_key", randomness.token_hex(32)))
        self.instance = self._constant("instance", randomness.token_hex(8))

    @property
    def epoch(self) -> int:
        """The revision of the latest write; 0 when nothing was ever written."""
        return current_epoch(self._database)

    def rows(self, kind: str | None = None) -> list[Row]:
        """All resources, or those of one kind, as stored, by kind and name."""
        where, values = (" WHERE kind = ?", (kind,)) if kind else ("", ())
        return [Row(*row) for row in self._database.execute(f"{_SELECT}{where} ORDER BY kind, name", values)]

    def row(self, kind: str, name: str) -> Row | None:
        """One resource as stored."""
        found = self._database.execute(f"{_SELECT} WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return Row(*found) if found else None

    def resources(self, kind: str | None = None) -> tuple[LiveResource, ...]:
        """All resources, or those of one kind. Raises LiveConfigurationError."""
        return tuple(resource_of(row) for row in self.rows(kind))

    def get(self, kind: str, name: str) -> LiveResource | None:
        """One resource. Raises LiveConfigurationError."""
        row = self.row(kind, name)
        return resource_of(row) if row else None

    def below(self, kind: str, server: str) -> tuple[LiveResource, ...]:
        """The resources of one kind that belong to a server ("<server>/<name>"). Raises
        LiveConfigurationError."""
        # "0" follows "/" in ASCII: a range of the primary key, where LIKE would read "_" and "%" in names.
        query = f"{_SELECT} WHERE kind = ? AND name > ? AND name < ? ORDER BY name"
        found = self._database.execute(query, (kind, f"{server}/", f"{server}0"))
        return tuple(resource_of(Row(*row)) for row in found)

    def write(self, key: tuple[str, str], draft: Draft, *, expect: int | None, author: Author) -> Row:
        """Create (`expect` None) or update a resource. Raises ConflictError."""
        texts = (canonical_spec(draft.spec), canonical(draft.secrets), canonical(draft.credentials))
        with self._transaction():
            current = self._unsynced_check(key, expect)
            return self._unsynced_put(key, texts, _inheriting(author, current))

    def delete(self, key: tuple[str, str], *, expect: int, author: Author) -> int:
        """Delete a resource; returns the revision that the deletion took. Raises ConflictError."""
        with self._transaction():
            self._unsynced_check(key, expect)
            return self._unsynced_delete(key, author)

    def restore(
        self, key: tuple[str, str], revision: int | None, *, expect: int | None, author: Author
    ) -> tuple[int, Row | None]:
        """Bring back the version that had `revision` (None: absent), credentials included, as a new revision.

        Returns the new revision and the row (None: it is gone). Raises ConflictError, NoSuchVersionError.
        """
        with self._transaction():
            self._unsynced_check(key, expect)
            version = None if revision is None else self._version(key, revision)
            if version is None:
                return (self._unsynced_delete(key, author) if expect is not None else self.epoch), None
            texts = (version.spec, version.secrets, version.credentials)
            row = self._unsynced_put(key, texts, _inheriting(author, version))
            return row.revision, row

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _version(self, key: tuple[str, str], revision: int) -> Row | None:
        found = self._database.execute(_VERSION, (*key, revision)).fetchone()
        if found is None:
            raise NoSuchVersionError(key, revision)
        deleted, *columns = found
        return None if deleted else Row(*columns)

    def _unsynced_check(self, key: tuple[str, str], expect: int | None) -> Row | None:
        current = self.row(*key)
        if (current.revision if current else None) != expect:
            raise ConflictError(key, expected=expect, current=current)
        return current

    def _unsynced_put(self, key: tuple[str, str], texts: tuple[str, str, str], author: Author) -> Row:
        row = self._next_row(key, texts, author)
        self._database.execute(_REPLACE, row)
        self._database.execute(_KEEP, (*row, 0))
        return row

    def _unsynced_delete(self, key: tuple[str, str], author: Author) -> int:
        row = self._next_row(key, ("{}", "{}", "{}"), author)
        self._database.execute("DELETE FROM resources WHERE kind = ? AND name = ?", key)
        self._database.execute(_KEEP, (*row, 1))
        return row.revision

    def _next_row(self, key: tuple[str, str], texts: tuple[str, str, str], author: Author) -> Row:
        revision = self.epoch + 1
        self._database.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (str(revision),))
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Row(*key, revision, *texts, author.managed_by, now, author.actor, author.apply_id)

    def _constant(self, key: str, value: str) -> str:
        """The value kept under `key`; `value` becomes it the first time."""
        self._database.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
        kept: str = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]
        return kept

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


def _inheriting(author: Author, previous: Row | None) -> Author:
    """An author who does not say who owns the resource leaves its owner as it was."""
    owner = author.managed_by or (previous.managed_by if previous else None)
    return replace(author, managed_by=owner)
