"""Where the reconciler's and the runtime's files lie under one state directory (`.reconcile/` by default).

Names, and what keeps others out: nothing is read or written here, apart from making the directory itself and files
that are their owner's alone. Everybody who needs a path under the state directory takes it from a `StateDirectory`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from reconciler.expected import ExpectedError


class OpenStateError(ExpectedError):
    """Others can look into the state directory, and it is another user's, or sticky and so everybody's, as /tmp."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"state directory {path} is open to others and not ours alone to close; "
            "chmod 700 it as its owner, or name another one with --state"
        )


def append_private(path: Path) -> BinaryIO:
    """The file to append to, made for its owner alone when it is missing. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab")


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """One state directory; the path is absolute, so that a change of directory moves nothing."""

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> StateDirectory:
        """The state directory at `path`, which need not exist yet."""
        return cls(Path(path).expanduser().absolute())

    def make(self) -> None:
        """Create it when it is missing, and close it to group and others: it holds password hashes and keys. Raises
        OpenStateError when it is not ours to close."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.path.stat()
        if not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
            raise OpenStateError(self.path)
        self.path.chmod(0o700)

    @property
    def runtime(self) -> Path:
        """The runtime's own directory."""
        return self.path / "runtime"

    @property
    def socket(self) -> Path:
        """The control API's Unix socket."""
        return self.runtime / "control.sock"

    @property
    def runtime_log(self) -> Path:
        """What the runtime says when it is started by `reconcile`."""
        return self.runtime / "supervisor.log"

    @property
    def journals(self) -> Path:
        """One file an apply."""
        return self.path / "journal"

    @property
    def apply_lock(self) -> Path:
        """Held by the one apply that may write."""
        return self.path / "apply.lock"

    @property
    def used_plans(self) -> Path:
        """One file for each saved plan that was applied, named after its digest."""
        return self.path / "used-plans"

    @property
    def history(self) -> Path:
        """One line an apply, for good."""
        return self.path / "history.jsonl"

    @property
    def holds(self) -> Path:
        """Resources that are left as they are for a while."""
        return self.path / "holds.json"

    @property
    def cache(self) -> Path:
        """What may be deleted at any time."""
        return self.path / "cache"

    @property
    def daemon(self) -> Path:
        """The daemon's lease and its memory."""
        return self.path / "daemon"
