"""Appends lines to a log that rolls over: buffered, flushed at least each second and at close.

A log that cannot be written never stops mail: the lines are lost, and the runtime's own log says so once for
each failure that lasts. Several writers may append to one file (two generations of a service): lines are
written whole. Called by the logs of this package only.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

log = logging.getLogger("runtime.protocol_log")

#: Seconds that a line may wait in memory, and characters at which it does not.
FLUSH_AFTER = 1.0
FLUSH_AT = 64 * 1024


class Naming(Protocol):
    """Which file a line belongs to. `number` counts from 1 the files of one period."""

    def name(self, now: datetime, number: int) -> str: ...

    def is_full(self, size: int) -> bool:
        """True when a file of `size` bytes takes no more lines."""


class RollingFile:
    """One log of one process. `header` gives the lines that open a new file; `housekeeping` runs after a roll-over."""

    def __init__(
        self,
        directory: Path,
        naming: Naming,
        *,
        header: Callable[[datetime], Sequence[str]],
        housekeeping: Callable[[Path], None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._naming = naming
        self._header = header
        self._housekeeping = housekeeping
        self._clock = clock
        self._lines: list[str] = []
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._file: io.FileIO | None = None
        self._name = ""
        self._number = 1
        self._is_broken = False

    def append(self, line: str) -> None:
        """Queue one line, without its line end."""
        self._lines.append(line)
        self._waiting += len(line)
        if self._waiting >= FLUSH_AT:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._waiting = self._lines, [], 0
        if not lines:
            return
        try:
            self._write(lines)
            self._is_broken = False
        except OSError as error:
            self._report(error)

    def close(self) -> None:
        self.flush()
        self._close_file()

    def _write(self, lines: Sequence[str]) -> None:
        file = self._current()
        file.write("".join(line + "\r\n" for line in lines).encode())

    def _current(self) -> io.FileIO:
        """The file that takes lines now: the same one, the next number, or the next period's."""
        now = self._clock()
        name = self._naming.name(now, self._number)
        if self._file is not None and name == self._name and not self._naming.is_full(self._file.tell()):
            return self._file
        self._number = self._first_free(now)
        return self._open(now)

    def _first_free(self, now: datetime) -> int:
        number = 1
        while self._naming.is_full(_size(self._directory / self._naming.name(now, number))):
            number += 1
        return number

    def _open(self, now: datetime) -> io.FileIO:
        self._close_file()
        self._name = self._naming.name(now, self._number)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / self._name
        self._file = io.FileIO(path, "a", opener=_private)
        if not path.stat().st_size:
            self._file.write("".join(line + "\r\n" for line in self._header(now)).encode())
            if self._housekeeping is not None:
                self._housekeeping(self._directory)
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _report(self, error: OSError) -> None:
        self._close_file()
        self._name = ""
        if not self._is_broken:
            log.error(
                "protocol log in %s cannot be written: %s; mail goes on without it", self._directory, error
            )
        self._is_broken = True


def _private(path: str, flags: int) -> int:
    """A log tells who reads mail when: a new one is its owner's alone."""
    return os.open(path, flags, 0o600)


def _size(path: Path) -> int:
    """-1 when there is no such file: it takes lines whatever the limit."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
