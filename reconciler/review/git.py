"""Reads a git repository's objects by asking `git` itself, as `reconciler.git` runs it; never writes.

A revision that a caller names is checked and turned into an object id first; everything after that is asked by object
id, and file names only ever come out of git. The index and the work tree are looked at by `has_uncommitted` alone: a
filter that the repository's own configuration, or the user's, gives to a file may run there, and no other program.
Called by `git_source`, `review` and the daemon.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Self

from reconciler import git

_BATCH = (
    200  # questions of 65 bytes at most: fewer than a pipe holds, so git and we cannot wait for each other
)
_HEX = frozenset(b"0123456789abcdef")


class GitError(Exception):
    """Git cannot answer; the text says what was asked for and how to go on."""


class Mode(StrEnum):
    """What an entry of a tree is, by git's file mode."""

    FILE = "100644"
    EXECUTABLE = "100755"
    LINK = "120000"
    SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of a tree: what it is, and the object that it holds."""

    mode: str
    object_id: str

    @property
    def is_file(self) -> bool:
        """True for what holds text of its own."""
        return self.mode in (Mode.FILE, Mode.EXECUTABLE)


Tree = Mapping[PurePosixPath, Entry]


@dataclass(frozen=True)
class Repository:
    """One repository, with or without a work tree. `root` is the work tree, or the bare repository itself, without
    symbolic links."""

    root: Path

    @classmethod
    def holding(cls, directory: Path) -> Self:
        """The repository that `directory` belongs to; the directory itself may exist in other revisions only.

        A bare repository counts where there is no work tree around it: in one, its files may be anybody's. Raises
        GitError.
        """
        try:
            root = git.repository(directory)
        except OSError as error:
            raise GitError(f"{directory} cannot be looked at: {error.strerror}") from None
        except RuntimeError:
            raise GitError(f"{directory} cannot be looked at: its links lead in a circle") from None
        if root is None:
            raise GitError(f"{directory} is in no git repository")
        found = ask(root, "rev-parse", "--git-dir")
        if found.returncode:
            raise GitError(
                f"{directory} is in no git repository that can be read: {_complaint(found.stderr)}"
            )
        return cls(root)

    def prefix(self, directory: Path) -> PurePosixPath:
        """The directory as trees name it; "." for the root. Raises GitError."""
        for path in (directory.absolute(), directory.resolve()):
            plain = Path(os.path.normpath(path))
            if plain.is_relative_to(self.root):
                return PurePosixPath(plain.relative_to(self.root).as_posix())
        raise GitError(f"{directory} is not in the repository {self.root}")

    def commit(self, revision: str) -> str:
        """The object id of the commit that a revision names. Raises GitError."""
        if not revision or revision.startswith("-") or not revision.isprintable():
            raise GitError(f"{revision!r} names no revision; give a branch, a tag or a commit")
        name = f"{revision}^{{commit}}"
        found = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        object_id = found.stdout.decode("ascii", errors="replace").strip()
        if found.returncode or not _is_object_id(object_id):
            raise GitError(f"there is no revision {revision} in {self.root}; fetch it, or name another")
        return object_id

    def merge_base(self, base: str, head: str) -> str:
        """The commit where `head` left `base`, both by object id; git's best one where there are several.

        Raises GitError when their histories never meet, which a shallow clone may only seem to say.
        """
        found = self._run("merge-base", base, head)
        object_id = found.stdout.decode("ascii", errors="replace").strip()
        if not _is_object_id(object_id):
            how = (
                "fetch the whole history (`git fetch --unshallow`)"
                if self.is_shallow
                else "name another base"
            )
            raise GitError(f"{base[:12]} and {head[:12]} have no commit in common; {how}")
        return object_id

    def tree(self, commit: str) -> Tree:
        """Every file, link and submodule of a commit by its name. Raises GitError."""
        found = self._run("ls-tree", "-r", "-z", "--full-tree", commit)
        if found.returncode:
            raise GitError(f"the files of {commit[:12]} cannot be listed: {_complaint(found.stderr)}")
        rows = (row.partition(b"\t") for row in found.stdout.split(b"\0") if row)
        return {PurePosixPath(os.fsdecode(name)): _entry(head) for head, _, name in rows}

    def has_uncommitted(self, prefix: PurePosixPath) -> bool:
        """True when a file of the work tree below the directory is not what HEAD has; hidden ones are left out, and a
        bare repository has none."""
        if git.work_tree(self.root) is None:
            return False  # whatever the configuration of a bare one says of a work tree
        hidden = (":(exclude,glob)**/.*", ":(exclude,glob)**/.*/**")
        return bool(self._run("status", "--porcelain", "--", git.below(prefix), *hidden).stdout)

    @cached_property
    def is_shallow(self) -> bool:
        """True of a clone that does not hold all commits."""
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return ask(self.root, *arguments)


class Blobs:
    """The contents of objects, by one `git cat-file` that stays open; a context manager."""

    def __init__(self, repository: Repository) -> None:
        self._process = subprocess.Popen(
            [*git.command(repository.root), "cat-file", "--batch"],
            env=git.environment(repository.root),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._known: dict[str, bytes | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.__exit__(kind, error, trace)

    def prefetch(self, object_ids: Iterable[str], *, limit: int) -> None:
        """Ask for many at once, so that reading each costs no wait for git; what cannot be read is told by `read`."""
        wanted = [object_id for object_id in dict.fromkeys(object_ids) if object_id not in self._known]
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            self._ask("".join(f"{object_id}\n" for object_id in batch))
            for object_id in batch:
                with suppress(GitError):
                    self._known[object_id] = self._answer(object_id, limit)

    def read(self, object_id: str, *, limit: int) -> bytes | None:
        """The bytes of a blob; None when there are more than `limit`. Raises GitError when it is not there."""
        if object_id in self._known:
            return self._known[object_id]
        self._ask(f"{object_id}\n")
        return self._answer(object_id, limit)

    def _ask(self, question: str) -> None:
        stream = _pipe(self._process.stdin)
        stream.write(question.encode("ascii"))
        stream.flush()

    def _answer(self, object_id: str, limit: int) -> bytes | None:
        answers = _pipe(self._process.stdout)
        head = answers.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise GitError(
                f"object {object_id[:12]} cannot be read; the clone may be partial: fetch it whole"
            )
        size = int(head[2])
        content = answers.read(size) if size <= limit else None
        _discard(answers, 1 if content is not None else size + 1)
        return content


def _discard(stream: IO[bytes], size: int) -> None:
    while size > 0 and (read := len(stream.read(min(size, 1 << 20)))):
        size -= read


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise GitError("git was started without pipes")
    return stream


def _entry(head: bytes) -> Entry:
    mode, _, object_id = head.decode("ascii").split(" ")
    return Entry(mode, object_id)


def _is_object_id(text: str) -> bool:
    return len(text) in (40, 64) and set(text.encode()) <= _HEX


def ask(
    root: Path,
    *arguments: str,
    timeout: float | None = None,
    more: Mapping[str, str] | None = None,
    fetches: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """`git.run`, with GitError where git is not installed."""
    try:
        return git.run(root, *arguments, timeout=timeout, more=more, fetches=fetches)
    except FileNotFoundError:
        raise GitError("git is not installed, or not on the PATH; install it") from None


def _complaint(stderr: bytes) -> str:
    lines = os.fsdecode(stderr).strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else "git did not say why"
