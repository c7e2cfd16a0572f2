"""The runtime's own log: one file that the supervisor and its hosts append to, kept below a bound.

Hosts, and whatever crashes, write to it through a descriptor that they have inherited, so the file is never renamed:
when it is full its text is copied away to `.1` (what was there goes to `.2`, and so on) and it is emptied. Only the
supervisor does that; the few lines that a host writes between the two may be lost. Nothing else rotates it.
"""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

#: Bytes of the log before it is copied away, and how many such copies are kept beside it.
MOST_BYTES = 8 << 20
KEPT_COPIES = 3

_FORMAT = "%(asctime)s supervisor[%(process)d] %(levelname)s %(name)s: %(message)s"


class RuntimeLog(RotatingFileHandler):
    """What the supervisor logs goes here. `look` counts in what hosts have written meanwhile."""

    def __init__(self, file: Path, *, most_bytes: int = MOST_BYTES) -> None:
        file.touch(0o600)
        file.chmod(0o600)
        super().__init__(file, maxBytes=most_bytes, backupCount=KEPT_COPIES, encoding="utf-8")
        self.rotator = _copy_away
        self.setFormatter(logging.Formatter(_FORMAT))

    def look(self) -> None:
        """Copy the log away when it is full. Raises OSError."""
        file = Path(self.baseFilename)
        self.acquire()
        try:
            if file.is_file() and file.stat().st_size >= self.maxBytes:
                self.doRollover()
        finally:
            self.release()


def set_up(file: Path) -> RuntimeLog:
    """From here on everything that this process logs goes to `file` (0600). Raises OSError."""
    handler = RuntimeLog(file)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return handler


def _copy_away(source: str, destination: str) -> None:
    """A disk that has no room for the copy loses the text: the log must not be what fills it."""
    try:
        shutil.copy(source, destination)
    except OSError:
        with suppress(FileNotFoundError):
            Path(destination).unlink()
    os.truncate(source, 0)
