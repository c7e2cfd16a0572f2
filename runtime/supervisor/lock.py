"""One supervisor a state directory.

The lock belongs to the open file, which the hosts inherit: it is free only when the supervisor and every host
of it are gone. So a new supervisor never runs beside the hosts of one that was killed, and no mailbox
database has two owners.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

#: How long hosts of a killed supervisor may take to notice and end, in seconds.
PATIENCE = 15.0
#: Somebody may hold the lock for a moment, just to see whether it is free. Seconds.
GLANCE = 0.5


class AlreadyRunningError(Exception):
    """Another supervisor works on this state directory."""

    def __init__(self, state: Path, holder: str) -> None:
        super().__init__(
            f"a runtime (process {holder}) already works on {state}; stop it first (`reconcile runtime stop`), "
            "or use another state directory"
        )


def acquire(path: Path) -> int:
    """Lock `path`, write our process id into it, and return its descriptor. Raises AlreadyRunningError.

    When the process that is named in it is dead, its hosts are given PATIENCE seconds to end.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    began = time.monotonic()
    while not _try_lock(descriptor):
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        if time.monotonic() - began > (GLANCE if _is_alive(holder) else PATIENCE):
            os.close(descriptor)
            raise AlreadyRunningError(path.parent.parent, holder or "unknown")
        time.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(holder: str) -> bool:
    """A holder that has not yet written its id counts as alive."""
    if not holder.isdecimal():
        return True
    try:
        os.kill(int(holder), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
