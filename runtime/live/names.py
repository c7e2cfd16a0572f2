"""Whom each name belongs to that one resource only may have: an index over the live configuration.

It is made of what is live when the store is opened, kept in memory, and rolled back with each transaction that is, so
that it cannot say anything else than the live configuration. Whether a name would belong to two is asked at the end of
a transaction alone: until then two resources may swap theirs. What two share from an older state is left alone, as long
as nobody asks for such a name anew. The store is the only caller.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schemas.v1.base import Spec
from schemas.v1.logon_names import UNIQUE_FIELDS, Clash, clashes, unique_names, unique_names_in

_NO_NAMES: frozenset[str] = frozenset()

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Undoing:
    """What the apply `apply_id` had made at `revision` is taken back by itself. What was so before may be so again:
    a name that another had too counts as that other's only if it was written since, by somebody else."""

    revision: int
    apply_id: str


class NameTakenError(Exception):
    """The resource `key` asks for a name that another one, `holder`, has."""

    def __init__(self, key: Key, path: str, *, name: str, holder: str) -> None:
        self.key = key
        self.holder = (key[0], holder)
        super().__init__(
            f"{key[0]}/{key[1]} {path}: {name} belongs to {key[0]}/{holder} already, and to one {key[0]} only; "
            "take it away from that one first, or change both in one batch"
        )


class NameIndex:
    """The names of the live configuration in `database`, and what the present transaction asks for."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._held: dict[Key, frozenset[str]] = {}
        self._holders: dict[Key, tuple[str, ...]] = {}
        self._undo: dict[Key, frozenset[str]] = {}
        self._had: dict[Key, frozenset[str]] = {}
        self._undoing: dict[Key, Undoing] = {}
        for kind, paths in UNIQUE_FIELDS.items():
            for owner, spec in database.execute(_query(paths), (kind,)):
                self._hold((kind, owner), _names((kind, owner), spec))

    def put(self, key: Key, spec: Spec | str, *, undoing: Undoing | None = None) -> None:
        """The resource has the names of `spec`, or of the one that this is the canonical form of, and no others."""
        if key[0] in UNIQUE_FIELDS:
            self._change(key, _names(key, spec))
            if undoing is not None:
                self._undoing[key] = undoing

    def drop(self, key: Key) -> None:
        """The resource is gone."""
        if key[0] in UNIQUE_FIELDS:
            self._change(key, _NO_NAMES)

    def move(self, key: Key, owner: str) -> None:
        """The resource is called `owner` from now on: what it had already it does not ask for, and another that gets
        its name does."""
        had = self._had.get(key, self._held.get(key, _NO_NAMES))
        self.drop(key)
        self._had |= {key: _NO_NAMES, (key[0], owner): had}

    def begin(self) -> None:
        """A transaction begins."""
        self._undo, self._had, self._undoing = {}, {}, {}

    def roll_back(self) -> None:
        """The transaction has not been."""
        for key, names in self._undo.items():
            self._hold(key, names)

    def check(self) -> None:
        """Raises NameTakenError for the first resource of this transaction that asks for a name which another has by
        the end of it. Of two that ask for one name the second is refused."""
        asked = {key: self._held.get(key, _NO_NAMES) - had for key, had in self._had.items()}
        for clash in clashes(asked, self._holders):
            if not self._was_so_before(self._undoing.get(clash.key), (clash.key[0], clash.holder)):
                raise self._taken(clash)

    def _taken(self, clash: Clash) -> NameTakenError:
        key, name, holder = clash
        (spec,) = self._database.execute(
            "SELECT spec FROM resources WHERE kind = ? AND name = ?", key
        ).fetchone()
        path = next(path for path, text in unique_names_in(*key, _object_in(spec)) if text == name)
        return NameTakenError(key, path, name=name, holder=holder)

    def _was_so_before(self, undoing: Undoing | None, holder: Key) -> bool:
        if undoing is None:
            return False
        revision, apply_id = self._database.execute(
            "SELECT revision, apply_id FROM resources WHERE kind = ? AND name = ?", holder
        ).fetchone()
        return bool(revision < undoing.revision or apply_id == undoing.apply_id)

    def _change(self, key: Key, names: frozenset[str]) -> None:
        before = self._held.get(key, _NO_NAMES)
        self._undo.setdefault(key, before)
        self._had.setdefault(key, before)
        self._hold(key, names)

    def _hold(self, key: Key, names: frozenset[str]) -> None:
        kind, owner = key
        before = self._held.pop(key, _NO_NAMES)
        for name in before - names:
            left = tuple(other for other in self._holders.pop((kind, name)) if other != owner)
            if left:
                self._holders[kind, name] = left
        for name in names - before:
            self._holders[kind, name] = (*self._holders.get((kind, name), ()), owner)
        if names:
            self._held[key] = names


def _query(paths: Iterable[str]) -> str:
    """Of each live resource of a kind the name and, as a JSON object, the fields that say names: reading all of them
    would take ten times as long. The text is made of names of fields, never of data."""
    fields = ", ".join(f"'{path}', json_extract(spec, '$.{path}')" for path in sorted(paths))
    return f"SELECT name, json_object({fields}) FROM resources WHERE kind = ? AND json_valid(spec)"


def _names(key: Key, spec: Spec | str) -> frozenset[str]:
    if isinstance(spec, Spec):
        return frozenset(name for _, name in unique_names(key[1], spec))
    return frozenset(name for _, name in unique_names_in(*key, _object_in(spec)))


def _object_in(text: str) -> dict[str, Any]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}
