"""Where declarations are read from: a directory on disk, or anything else that can list and read files.

`load` asks a `Source` alone, so that a revision in git is read exactly as a directory is. Paths are those that
diagnostics show: `root` and what lies below it. A source writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from reconciler.declared.files import directory_error, find, read_bytes
from reconciler.model import Diagnostic


class Source(Protocol):
    """A tree of files. Names that start with a dot do not exist for it."""

    @property
    def root(self) -> Path:
        """The directory that is declared; for display, and what relative paths in the files lead on from."""

    @property
    def holds_secrets(self) -> bool:
        """True when files that nobody commits (secrets, private keys) should be there and are looked for."""

    def problem(self) -> Diagnostic | None:
        """Why `root` cannot be listed at all, if so."""

    def yaml_files(self, below: Path) -> Sequence[Path]:
        """The `*.yaml` and `*.yml` files below this directory (`root` or a directory in it), sorted."""

    def directories(self, below: Path) -> Sequence[str]:
        """The names of the directories directly in this one, sorted; none when there is no such directory."""

    def read(self, path: Path) -> bytes:
        """The content of a file; links are followed. Raises OSError."""

    def exists(self, path: Path) -> bool:
        """True when `read` would find a file there."""


class DirectorySource:
    """A directory on disk. Links are followed to files, never to directories, so a loop cannot arise."""

    holds_secrets = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def problem(self) -> Diagnostic | None:
        """Missing, no directory, or not to be read."""
        return directory_error(self.root)

    def yaml_files(self, below: Path) -> Sequence[Path]:
        """Sorted by their text relative to `below`, as the order of files decides which position is the first."""
        return [below / name for name in find(below)]

    def directories(self, below: Path) -> Sequence[str]:
        """Directories and links to such; names that start with a dot are left out."""
        if not below.is_dir():
            return ()
        return sorted(path.name for path in below.iterdir() if path.is_dir() and path.name[0] != ".")

    def read(self, path: Path) -> bytes:
        """Raises OSError for what is larger than any estate's file, too."""
        return read_bytes(path)

    def exists(self, path: Path) -> bool:
        """A file, or a link to one."""
        return path.is_file()
