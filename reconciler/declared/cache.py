"""What reading a file gave, kept by the hash of its content, so that a second run neither parses nor checks it again.

Only files without any problem are kept, so nothing that was refused, and no secret in clear, lies here. It is JSON
under a checksum, and bound to the sources of the schemas: a file that is damaged, unreadable or made with other
schemas counts as empty and is written anew. A run that cannot write it goes on without. References, clashes and the
files that specs name are looked at in every run. What variables made of a document is bound to their values.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from reconciler.declared.frozen import Frozen, freeze
from reconciler.declared.item import Item, Record
from reconciler.declared.kept import SCHEMAS, Kept, place_of_parsed, sources_digest
from reconciler.declared.positions import Document

VERSION = 4  # of the form of this file and of what `reader` makes of YAML; raise it when either changes

#: For each document its value, its marks, what it declares, and the digest of the variables that made it so.
Entry = list[tuple[object, str, Frozen | None, str]]


class ParseCache:
    """The entries of one declared directory; `directory` None: nothing is kept."""

    def __init__(self, directory: Path | None, declared: Path) -> None:
        self._kept = None if directory is None else _kept(directory, declared)
        self._known: dict[str, Entry] = (self._kept.read() if self._kept else None) or {}
        self._used: dict[str, Entry] = {}
        self._is_new = False

    def fill(self, record: Record) -> bool:
        """Fill in the documents of a file with this content, if a former run found them good."""
        entry = self._known.get(record.key)
        if entry is None:
            return False
        record.items = [
            Item(Document(value, marks), (record,), frozen, bound) for value, marks, frozen, bound in entry
        ]
        record.is_known = True
        self._used[record.key] = entry
        return True

    def keep(self, record: Record, variables: str) -> None:
        """Keep the documents of a file without problems; `variables` is the digest of those they were made with."""
        bound = variables if record.has_references else ""
        if self._kept is None or (record.is_known and all(item.bound == bound for item in record.items)):
            return
        self._used[record.key] = [_entry(item, bound) for item in record.items]
        self._is_new = True

    def drop(self, record: Record) -> None:
        """Forget a file that was found wanting."""
        self._is_new = self._used.pop(record.key, None) is not None or self._is_new

    def save(self) -> None:
        """Write the entries that this run used, if they are not what is there already."""
        is_stale = self._is_new or self._used.keys() != self._known.keys()
        if self._kept is not None and is_stale:
            self._kept.write(self._used)


class MemoryCache:
    """The same for a process that reads the same files again and again: declarations as they are, those of the present
    and of the last reading."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Path], Record] = {}
        self._used: dict[tuple[str, Path], Record] = {}

    def get(self, key: str, file: Path) -> Record | None:
        """What a file with this content holds, if a reading found it good."""
        record = self._used.get((key, file)) or self._known.get((key, file))
        if record is not None:
            self._used[key, file] = record
        return record

    def put(self, record: Record) -> None:
        """Keep it for the next reading."""
        self._used[record.key, record.path] = record

    def fill(self, record: Record) -> bool:
        """Fill in the documents of this file, if a former reading found them good."""
        place = record.key, record.path
        known = self._used.get(place) or self._known.get(place)
        if known is None:
            return False
        self._used[place] = known
        for item in known.items:
            found = Item(item.document, (record,), bound=item.bound, declaration=item.declaration)
            record.items.append(found)
        return True

    def keep(self, record: Record, variables: str) -> None:
        """Keep the documents of a file without problems; `variables` is the digest of those they were made with."""
        bound = variables if record.has_references else ""
        kept = Record(record.path, record.key, has_references=record.has_references)
        for item in record.items:
            kept.items.append(Item(item.document, (), bound=bound, declaration=item.declaration))
        self._used[record.key, record.path] = kept

    def drop(self, record: Record) -> None:
        """Forget a file that was found wanting."""
        self._used.pop((record.key, record.path), None)

    def save(self) -> None:
        """A reading is over: what it did not use is forgotten at the end of the next."""
        self._known, self._used = self._used, {}


Cache = ParseCache | MemoryCache


def content_hash(content: bytes) -> str:
    """The key of a file's content."""
    return hashlib.sha256(content).hexdigest()


def _entry(item: Item, bound: str) -> tuple[object, str, Frozen | None, str]:
    frozen = None if item.declaration is None else freeze(item.declaration)
    return item.document.value, item.document.marks_text(), frozen, bound


def _kept(directory: Path, declared: Path) -> Kept:
    form = f"{VERSION} {sources_digest(SCHEMAS)}"
    return Kept(place_of_parsed(directory, declared), form=form)
