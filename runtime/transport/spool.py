"""Contents that are too large for the journal: a file each, written as they arrive, named only when they are whole.

A spool file is written under its message's id with ".tmp" behind; the journal's thread syncs and renames it before it
writes the record that counts on it. Files that no record names are left-overs of a crash and are swept when the queue
opens. Names come from numbers, never from a message. Called by the queue.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


class SpoolFile:
    """One content being written, or written."""

    def __init__(self, directory: Path, message_id: int) -> None:
        self._path = directory / f"{message_id}.msg"
        self._part = directory / f"{message_id}.tmp"
        self._fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Raises OSError (disk full)."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def commit(self) -> None:
        """Make content and name durable. Blocks on the disk: the journal's thread calls it. Raises OSError."""
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._part.rename(self._path)
        sync_directory(self._path.parent)

    def discard(self) -> None:
        """Remove it; safe to call twice, and when it was never committed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._part.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


def read_spooled(directory: Path, message_id: int) -> bytes:
    """The content of a committed file. Raises OSError."""
    return (directory / f"{message_id}.msg").read_bytes()


def remove_spooled(directory: Path, message_id: int) -> None:
    (directory / f"{message_id}.msg").unlink(missing_ok=True)


def sweep(directory: Path, keep: Collection[int]) -> None:
    """Remove every file that belongs to no message in `keep`."""
    wanted = {f"{message_id}.msg" for message_id in keep}
    for path in directory.iterdir():
        if path.name not in wanted:
            path.unlink()


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
