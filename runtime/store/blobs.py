"""Files beside a mailbox database: message bodies too large for a row, and messages that still arrive.

A blob is written under a temporary name in `spool/`, synced, renamed into `blobs/` and the directory synced, before
any row names it; so a row without its blob cannot be. Names are random. What no row names is removed when the database
opens. Called from worker threads and the writer thread; only reads happen on the event loop.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{32}")


class BlobDirectory:
    """`blobs/` and `spool/` under the database's own directory."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._spool = root / "spool"
        for directory in (self._blobs, self._spool):
            directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(root)

    def spool_path(self) -> Path:
        """A new path for a message that arrives."""
        return self._spool / secrets.token_hex(16)

    def write(self, data: bytes) -> str:
        """Store `data` durably; returns the blob's name. Raises OSError and leaves nothing behind then."""
        path = self.spool_path()
        try:
            with path.open("xb") as file:
                file.write(data)
            return self.adopt(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def adopt(self, path: Path) -> str:
        """Make a spool file, already closed, a blob; returns its name. Raises OSError."""
        sync_file(path)
        path.rename(self._blobs / path.name)
        sync_directory(self._blobs)
        return path.name

    def read(self, name: str) -> bytes | None:
        """The blob's content; None when it has been removed meanwhile."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a blob that no row names any more."""
        self._path(name).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """Remove spool files and blobs that no row names; returns how many. Only before the database is in use."""
        orphans = [path for path in self._blobs.iterdir() if not is_known(path.name)]
        orphans.extend(self._spool.iterdir())
        for path in orphans:
            path.unlink()
        return len(orphans)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not the name of a blob: {name!r}")
        return self._blobs / name


def sync_file(path: Path) -> None:
    """fsync a file by path."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


#: On Linux a directory is synced like a file: entries that were made, renamed or removed are durable then.
sync_directory = sync_file
