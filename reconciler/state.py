"""Where the reconciler's and the runtime's files lie under one state directory (`.reconcile/` by default).

Names only: nothing is read or written here, apart from making the directory itself. Everybody who needs a path under
the state directory takes it from a `StateDirectory`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """One state directory; the path is absolute, so that a change of directory moves nothing."""

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> StateDirectory:
        """The state directory at `path`, which need not exist yet."""
        return cls(Path(path).expanduser().absolute())

    def make(self) -> None:
        """Create it when it is missing, closed to group and others: it holds password hashes and keys."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

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
    def history(self) -> Path:
        """One line an apply, for good."""
        return self.path / "history.jsonl"

    @property
    def cache(self) -> Path:
        """What may be deleted at any time."""
        return self.path / "cache"
