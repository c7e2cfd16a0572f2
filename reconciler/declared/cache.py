"""What reading a file gave, kept by the hash of its content, so that a second run neither parses nor checks it again.

Only files without any problem are kept, so nothing that was refused, and no secret in clear, lies here. It is JSON
under a checksum, and bound to the sources of the schemas: a file that is damaged, unreadable or made with other
schemas counts as empty and is written anew. A run that cannot write it goes on without. References, clashes and the
files that specs name are looked at in every run.
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
from reconciler.declared.check import Declaration, check
from reconciler.declared.frozen import Frozen, freeze, thaw
from reconciler.declared.positions import Document

VERSION = 1  # of the form of this file and of what `reader` makes of YAML; raise it when either changes

Entry = list[tuple[object, str, Frozen | None]]


class ParseCache:
    """The entries of one declared directory; `directory` None: nothing is kept."""

    def __init__(self, directory: Path | None, declared: Path) -> None:
        self._path = None if directory is None else directory / f"declared-{_short(declared)}.json"
        self._magic = f"reconciler {VERSION} {_schema_digest()} ".encode() if self._path else b""
        self._known: dict[str, Entry] = self._read(self._path) if self._path else {}
        self._used: dict[str, Entry] = {}

    def get(self, key: str, file: Path) -> list[Declaration] | None:
        """The declarations of a file with this content, if a former run found them good."""
        entry = self._known.get(key)
        if entry is None:
            return None
        found = [_declaration(value, marks, frozen, file) for value, marks, frozen in entry]
        declarations = [declaration for declaration in found if declaration is not None]
        if len(declarations) < len(entry):
            return None
        self._used[key] = entry
        return declarations

    def put(self, key: str, declarations: Iterable[Declaration]) -> None:
        """Keep what a file without problems declares."""
        if self._path is not None:
            self._used[key] = [_entry(declaration) for declaration in declarations]

    def save(self) -> None:
        """Write the entries that this run used, if they are not what is there already."""
        if self._path is not None and self._used.keys() != self._known.keys():
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


def content_hash(content: bytes) -> str:
    """The key of a file's content."""
    return hashlib.sha256(content).hexdigest()


def _entry(declaration: Declaration) -> tuple[object, str, Frozen | None]:
    return declaration.document.value, declaration.document.marks_text(), freeze(declaration)


def _declaration(value: object, marks: str, frozen: Frozen | None, file: Path) -> Declaration | None:
    document = Document(value, marks)
    return check(document, file)[0] if frozen is None else thaw(frozen, document, file)


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
