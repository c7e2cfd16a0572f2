"""Where everything lies in the state directory.

Called by the supervisor and the hosts. Names of servers, certificates and databases become parts of paths
here and only here, so this is where a name that would leave its directory is refused.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


class UnsafeNameError(ValueError):
    """A resource's name cannot be a file name."""


def safe(name: str) -> str:
    """`name` as one part of a path. Raises UnsafeNameError."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise UnsafeNameError(f"{name!r} cannot be the name of a directory; rename the resource")
    return name


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one state directory (absolute)."""

    root: Path

    @property
    def runtime(self) -> Path:
        """What the supervisor keeps for itself (mode 0700)."""
        return self.root / "runtime"

    @property
    def live(self) -> Path:
        """The live configuration."""
        return self.runtime / "live.sqlite"

    @property
    def control_socket(self) -> Path:
        """The control API's Unix socket (mode 0600)."""
        return self.runtime / "control.sock"

    @property
    def lock(self) -> Path:
        """Held by the supervisor and its hosts for as long as any of them lives."""
        return self.runtime / "supervisor.lock"

    @property
    def log(self) -> Path:
        """What the supervisor and the hosts log."""
        return self.runtime / "supervisor.log"

    def server(self, server: str) -> Path:
        """What belongs to one declared server."""
        return self.root / "servers" / safe(server)

    def certificates(self, server: str) -> Path:
        """Certificates and their keys: those that were generated, and in a directory of their own stored ones."""
        return self.server(server) / "certificates"

    def stored_certificates(self, server: str) -> Path:
        """Copies of certificates that are declared as files."""
        return self.certificates(server) / "stored"

    def all_stored_certificates(self) -> list[Path]:
        """Every file of those of every server, also of one that is gone."""
        return sorted((self.root / "servers").glob("*/certificates/stored/*"))

    def databases(self, server: str) -> Path:
        """The mailbox databases that the server's back-end host owns."""
        return self.server(server) / "databases"

    def prepare(self) -> None:
        """Make the state directory and the supervisor's own in it. Raises OSError, with a sentence when others can
        look into it and it is not ours to close."""
        for directory in (self.root, self.runtime):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _close_to_others(directory)


def _close_to_others(directory: Path) -> None:
    """Mail, password hashes and keys are in it. A sticky directory, such as /tmp, is everybody's by intention."""
    found = directory.stat()
    if not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
        raise PermissionError(
            f"state directory {directory} is open to others and not ours alone to close; "
            "chmod 700 it as its owner, or name another directory"
        )
    directory.chmod(0o700)
