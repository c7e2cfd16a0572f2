"""How git is run, and in which repository: one that has a `.git` comes before whatever looks like a bare one.

A checkout may carry the files of a bare repository (HEAD, objects, refs, config) in any directory of it, and git, asked
in there, takes that for the repository and runs the commands that its config names. So git is never asked to look for
a repository from a directory whose files somebody else wrote: the search is done here, and git is started where `.git`
is. No hook, pager, file system monitor, prompt or replacement object takes part. Called by `review`, `applying`,
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
_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_MISLEADING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
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


def environment() -> Mapping[str, str]:
    """Ours, without what a hook's environment says about another repository. Settings that are given by it, such as
    safe.directory, stay."""
    return {**{name: value for name, value in os.environ.items() if name not in _MISLEADING}, **_QUIET}


def run(
    root: Path, *arguments: str, timeout: float | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """One command in a repository, with `more` in its environment. Raises FileNotFoundError where git is not installed,
    TimeoutExpired after `timeout` seconds."""
    return subprocess.run(
        [*command(root), *arguments],
        env={**environment(), **(more or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def _is_repository(git: Path) -> bool:
    """True of a directory that git would take, and of the file that stands for one in linked work trees."""
    return git.is_file() or _is_bare(git)


def _is_bare(place: Path) -> bool:
    head = place / "HEAD"
    return (head.is_file() or head.is_symlink()) and all(
        (place / name).is_dir() for name in ("objects", "refs")
    )
