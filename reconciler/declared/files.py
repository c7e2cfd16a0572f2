"""Finds and reads the YAML files of a directory. The only module of this room that lists directories.

Every `*.yaml` and `*.yml` below the directory counts, in sorted order; names that start with a dot are left out, and so
is what lies below a directory named so. Links are followed to files, never to directories, so a loop cannot arise.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Position

MAX_FILE_SIZE = 16 * 1024 * 1024  # bytes; positions hold columns below 2**24
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as it was read."""

    path: Path
    content: bytes


def find(directory: Path) -> tuple[str, ...]:
    """The YAML files below the directory, relative to it, sorted. Raises OSError when it cannot be listed."""
    return tuple(sorted(_walk(f"{directory}/")))


def _walk(root: str) -> Iterator[str]:
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(root + below) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{below}{entry.name}/")
                elif entry.name.endswith(_SUFFIXES) and entry.is_file():
                    yield below + entry.name


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises OSError, also for a file beyond MAX_FILE_SIZE, and for what is none: a pipe or a
    device would be waited for. Called for every file; a stream, or Path, costs twice that."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if found.st_size > MAX_FILE_SIZE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        size = max(found.st_size + 1, 4096)
        return b"".join(iter(lambda: os.read(descriptor, size), b""))
    finally:
        os.close(descriptor)


def read_file(path: Path, read: Callable[[Path], bytes] = read_bytes) -> SourceFile | Diagnostic:
    """The file as `read` gives it, or what stands in the way."""
    try:
        content = read(path)
    except OSError as failure:
        if failure.errno == errno.EFBIG:
            return _too_large(path)
        reason = failure.strerror or str(failure)
        return error("unreadable-file", f"the file cannot be read: {reason}", Position(path, 1, 1))
    return SourceFile(path, content) if len(content) <= MAX_FILE_SIZE else _too_large(path)


def _too_large(path: Path) -> Diagnostic:
    message = f"the file is larger than {MAX_FILE_SIZE // 1024**2} MiB"
    hint = "split it; files of one directory are one set"
    return error("file-too-large", message, Position(path, 1, 1), hint)


def directory_error(directory: Path) -> Diagnostic | None:
    """Why the directory cannot be listed, if so."""
    if not directory.exists():
        return _about(directory, "there is no such directory", "name a directory of YAML files")
    if not directory.is_dir():
        return _about(
            directory, "this is a file; a directory is expected", "name the directory that holds it"
        )
    if not os.access(directory, os.R_OK | os.X_OK):
        return _about(directory, "the directory cannot be read", "give yourself read permission")
    return None


def empty_error(directory: Path) -> Diagnostic:
    """No YAML file, or none with a document in it."""
    return _about(directory, "nothing is declared here", "put a *.yaml file with a kind into it")


def _about(directory: Path, message: str, hint: str) -> Diagnostic:
    return error("directory", f"{directory}: {message}", Position(directory, 0, 0), hint)


def absolute(location: str, declaring: Path) -> str:
    """A path of a declaration, relative to the declaring file; links stay, so that what they name can change."""
    return os.path.abspath(declaring.parent / location)  # noqa: PTH100 - `resolve` would follow links


def as_declared(location: str, declaring: Path) -> str:
    """An absolute path as it reads from the declaring file."""
    return os.path.relpath(location, declaring.absolute().parent)
