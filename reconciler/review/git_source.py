"""One directory of one commit, as a `Source`: `declared.load` reads it exactly as it reads a directory on disk.

Links are followed as far as they stay in the commit. What git only points at (a link out of the repository, a file in
Git LFS or under git-crypt) cannot be read and is said to be so; a submodule is left out with a warning. Secrets are not
looked for, since nobody should commit them; nothing here reads one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from reconciler.declared.files import MAX_FILE_SIZE
from reconciler.declared.syntax import error
from reconciler.model import Desired, Diagnostic, Key, Position, Severity
from reconciler.review.git import Blobs, Entry, GitError, Mode, Repository, Tree
from schemas.v1.certificate import Certificate

_SUFFIXES = (".yaml", ".yml")
_LISTED = 3
_MAX_LINKS = 40  # as Linux follows at most
_STAND_INS = {
    b"version https://git-lfs.github.com/spec/": "Git LFS keeps it elsewhere; take declarations out of LFS",
    b"\0GITCRYPT\0": "git-crypt keeps it encrypted; declare secrets by reference and keep the file in clear",
}


class GitSource:
    """`directory` is the path in the tree; `root` is where a checkout has it, so both revisions mean the same files."""

    holds_secrets = False

    def __init__(
        self, repository: Repository, *, tree: Tree, directory: PurePosixPath, blobs: Blobs, name: str
    ) -> None:
        self.root = repository.root / directory
        self._top = repository.root
        self._tree = tree
        self._blobs = blobs
        self._name = name
        self._below = _children(tree)

    def problem(self) -> Diagnostic | None:
        """The directory is not in this revision."""
        if self._is_directory(self._inside(self.root)):
            return None
        message = f"{self._shown(self.root)}: there is no such directory in {self._name}"
        return error("directory", message, Position(self.root, 0, 0), "name a directory of YAML files")

    def yaml_files(self, below: Path) -> Sequence[Path]:
        """Sorted by their text relative to `below`; a link that cannot be followed counts, so that reading it tells."""
        start = self._follow(self._inside(below))
        found = [name for name in self._walk(start) if name.name.endswith(_SUFFIXES) and self._counts(name)]
        self._blobs.prefetch((self._tree[name].object_id for name in found), limit=MAX_FILE_SIZE)
        return [below / name for name in sorted(str(name.relative_to(start)) for name in found)]

    def directories(self, below: Path) -> Sequence[str]:
        """The names of the directories in this one."""
        if not self._is_directory(self._inside(below)):
            return ()
        start = self._follow(self._inside(below))
        names = self._below.get(start, ())
        return sorted(name for name in names if name[0] != "." and self._is_directory(start / name))

    def read(self, path: Path) -> bytes:
        """The content of a file in this revision. Raises OSError when git does not have it."""
        return self._content(self._follow(self._inside(path)))

    def exists(self, path: Path) -> bool:
        """True when `read` would find it."""
        return self.object_id(path) is not None

    def object_id(self, path: Path) -> str | None:
        """Which object the file's content is; None when it is not in this revision."""
        try:
            entry = self._tree.get(self._follow(self._inside(path)))
        except OSError:
            return None
        return entry.object_id if entry is not None and entry.is_file else None

    def submodules(self) -> Iterator[Diagnostic]:
        """A warning for each submodule below the directory: what it declares is not part of this repository."""
        for name in self._walk(self._follow(self._inside(self.root))):
            if self._tree[name].mode == Mode.SUBMODULE:
                message = f"{name}: a submodule's files are in another repository and are not reviewed"
                yield Diagnostic("submodule", Severity.WARNING, message, None, "review that repository too")

    def _inside(self, path: Path) -> PurePosixPath:
        """The path as trees name it; one that leaves the repository names nothing in it."""
        plain = os.path.normpath(path if path.is_absolute() else self._top / path)
        if plain == str(self._top):
            return PurePosixPath()
        return PurePosixPath(plain.removeprefix(f"{self._top}/"))

    def _shown(self, path: Path) -> str:
        return str(self._inside(path))

    def _walk(self, start: PurePosixPath) -> Iterator[PurePosixPath]:
        """Every entry below a directory, those in directories whose names start with a dot left out."""
        pending = [start]
        while pending:
            directory = pending.pop()
            for name in sorted(self._below.get(directory, ())):
                if name[0] != ".":
                    path = directory / name
                    pending += [path] if path in self._below else []
                    if path in self._tree:
                        yield path

    def _is_directory(self, name: PurePosixPath) -> bool:
        try:
            return self._follow(name) in self._below
        except OSError:
            return False

    def _counts(self, name: PurePosixPath) -> bool:
        """As on disk: files, and links to files; and links that lead where nobody can tell what they are."""
        entry = self._tree[name]
        if entry.mode != Mode.LINK:
            return entry.is_file
        try:
            target = self._follow(name)
        except OSError:
            return True
        return target in self._tree and self._tree[target].is_file

    def _follow(self, name: PurePosixPath) -> PurePosixPath:
        """Where the name leads once every link in it is followed. Raises OSError when that is out of the commit."""
        if name in self._below or ((entry := self._tree.get(name)) and entry.mode != Mode.LINK):
            return name  # what git has by this name, it has without a link on the way
        pending, done, links = list(name.parts), PurePosixPath(), 0
        while pending:
            part = pending.pop(0)
            if part.startswith("/") or (part == ".." and done == PurePosixPath()):
                raise OSError("it leads out of the repository, so no revision holds it")
            done = done.parent if part == ".." else done / part
            entry = self._tree.get(done)
            if entry is not None and entry.mode == Mode.LINK:
                if (links := links + 1) > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                pending = [*PurePosixPath(os.fsdecode(self._blob(entry))).parts, *pending]
                done = done.parent
        return done

    def _content(self, name: PurePosixPath) -> bytes:
        entry = self._tree.get(name)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not entry.is_file:
            raise OSError("it is a submodule; its files are in another repository")
        content = self._blob(entry)
        for head, why in _STAND_INS.items():
            if content.startswith(head):
                raise OSError(why)
        return content

    def _blob(self, entry: Entry) -> bytes:
        try:
            content = self._blobs.read(entry.object_id, limit=MAX_FILE_SIZE)
        except GitError as failure:
            raise OSError(str(failure)) from failure
        if content is None:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return content


