"""What is declared, and whether it has changed: a directory on disk, or one directory of a git reference.

A feed reads files and asks git; it decides nothing. A git feed never touches a work tree: it fetches into the clone in
a thread of its own, because a network may hang, and reads commits. `loop` is the caller.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from reconciler.applying.history import git_commit
from reconciler.daemon.notices import Fetched, FetchFailed, Notice, Revision
from reconciler.daemon.watch import Contents
from reconciler.declared.source import DirectorySource, Source
from reconciler.review.git import Blobs, Repository, ask
from reconciler.review.git_source import GitSource

#: Seconds after which a fetch that hangs is given up.
FETCH_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the feed found. `edited`: the YAML files whose content alone is another one, with the hash that
    they had; empty when anything else happened too."""

    has_changed: bool
    edited: Mapping[Path, str] = field(default_factory=dict)


NOTHING = Look(has_changed=False)


class Feed(Protocol):
    """Where declarations come from. One thread looks, another one reads and refers."""

    @property
    def watched(self) -> Path | None:
        """The directory whose notifications are worth listening to."""

    def look(self) -> Look:
        """What has changed since the last look; everything at the first. Raises GitError, OSError."""

    def open(self) -> AbstractContextManager[Source]:
        """What was there at the last look, to load from."""

    def refer_to(self, files: frozenset[Path]) -> bool:
        """Files outside that declarations name: a change of one is a change too. True when some were not known before,
        so that they may have changed since they were read."""

    def commit(self) -> str | None:
        """The git commit of what is declared."""

    def start(self, ring: Callable[[], None], tell: Callable[[Notice], None]) -> None:
        """Begin whatever has to go on in the background."""

    def stop(self) -> None:
        """End that."""


class _Referred:
    """Files that declarations refer to, wherever they lie."""

    def __init__(self) -> None:
        self._contents = Contents()
        self._files: frozenset[Path] = frozenset()
        self._lock = threading.Lock()

    def has_changed(self) -> bool:
        with self._lock:
            return self._contents.has_changed(self._files)

    def refer_to(self, files: frozenset[Path]) -> frozenset[str]:
        """Those that were not looked at before."""
        with self._lock:
            self._files = files
            return self._contents.follow(files)


class DirectoryFeed:
    """A directory on disk."""

    def __init__(self, directory: Path, *, state: Path) -> None:
        self.watched: Path | None = directory
        self._directory = directory
        self._contents = Contents(directory, leave_out=[state])
        self._referred = _Referred()

    def look(self) -> Look:
        """Looks before the files are read, so that what changes while they are is seen the next time."""
        has_others = self._referred.has_changed()
        if not self._contents.has_changed():
            return Look(has_others)
        return Look(has_changed=True, edited={} if has_others else self._contents.edited)

    @contextmanager
    def open(self) -> Iterator[Source]:
        """The directory itself."""
        yield DirectorySource(self._directory)

    def refer_to(self, files: frozenset[Path]) -> bool:
        """Secrets and certificates; those in the directory were looked at with it."""
        return not all(self._contents.holds(path) for path in self._referred.refer_to(files))

    def commit(self) -> str | None:
        """Of the checkout that the directory is part of."""
        return git_commit(self._directory)

    def start(self, ring: Callable[[], None], tell: Callable[[Notice], None]) -> None:
        """The watcher is the loop's; nothing else goes on."""

    def stop(self) -> None:
        """Nothing to end."""


class GitFeed:
    """One directory of what a reference of a local clone names; fetched every `interval` seconds (None: never)."""

    watched: Path | None = None

    def __init__(
        self, repository: Repository, reference: str, *, directory: PurePosixPath, interval: float | None
    ) -> None:
        self._repository = repository
        self._reference = reference
        self._directory = directory
        self._interval = interval
        self._commit: str | None = None
        self._referred = _Referred()
        self._stop = threading.Event()
        self._tell: Callable[[Notice], None] = lambda _: None

    def look(self) -> Look:
        """Another commit is a change; the configuration digest says whether it means one."""
        commit = self._repository.commit(self._reference)
        has_others = self._referred.has_changed()
        if commit == self._commit:
            return Look(has_others)
        self._commit = commit
        self._tell(Revision(self._reference, commit))
        return Look(has_changed=True)

    @contextmanager
    def open(self) -> Iterator[Source]:
        """The directory in the commit of the last look. Raises GitError."""
        commit = self._commit or self._repository.commit(self._reference)
        tree = self._repository.tree(commit)
        with Blobs(self._repository) as blobs:
            yield GitSource(
                self._repository, tree=tree, directory=self._directory, blobs=blobs, name=self._reference
            )

    def refer_to(self, files: frozenset[Path]) -> bool:
        """Secrets are no part of a commit: they lie where a checkout would have them."""
        return bool(self._referred.refer_to(files))

    def commit(self) -> str | None:
        """The one that was read last."""
        return self._commit

    def start(self, ring: Callable[[], None], tell: Callable[[Notice], None]) -> None:
        """Fetch now and then; each time ring."""
        self._tell = tell
        remote = self._remote()
        if self._interval is not None and remote is not None:
            threading.Thread(
                target=self._fetch_until_stopped,
                args=(remote, self._interval, ring),
                name="fetch",
                daemon=True,
            ).start()

    def stop(self) -> None:
        """A fetch that is under way ends with the process."""
        self._stop.set()

    def _fetch_until_stopped(self, remote: str, interval: float, ring: Callable[[], None]) -> None:
        times = 0
        while not self._stop.is_set():
            error = fetch(self._repository.root, remote)
            if error is None:
                self._tell(Fetched(remote, failures=times))
                times = 0
            else:
                times += 1
                self._tell(FetchFailed(error, interval, times))
            ring()
            self._stop.wait(interval)

    def _remote(self) -> str | None:
        """The remote that the reference is fetched from: the one whose name it begins with."""
        found = os.fsdecode(_git(self._repository.root, "remote").stdout).split()
        matching = [
            name for name in found if self._reference.removeprefix("refs/remotes/").startswith(f"{name}/")
        ]
        return max(matching, key=len, default=None)


def fetch(repository: Path, remote: str) -> str | None:
    """Fetch every branch of the remote; what went wrong, if anything did. Asks nobody for a password."""
    try:
        done = _git(repository, "fetch", "--quiet", "--prune", "--no-write-fetch-head", remote)
    except subprocess.TimeoutExpired:
        return f"git fetch {remote} did not end within {FETCH_TIMEOUT:g} seconds"
    complaint = os.fsdecode(done.stderr).strip().splitlines()
    return f"git fetch {remote}: {complaint[-1] if complaint else 'failed'}" if done.returncode else None


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    more = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    return ask(repository, *arguments, timeout=FETCH_TIMEOUT, more=more, fetches=True)
