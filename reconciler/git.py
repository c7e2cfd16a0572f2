"""How git is run, and in which repository: one that has a `.git` comes before whatever looks like a bare one.

A checkout may carry the files of a bare repository (HEAD, objects, refs, config) in any directory of it, and git, asked
in there, takes that for the repository and runs the commands that its config names. So git is never asked to look for
a repository from a directory whose files somebody else wrote: the search is done here, and git is started where `.git`
is. No hook, pager, file system monitor, prompt or replacement object takes part. A bare repository never speaks to
another one, for objects that it lacks, but where it is told to fetch. Called by `review`, `applying`,
`daemon` and `cli`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePath

_SAFE = ("--no-pager", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
# Since git 2.38; an older one passes over it. Never what is relied upon: it takes effect where `.git` is broken.
_NOT_BARE = ("-c", "safe.bareRepository=explicit")
_QUIET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
# The second for a git that does not know the first, which came with 2.44.
_ALONE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
# What says that another repository is meant, or other files of it: `git rev-parse --local-env-vars` without settings.
_MISLEADING = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


def work_tree(directory: Path) -> Path | None:
    """The nearest directory from this one upwards that holds `.git`, without symbolic links; None when there is none.
    The directory itself need not exist. Raises OSError."""
    there = directory.resolve()
    return next((place for place in (there, *there.parents) if _is_repository(place / ".git")), None)


def repository(directory: Path) -> Path | None:
    """The work tree of the directory; where there is none, the bare repository that it is, or would be in. Raises
    OSError."""
    there = directory.resolve()
    return work_tree(there) or next(filter(_is_bare, (there, *there.parents)), None)


def below(directory: PurePath) -> str:
    """What git shall look at, for a directory relative to the root of the work tree."""
    return f":(top,literal){'' if directory == PurePath() else directory.as_posix()}"


def command(root: Path) -> list[str]:
    """How a command line of git in a repository begins; `root` comes from the functions above."""
    return ["git", *_SAFE, *(_NOT_BARE if _is_repository(root / ".git") else ()), "-C", str(root)]


def environment(root: Path, *, fetches: bool = False) -> Mapping[str, str]:
    """Ours for git in a repository, without what a hook's environment says about another one. Settings that are given
    by it, such as safe.directory, stay."""
    ours = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    is_alone = not fetches and not _is_repository(root / ".git")
    return {**ours, **_QUIET, **(_ALONE if is_alone else {})}


def run(
    root: Path,
    *arguments: str,
    timeout: float | None = None,
    more: Mapping[str, str] | None = None,
    fetches: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """One command in a repository, with `more` in its environment; `fetches`: it may speak to another one. Raises
    FileNotFoundError where git is not installed, TimeoutExpired after `timeout` seconds."""
    return subprocess.run(
        [*command(root), *arguments],
        env={**environment(root, fetches=fetches), **(more or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def _is_repository(git: Path) -> bool:
    """True of a directory that git would take, and of the file that stands for one in linked work trees."""
    return git.is_file() or _is_bare(git)


def _is_bare(place: Path) -> bool:
    """What git takes for its files: all of them, or those of a linked work tree."""
    head = place / "HEAD"
    return (head.is_file() or head.is_symlink()) and (
        (place / "commondir").is_file() or all((place / name).is_dir() for name in ("objects", "refs"))
    )
