"""Tells when what a directory holds has changed, by content.

watchfiles wakes it quickly; what counts is a digest of every file's name and content, so that an editor's rename, a
swapped symbolic link, a `touch` or a lost notification make neither a false change nor a missed one: the files are
also looked at each few seconds. Files that are referred to from outside of the directory are watched the same way.
It reads files and nothing else, and survives what it cannot read. `loop` is the caller.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from threading import Event

#: Milliseconds of quiet after which a burst of notifications counts as one.
DEBOUNCE = 200
#: Milliseconds after which the files are looked at without a notification.
LOOK_EVERY = 2000


def watch(directory: Path, *, stop: Event) -> Iterator[None]:
    """Yield when something may have changed, and at least each LOOK_EVERY milliseconds; end when `stop` is set."""
    from watchfiles import watch as notifications  # noqa: PLC0415 - a compiled module that only `up` needs

    while not stop.is_set():
        try:
            for _ in notifications(
                directory,
                debounce=DEBOUNCE,
                step=50,
                stop_event=stop,
                rust_timeout=LOOK_EVERY,
                yield_on_timeout=True,
                watch_filter=None,
                raise_interrupt=False,
            ):
                yield
        except OSError:
            # The directory is away, as in the middle of a checkout: look again until it is back.
            stop.wait(LOOK_EVERY / 1000)
            yield


class Contents:
    """Remembers a digest of all files below a directory, or of those named alone; `has_changed` looks again.

    Hidden files and the directories in `leave_out` do not count. A file is read again only when its size, time or
    identity differ.
    """

    def __init__(self, directory: Path | None = None, *, leave_out: Collection[Path] = ()) -> None:
        self._directory = directory
        self._leave_out = frozenset(os.path.realpath(path) for path in leave_out)
        self._stamps: dict[str, tuple[int, ...]] = {}
        self._digests: dict[str, bytes] = {}
        self._known: bytes | None = None

    def has_changed(self, others: Collection[Path] = ()) -> bool:
        """True when any file came, went or has other content than at the last call; true at the first call."""
        known, self._known = self._known, self._digest([*self._files(), *map(str, others)])
        return known != self._known

    def _files(self) -> Iterator[str]:
        if self._directory is None:
            return
        for folder, folders, names in os.walk(self._directory, followlinks=False):
            folders[:] = [name for name in folders if self._is_wanted(Path(folder, name))]
            yield from (str(Path(folder, name)) for name in names if not name.startswith("."))

    def _is_wanted(self, folder: Path) -> bool:
        return not folder.name.startswith(".") and os.path.realpath(folder) not in self._leave_out

    def _digest(self, paths: list[str]) -> bytes:
        whole = hashlib.sha256()
        for path in sorted(set(paths)):
            whole.update(path.encode(errors="surrogateescape") + b"\0" + self._digest_of(path))
        return whole.digest()

    def _digest_of(self, path: str) -> bytes:
        try:
            found = Path(path).stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_ctime_ns)
            if self._stamps.get(path) != stamp:
                self._digests[path] = hashlib.sha256(Path(path).read_bytes()).digest()
                self._stamps[path] = stamp
        except OSError as error:
            self._stamps.pop(path, None)
            return f"unreadable {error.errno}".encode()
        return self._digests[path]
