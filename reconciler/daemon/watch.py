"""Tells when what a directory holds has changed, by content.

watchfiles wakes it quickly; what counts is a digest of every file's name and content, so that an editor's rename, a
swapped symbolic link, a `touch` or a lost notification make neither a false change nor a missed one: the files are
also looked at each few seconds. Files that are referred to from outside of the directory are watched the same way.
It reads files and nothing else, and survives what it cannot read. `feed` and `loop` are the callers.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

#: Milliseconds of quiet after which a burst of notifications counts as one, and the longest burst.
QUIET = 10
LONGEST_BURST = 200
#: Milliseconds after which the watcher makes sure that it still watches the right directory.
LOOK_EVERY = 1000


class Watcher(threading.Thread):
    """Calls `ring` shortly after something below a directory was touched, until `stop`."""

    def __init__(self, directory: Path, ring: Callable[[], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self._directory = directory
        self._ring = ring
        self._end = threading.Event()

    def stop(self) -> None:
        """Ends within LOOK_EVERY."""
        self._end.set()

    def run(self) -> None:
        """Watch the directory that the path leads to now; when it leads elsewhere or nowhere, begin anew."""
        while not self._end.is_set():
            try:
                self._watch_one(_identity(self._directory))
            except OSError:
                # The directory is away, as in the middle of a checkout: look again until it is back.
                self._end.wait(LOOK_EVERY / 1000)
            self._ring()

    def _watch_one(self, identity: tuple[int, int]) -> None:
        from watchfiles import watch

        notifications = watch(
            self._directory,
            debounce=LONGEST_BURST,
            step=QUIET,
            stop_event=self._end,
            rust_timeout=LOOK_EVERY,
            yield_on_timeout=True,
            watch_filter=None,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for changes in notifications:
            if changes:
                self._ring()
            if _identity(self._directory) != identity:
                return


def _identity(directory: Path) -> tuple[int, int]:
    found = directory.stat()
    return found.st_dev, found.st_ino


class Contents:
    """Remembers a digest of all files below a directory, or of those named alone; `has_changed` looks again.

    Hidden files and the directories in `leave_out` do not count. A file is read again only when its size, time or
    identity differ.
    """

    def __init__(self, directory: Path | None = None, *, leave_out: Collection[Path] = ()) -> None:
        self._directory = directory
        self._leave_out = frozenset(os.path.realpath(path) for path in leave_out)
        self._stamps: dict[str, tuple[int, ...]] = {}
        self._current: dict[str, bytes] = {}
        self._before: dict[str, bytes] = {}
        self._has_looked = False

    @property
    def edited(self) -> Mapping[Path, str]:
        """After a change: the files whose content alone is another one, with the SHA-256 (hex) of what they held
        before; nothing when files came or went."""
        before, now = self._before, self._current
        if before.keys() != now.keys() or not all(len(digest) == 32 for digest in now.values()):
            return {}
        return {Path(path): old.hex() for path, old in before.items() if old != now[path]}

    def has_changed(self, others: Collection[Path] = ()) -> bool:
        """True when any file came, went or has other content than at the last call; true at the first call."""
        found = {path: self._digest_of(path) for path in {*self._files(), *map(str, others)}}
        if found == self._current and self._has_looked:
            return False
        self._before, self._current, self._has_looked = self._current, found, True
        for path in self._stamps.keys() - found.keys():
            del self._stamps[path]
        return True

    def holds(self, path: str) -> bool:
        """True of a file that was there at the last call."""
        return path in self._current

    def follow(self, others: Collection[Path]) -> frozenset[str]:
        """Remember these instead, as they were at the last call or, those that are new, as they are now; the new
        ones."""
        wanted = frozenset(map(str, others))
        new = wanted - self._current.keys()
        for path in self._stamps.keys() - wanted:
            del self._stamps[path]
        kept = {path: digest for path, digest in self._current.items() if path in wanted}
        self._current, self._has_looked = kept | {path: self._digest_of(path) for path in new}, True
        return new

    def _files(self) -> Iterator[str]:
        if self._directory is None:
            return
        for folder, folders, names in os.walk(self._directory, followlinks=False):
            folders[:] = [name for name in folders if self._is_wanted(Path(folder, name))]
            yield from (str(Path(folder, name)) for name in names if not name.startswith("."))

    def _is_wanted(self, folder: Path) -> bool:
        return not folder.name.startswith(".") and os.path.realpath(folder) not in self._leave_out

    def _digest_of(self, path: str) -> bytes:
        try:
            found = os.stat(path)  # noqa: PTH116 - called for every file of every round; Path costs thrice that
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_ctime_ns)
            if self._stamps.get(path) == stamp:
                return self._current[path]
            digest = hashlib.sha256(Path(path).read_bytes()).digest()
        except OSError as error:
            self._stamps.pop(path, None)
            return f"unreadable {error.errno}".encode()
        self._stamps[path] = stamp
        return digest
