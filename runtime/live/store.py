"""The writer of the live configuration.

Every write is a compare-and-swap on the resource's revision, takes the next revision of the whole estate, and
keeps the version before it, credentials included, so that it can be brought back (`forget` says for how long). A
write is on disk when the call returns. It refuses to hold a secret: callers hand in digests and hashes; and a name that
is one resource's only for a second one (`names`). Only the supervisor makes one; one thread uses it.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from runtime.live.forget import ForgottenError, OldVersion, forget, known_from, timestamp
from runtime.live.names import NameIndex, Undoing
from runtime.live.reader import current_epoch
from runtime.live.resource import COLUMNS, LiveResource, Row, canonical, canonical_spec, resource_of
from runtime.live.tables import open_for_writing
from schemas.v1.base import Spec

# S608: the text is made of column names of this program, never of data.
_MARKS = ", ".join("?" for _ in Row._fields)
_SELECT = f"SELECT {COLUMNS} FROM resources"
_REPLACE = f"INSERT OR REPLACE INTO resources ({COLUMNS}) VALUES ({_MARKS})"
_KEEP = f"INSERT INTO versions ({COLUMNS}, deleted) VALUES ({_MARKS}, ?)"
_VERSION = f"SELECT deleted, {COLUMNS} FROM versions WHERE kind=? AND name=? AND revision=?"
_LATEST = "SELECT revision, apply_id FROM versions WHERE kind=? AND name=? ORDER BY revision DESC LIMIT 1"
_RESPELL = [f"UPDATE {table} SET spec = ? WHERE revision = ?" for table in ("resources", "versions")]
_NOT_SPEC = tuple(name for name in Row._fields if name not in ("spec", "credentials"))
_SELECT_SUMMARIES = f"SELECT {', '.join(_NOT_SPEC)} FROM resources ORDER BY kind, name"
_AT_EPOCH = f"""
SELECT {COLUMNS} FROM versions v WHERE NOT deleted AND revision = (
    SELECT max(revision) FROM versions w WHERE w.kind = v.kind AND w.name = v.name AND w.revision <= ?
) ORDER BY kind, name
"""

#: Up to so many versions are asked for by number.
_FEW = 500

_GONE = """
SELECT DISTINCT kind, name FROM versions v WHERE revision > ? AND revision <= ? AND NOT EXISTS
(SELECT 1 FROM resources r WHERE r.kind = v.kind AND r.name = v.name)
"""


class ConflictError(Exception):
    """The resource is not at the expected revision; `current` is what it is now (None: absent)."""

    def __init__(self, key: tuple[str, str], *, expected: int | None, current: Row | None) -> None:
        self.current = current
        kind, name = key
        wanted = "absent" if expected is None else f"at revision {expected}"
        found = "absent" if current is None else f"at revision {current.revision}"
        super().__init__(f"{kind}/{name} was expected {wanted} but is {found}; read it again and decide anew")


class NoSuchVersionError(Exception):
    """A revision to restore is no version of that resource, or not any more."""

    def __init__(self, key: tuple[str, str], revision: int, *, known: int = 0) -> None:
        never = f"{key[0]}/{key[1]} never had revision {revision}; GET it to see its present revision"
        gone = f"{key[0]}/{key[1]} has no revision {revision} any more: {ForgottenError(revision, known)}"
        super().__init__(gone if revision < known else never)


class ProtectedError(Exception):
    """A protected resource was to be deleted."""

    def __init__(self, key: tuple[str, str]) -> None:
        super().__init__(
            f"{key[0]}/{key[1]} is protected; write it with protected false before you delete it"
        )


class Summary(NamedTuple):
    """A resource without its spec. `digest`: SHA-256 (hex) of the spec's canonical form, the same as
    `schemas.v1.codec.digest_spec` gives."""

    kind: str
    name: str
    revision: int
    digest: str
    secrets: str
    managed_by: str | None
    updated_at: str
    updated_by: str | None
    apply_id: str | None
    protected: int


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: `actor` for people, `apply_id` when an apply does it, `managed_by` who owns the
    resource."""

    actor: str | None = None
    apply_id: str | None = None
    managed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written. `secrets` and `credentials` are whole: what they leave out is gone. `protected` None:
    as it is now."""

    spec: Spec
    secrets: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    protected: bool | None = None


class _Content(NamedTuple):
    """What a row holds besides who wrote it."""

    spec: str
    secrets: str
    credentials: str
    protected: int
    model: Spec | None = None


_NOTHING = _Content("{}", "{}", "{}", 0)


class LiveStore:
    """The live configuration at `path`, made when it is not there. Raises LiveConfigurationError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = open_for_writing(path)
        self.digest_key = bytes.fromhex(self._constant("digest_key", randomness.token_hex(32)))
        self.backend_key = bytes.fromhex(self._constant("backend_key", randomness.token_hex(32)))
        self.instance = self._constant("instance", randomness.token_hex(8))
        self._digests: dict[int, str] = {}
        self._names = NameIndex(self._database)

    @property
    def epoch(self) -> int:
        """The revision of the latest write; 0 when nothing was ever written."""
        return current_epoch(self._database)

    def rows(self, kind: str | None = None) -> list[Row]:
        """All resources, or those of one kind, as stored, by kind and name."""
        where, values = (" WHERE kind = ?", (kind,)) if kind else ("", ())
        return [Row(*row) for row in self._database.execute(f"{_SELECT}{where} ORDER BY kind, name", values)]

    def summaries(self) -> list[Summary]:
        """All resources without their specs, by kind and name. The digest of a version is made once."""
        found = self._database.execute(_SELECT_SUMMARIES).fetchall()
        present = {row[2] for row in found}
        self._digests = {revision: self._digests[revision] for revision in present & self._digests.keys()}
        self._learn_digests(present - self._digests.keys())
        return [Summary._make((*row[:3], self._digests[row[2]], *row[3:])) for row in found]

    def rows_at(self, epoch: int) -> list[Row]:
        """What was live when `epoch` was the latest revision, by kind and name. Raises ForgottenError."""
        if epoch < (known := known_from(self._database)):
            raise ForgottenError(epoch, known)
        return [Row(*row) for row in self._database.execute(_AT_EPOCH, (epoch,))]

    def renames_since(self, epoch: int) -> list[tuple[int, str, str, str]]:
        """Every rename after revision `epoch`, oldest first: its revision, the kind, the old name and the new one."""
        query = "SELECT revision, kind, old, new FROM renames WHERE revision > ? ORDER BY revision"
        return list(self._database.execute(query, (epoch,)))

    def forget(self, old: Sequence[OldVersion]) -> None:
        """Let go of versions that nobody can go back to any more, as `old_versions` finds them."""
        with self.transaction():
            forget(self._database, old)

    def changed(self, since: int, *, limit: int) -> tuple[list[Row], list[tuple[str, str]], int]:
        """What has been written after revision `since`, oldest first, at most `limit` resources; the keys that were
        deleted meanwhile; and the revision up to which this tells everything."""
        if since >= self.epoch:
            return [], [], self.epoch
        query = f"{_SELECT} WHERE revision > ? ORDER BY revision LIMIT ?"
        rows = [Row(*row) for row in self._database.execute(query, (since, limit))]
        until = rows[-1].revision if len(rows) == limit else self.epoch
        gone = self._database.execute(_GONE, (since, until)).fetchall()
        return rows, [(kind, name) for kind, name in gone], until

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

    def rows_below(self, kind: str, server: str) -> list[Row]:
        """The resources of one kind that belong to a server ("<server>/<name>"), as stored."""
        # "0" follows "/" in ASCII: a range of the primary key, where LIKE would read "_" and "%" in names.
        query = f"{_SELECT} WHERE kind = ? AND name > ? AND name < ? ORDER BY name"
        found = self._database.execute(query, (kind, f"{server}/", f"{server}0"))
        return [Row(*row) for row in found]

    def write(self, key: tuple[str, str], draft: Draft, *, expect: int | None, author: Author) -> Row:
        """Create (`expect` None) or update a resource. Raises ConflictError, NameTakenError."""
        with self.transaction():
            current = self._unsynced_check(key, expect)
            return self._unsynced_put(key, _content(draft, current), _inheriting(author, current))

    def delete(self, key: tuple[str, str], *, expect: int, author: Author) -> int:
        """Delete a resource; returns the revision that the deletion took. Raises ConflictError, ProtectedError."""
        with self.transaction():
            current = self._unsynced_check(key, expect)
            if current is not None and current.protected:
                raise ProtectedError(key)
            return self._unsynced_delete(key, author)

    def rename(
        self,
        key: tuple[str, str],
        new: str,
        *,
        expect: int,
        author: Author,
        content: Draft | int | None = None,
    ) -> Row:
        """Give a resource another name, and in the same step what a draft says or what the version `content` of the
        new name held (None: as it is). Whoever keeps things under its name reads of it in `LiveReader.changes_since`.
        Raises ConflictError, also when the new name is taken; NoSuchVersionError, NameTakenError."""
        target = (key[0], new)
        with self.transaction():
            current = self._unsynced_check(key, expect)
            self._unsynced_check(target, None)
            assert current is not None
            written = self._renamed(target, content, current)
            undoing = self._undoing(key, author) if isinstance(content, int) else None
            self._names.move(key, new)
            self._unsynced_delete(key, author)
            row = self._unsynced_put(target, written, _inheriting(author, current), undoing=undoing)
            self._database.execute(
                "INSERT INTO renames VALUES (?, ?, ?, ?, ?)", (row.revision, *key, new, current.spec)
            )
            return row

    def restore(
        self, key: tuple[str, str], revision: int | None, *, expect: int | None, author: Author
    ) -> tuple[int, Row | None]:
        """Bring back the version that had `revision` (None: absent), credentials included, as a new revision.

        Returns the new revision and the row (None: it is gone). Raises ConflictError, NoSuchVersionError,
        NameTakenError, and ProtectedError when it would go and another apply than this author's made it what it is.
        """
        with self.transaction():
            current = self._unsynced_check(key, expect)
            version = None if revision is None else self.version(key, revision)
            if version is not None:
                by, undoing = _inheriting(author, version), self._undoing(key, author)
                row = self._unsynced_put(key, _content_of(version), by, undoing=undoing)
                return row.revision, row
            if current is None:
                return self.epoch, None
            if current.protected and (author.apply_id is None or current.apply_id != author.apply_id):
                raise ProtectedError(key)
            return self._unsynced_delete(key, author), None

    def versions(self, kind: str) -> list[Row]:
        """Every version that is kept of every resource of one kind, those that are live among them, oldest first."""
        query = f"SELECT {COLUMNS} FROM versions WHERE kind = ? AND NOT deleted ORDER BY revision"
        return [Row(*row) for row in self._database.execute(query, (kind,))]

    def version(self, key: tuple[str, str], revision: int) -> Row | None:
        """One version that is kept (None: the resource was deleted then). Raises NoSuchVersionError."""
        found = self._database.execute(_VERSION, (*key, revision)).fetchone()
        if found is None:
            raise NoSuchVersionError(key, revision, known=known_from(self._database))
        deleted, *columns = found
        return None if deleted else Row(*columns)

    def respell(self, row: Row, spec: Spec) -> None:
        """Say in other words what a version means. It keeps its revision; only while no host reads."""
        with self.transaction():
            for query in _RESPELL:
                self._database.execute(query, (canonical_spec(spec), row.revision))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _unsynced_check(self, key: tuple[str, str], expect: int | None) -> Row | None:
        current = self.row(*key)
        if (current.revision if current else None) != expect:
            raise ConflictError(key, expected=expect, current=current)
        return current

    def _renamed(self, target: tuple[str, str], content: Draft | int | None, current: Row) -> _Content:
        if isinstance(content, Draft):
            return _content(content, current)
        version = current if content is None else self.version(target, content)
        if version is None:
            raise NoSuchVersionError(target, content or 0)
        return _content_of(version)

    def _learn_digests(self, revisions: set[int]) -> None:
        """A few are asked for by number, many with all."""
        query = "SELECT revision, spec FROM resources"
        if len(revisions) < _FEW:
            marks = ", ".join("?" for _ in revisions)
            rows = self._database.execute(f"{query} WHERE revision IN ({marks})", tuple(revisions))
        else:
            rows = self._database.execute(query)
        self._digests.update((revision, hashlib.sha256(spec.encode()).hexdigest()) for revision, spec in rows)

    def _undoing(self, key: tuple[str, str], author: Author) -> Undoing | None:
        """What the resource is now, its absence included, when this author's apply made it so."""
        found = self._database.execute(_LATEST, key).fetchone()
        is_ours = found is not None and author.apply_id is not None and found[1] == author.apply_id
        return Undoing(*found) if is_ours else None

    def _unsynced_put(
        self, key: tuple[str, str], content: _Content, author: Author, *, undoing: Undoing | None = None
    ) -> Row:
        row = self._next_row(key, content, author)
        self._database.execute(_REPLACE, row)
        self._database.execute(_KEEP, (*row, 0))
        self._names.put(key, content.model or row.spec, undoing=undoing)
        return row

    def _unsynced_delete(self, key: tuple[str, str], author: Author) -> int:
        row = self._next_row(key, _NOTHING, author)
        self._database.execute("DELETE FROM resources WHERE kind = ? AND name = ?", key)
        self._database.execute(_KEEP, (*row, 1))
        self._names.drop(key)
        return row.revision

    def _next_row(self, key: tuple[str, str], content: _Content, author: Author) -> Row:
        revision = self.epoch + 1
        self._database.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (str(revision),))
        now = timestamp(datetime.now(UTC))
        return Row(
            *key,
            revision,
            content.spec,
            content.secrets,
            content.credentials,
            author.managed_by,
            now,
            author.actor,
            author.apply_id,
            content.protected,
        )

    def _constant(self, key: str, value: str) -> str:
        """The value kept under `key`; `value` becomes it the first time."""
        self._database.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
        kept: str = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]
        return kept

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Many writes that reach the disk together. A write that raises ConflictError, NoSuchVersionError or
        ProtectedError has done nothing: the block may catch it and keep those before it. Raises NameTakenError when a
        name would belong to two at the end of it; then nothing was done at all."""
        is_within = self._database.in_transaction
        if is_within:
            yield
            return
        self._database.execute("BEGIN IMMEDIATE")
        self._names.begin()
        try:
            yield
            self._names.check()
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self._names.roll_back()
            raise


def _content(draft: Draft, current: Row | None) -> _Content:
    protected = draft.protected if draft.protected is not None else bool(current and current.protected)
    secrets, credentials = canonical(draft.secrets), canonical(draft.credentials)
    return _Content(canonical_spec(draft.spec), secrets, credentials, int(protected), draft.spec)


def _content_of(version: Row) -> _Content:
    return _Content(version.spec, version.secrets, version.credentials, version.protected)


def _inheriting(author: Author, previous: Row | None) -> Author:
    """An author who does not say who owns the resource leaves its owner as it was."""
    owner = author.managed_by or (previous.managed_by if previous else None)
    return replace(author, managed_by=owner)
