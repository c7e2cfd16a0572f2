"""What reading a file gave, kept by the hash of its content, so that a second run neither parses nor checks it again.

Only files without any problem are kept, so nothing that was refused, and no secret in clear, lies here. It is JSON
under a checksum, and bound to the sources of the schemas: a file that is damaged, unreadable or made with other
schemas counts as empty and is written anew. A run that cannot write it goes on without. References, clashes and the
files that specs name are looked at in every run. What variables made of a document is bound to their values.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import schemas.v1
from reconciler.declared.check import Declaration
from reconciler.declared.frozen import Frozen, freeze
from reconciler.declared.item import Item, Record
from reconciler.declared.positions import Document

VERSION = 4  # of the form of this file and of what `reader` makes of YAML; raise it when either changes

#: For each document its value, its marks, what it declares, and the digest of the variables that made it so.
Entry = list[tuple[object, str, Frozen | None, str]]


class ParseCache:
    """The entries of one declared directory; `directory` None: nothing is kept."""

    def __init__(self, directory: Path | None, declared: Path) -> None:
        self._path = None if directory is None else directory / f"declared-{_short(declared)}.json"
        self._magic = f"reconciler {VERSION} {_schema_digest()} ".encode() if self._path else b""
        self._known: dict[str, Entry] = self._read(self._path) if self._path else {}
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
        if self._path is None or (record.is_known and all(item.bound == bound for item in record.items)):
            return
        self._used[record.key] = [_entry(item, bound) for item in record.items]
        self._is_new = True

    def drop(self, record: Record) -> None:
        """Forget a file that was found wanting."""
        self._is_new = self._used.pop(record.key, None) is not None or self._is_new

    def save(self) -> None:
        """Write the entries that this run used, if they are not what is there already."""
        is_stale = self._is_new or self._used.keys() != self._known.keys()
        if self._path is not None and is_stale:
            with suppress(OSError):
                _replace(self._path, self._content())

    def _read(self, path: Path) -> dict[str, Entry]:
        try:
            head, _, body = path.read_bytes().partition(b"\n")
        except OSError:
            return {}
        entries: dict[str, Entry] = json.loads(body) if head == self._head(body) else {}
        return entries

    def _content(self) -> bytes:
        text = json.dumps(self._used, separators=(",", ":"), ensure_ascii=False)
        body = text.encode("utf-8", errors="surrogatepass")
        return self._head(body) + b"\n" + body

    def _head(self, body: bytes) -> bytes:
        return self._magic + hashlib.sha256(body).hexdigest().encode()


class MemoryCache:
    """The same for a process that reads the same files again and again: declarations as they are, those of the present
    and of the last reading."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Path], Record] = {}
        self._used: dict[tuple[str, Path], Record] = {}

    def get(self, key: str, file: Path) -> list[Declaration] | None:
        """The declarations of a file with this content, when that is all that it holds."""
        record = self._used.get((key, file)) or self._known.get((key, file))
        if record is None or record.has_references:
            return None
        self._used[key, file] = record
        found = [item.declaration for item in record.items if item.declaration is not None]
        return found if len(found) == len(record.items) else None

    def put(self, key: str, declarations: Iterable[Declaration]) -> None:
        """Keep them for the next reading."""
        items = [Item(found.document, (), declaration=found) for found in declarations]
        if items and items[0].declaration is not None:
            file = items[0].declaration.file
            self._used[key, file] = Record(file, key, has_references=False, items=items)

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


def _schema_digest() -> str:
    """Of the sources that say what is valid: data that older ones found good may not be so any more."""
    total = hashlib.sha256()
    for directory in schemas.v1.__path__:
        for source in sorted(Path(directory).glob("*.py")):
            total.update(source.read_bytes())
    return total.hexdigest()


def _short(declared: Path) -> str:
    return hashlib.sha256(os.fsencode(declared.absolute())).hexdigest()[:16]


def _replace(path: Path, content: bytes) -> None:
    """Atomically, readable by the owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".declared-", delete=False) as stream:
        temporary = Path(stream.name)
        try:
            stream.write(content)
            stream.close()
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
