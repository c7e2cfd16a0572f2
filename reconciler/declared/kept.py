"""What a run leaves for the next one in the cache directory: JSON under a checksum, bound to the sources that made it.

A file that is damaged, unreadable or made by other sources counts as none. It is readable by its owner alone, and
replaced as a whole. Called by `cache` and `outline`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import schemas.v1

#: Where the sources are that say what is valid.
SCHEMAS = Path(schemas.v1.__path__[0])
#: What nobody used for so long is forgotten: directories come and go, as those of a CI system.
KEPT = timedelta(days=30)


class Kept:
    """One file of the cache directory; `form` says what has to be the same for it to count."""

    def __init__(self, path: Path, *, form: str) -> None:
        self._path = path
        self._form = f"reconciler {form} ".encode()

    def read(self) -> Any:
        """What a former run left; None without."""
        try:
            head, _, body = self._path.read_bytes().partition(b"\n")
        except OSError:
            return None
        with suppress(OSError):  # readable is enough: one that nobody may touch is forgotten a little sooner
            os.utime(self._path)
        return json.loads(body) if head == self._head(body) else None

    def write(self, value: Any) -> None:
        """Leave it for the next run, and delete what nobody used for long. One that cannot write goes on without."""
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        body = text.encode("utf-8", errors="surrogatepass")
        with suppress(OSError):
            _replace(self._path, self._head(body) + b"\n" + body)
            _forget(self._path.parent)

    def _head(self, body: bytes) -> bytes:
        return self._form + hashlib.sha256(body).hexdigest().encode()


def place_of(cache: Path, name: str, about: str) -> Path:
    """Where in the cache directory lies what `name` says, for the declared directory `about`."""
    return cache / f"{name}-{hashlib.sha256(os.fsencode(about)).hexdigest()[:16]}.json"


def place_of_parsed(cache: Path, declared: Path) -> Path:
    """Where lies what the files of a directory hold."""
    return place_of(cache, "declared", str(declared.absolute()))


def sources_digest(*packages: Path) -> str:
    """Of the sources in these directories: what others made of the same files may not be so any more."""
    total = hashlib.sha256()
    for package in packages:
        for source in sorted(package.glob("*.py")):
            total.update(source.read_bytes())
    return total.hexdigest()


def _forget(directory: Path) -> None:
    before = time.time() - KEPT.total_seconds()
    for path in directory.iterdir():
        if path.is_file() and path.stat().st_mtime < before:
            path.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Atomically, readable by the owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", delete=False) as stream:
        temporary = Path(stream.name)
        try:
            stream.write(content)
            stream.close()
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