def secret_marks(desired: Desired, source: GitSource) -> Mapping[Key, Mapping[str, str]]:
    """For each declared secret something that changes when it does, as far as git can tell: the object that its file
    is, or the reference itself. Compared between revisions, never shown."""
    return {
        key: {
            path: _mark(source, reference.source, reference.location)
            for path, reference in resource.secrets.items()
        }
        for key, resource in desired.resources.items()
        if resource.secrets
    }


def _mark(source: GitSource, where: str, location: str) -> str:
    found = source.object_id(Path(location)) if where != "env" else None
    return found or f"{where} {location}"


def _children(names: Iterable[PurePosixPath]) -> Mapping[PurePosixPath, set[str]]:
    """What lies directly in each directory; git keeps no empty ones."""
    found: dict[PurePosixPath, set[str]] = {}
    for name in names:
        path = name
        while path != (parent := path.parent) and path.name not in (
            siblings := found.setdefault(parent, set())
        ):
            siblings.add(path.name)
            path = parent
    return found


def unseen_files(desired: Desired, source: GitSource) -> Iterator[Diagnostic]:
    """One warning for all files that are named and not in the repository: how they change, no review can tell."""
    named: dict[str, Position] = {}
    for resource in desired.resources.values():
        for path, reference in resource.secrets.items():
            if reference.source != "env":
                named.setdefault(reference.location, resource.position(path))
        if isinstance(resource.spec, Certificate) and resource.spec.certificate_file is not None:
            named.setdefault(resource.spec.certificate_file, resource.position("certificateFile"))
    unseen = sorted(file for file in named if not source.exists(Path(file)))
    if unseen:
        shown = ", ".join(unseen[:_LISTED]) + (
            f" and {len(unseen) - _LISTED:,} more" if len(unseen) > _LISTED else ""
        )
        message = f"not in the repository, so changes of their content are not seen here: {shown}"
        yield Diagnostic("not-in-repository", Severity.WARNING, message, named[unseen[0]])
