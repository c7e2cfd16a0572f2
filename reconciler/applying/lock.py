"""One apply at a time: a lock file that says who holds it.

The kernel drops the lock with the process, so a killed apply never leaves it behind. The verbs that apply take it, and
the daemon.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from reconciler.expected import ExpectedError


class LockedError(ExpectedError):
    """Somebody else is applying; the text says who and since when."""


@contextmanager
def apply_lock(path: Path, *, actor: str) -> Iterator[None]:
    """Hold the lock for the length of the block. Raises LockedError at once when it is taken."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, path)
        _say_who(descriptor, actor)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = (
            os.pread(descriptor, 500, 0).decode(errors="replace").strip() or "somebody who has just begun"
        )
        raise LockedError(f"another apply is running: {holder} holds {path}; wait for it to end") from error


def _say_who(descriptor: int, actor: str) -> None:
    os.ftruncate(descriptor, 0)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    os.pwrite(descriptor, f"{actor} (process {os.getpid()}, since {since})\n".encode(), 0)
