"""history.jsonl: one line an apply, appended and never changed. Who, when, which plan, which commit, what became of it.

Written by the verb or the daemon that applied, and by recovery for an apply that was killed. It holds no spec and no
secret. A machine may read it as JSON lines; unknown keys are to be ignored. Entries are numbered from 1 by their line.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from reconciler import git
from reconciler.applying.journal import JournalState
from reconciler.expected import ExpectedError
from reconciler.model import Report
from reconciler.state import append_private

FORMAT = "reconciler/history/v1"
#: Bytes at the end of the history that are searched for an apply that may have been written down already.
SEARCHED_TAIL = 1 << 20
#: Seconds after which an apply goes on without what git says.
GIT_TIMEOUT = 10


class HistoryError(ExpectedError):
    """The history does not hold what was asked for; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who applies, and from which commit."""

    user: str
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line as it was written, and its number."""

    number: int
    values: Mapping[str, Any]

    @property
    def apply_id(self) -> str:
        """Which apply it tells of."""
        return str(self.values["applyId"])

    @property
    def outcome(self) -> str:
        """ "applied", "rolled back" or "unfinished"."""
        return str(self.values.get("outcome") or ("applied" if self.values["success"] else "rolled back"))

    @property
    def environment(self) -> str | None:
        """Which environment's files it made live; None for files without one, and where it is not known."""
        found: str | None = (self.values.get("origin") or {}).get("environment")
        return found

    @property
    def epoch(self) -> int | None:
        """The live revision at its end; None when it is not known."""
        found: int | None = self.values.get("epoch")
        return found


@dataclass(frozen=True, slots=True)
class FailedConfiguration:
    """A configuration that was tried and rolled back for its own fault: a rejected value, a service that does not start
    with it, a probe that fails."""

    digest: str
    error: str
    time: str
    number: int


def entry_of(
    report: Report, *, author: Author, state: JournalState, record: str | None, epoch: int | None
) -> dict[str, JsonValue]:
    """What the history keeps of an apply that ended with this journal record (None: it is unfinished)."""
    actions = {str(change.key): change.action.value for change in state.changes}
    actions |= {owed.service: owed.action.value for owed in state.owed}
    return {
        "format": FORMAT,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "applyId": report.apply_id,
        "finished": record is not None,
        "outcome": {"committed": "applied", "rolled back": "rolled back"}.get(record or "", "unfinished"),
        "user": author.user,
        "commit": author.commit,
        "plan": state.plan_digest,
        "configuration": state.configuration_digest,
        "blamesConfiguration": state.blames_configuration,
        **({"origin": dict(state.origin)} if state.origin else {}),
        "epoch": epoch,
        "success": report.is_success,
        "error": report.error,
        "counts": dict(Counter(step.outcome.value for step in report.steps)),
        "steps": [
            {
                "subject": step.subject,
                "action": actions.get(step.subject),
                "outcome": step.outcome.value,
                "detail": step.detail,
            }
            for step in report.steps
        ],
    }


def append(path: Path, entry: Mapping[str, JsonValue]) -> None:
    """Add the entry, unless the finished apply is there: a kill before the journal's last record repeats the call.

    An apply that could not be rolled back is added unfinished, and again when a later run has finished it.
    """
    if _holds(path, str(entry["applyId"])):
        return
    line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    with append_private(path) as file:
        if file.tell() and not _ends_with_newline(path):
            file.write(b"\n")
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def entries(path: Path) -> Iterator[Entry]:
    """All entries, oldest first. A line that a full disk has torn is left out, and keeps its number."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if (found := _entry(number, line)) is not None:
                yield found


def _entry(number: int, line: bytes) -> Entry | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return Entry(number, values) if isinstance(values, dict) and values.get("format") == FORMAT else None


def last_of_files(path: Path, *, at: int | None = None) -> Entry | None:
    """The newest apply of an estate's files whose values are live, or were after the entry `at`; a roll back leads to
    the one that it went back to. None when there is none. Reads no further back than it has to."""
    lines = path.read_bytes().split(b"\n")[:at] if path.exists() else []
    newest = len(lines)
    for number in range(len(lines), 0, -1):
        found = _entry(number, lines[number - 1]) if number <= newest else None
        if found is None or found.outcome != "applied":
            continue
        origin = found.values.get("origin") or {}
        if "estate" in origin or "repository" in origin:
            return found
        newest = origin.get("rollbackTo", newest)
    return None


def entry(path: Path, number: int) -> Entry:
    """One entry. Raises HistoryError when there is none of that number."""
    last = 0
    for found in entries(path):
        if found.number == number:
            return found
        last = found.number
    there = f"the last one is {last}" if last else "the history is empty"
    raise HistoryError(f"the history has no entry {number}; {there}")


def failed_configuration(path: Path, digest: str) -> FailedConfiguration | None:
    """How the configuration of this digest failed when it was tried last, if that was its own fault; it will fail again
    as it is. None when it was never tried, has succeeded, or failed for another reason, such as somebody else's write
    or a runtime that went away. The daemon asks before it applies."""
    newest = None
    for found in entries(path):
        if found.values.get("configuration") == digest and found.outcome != "unfinished":
            newest = found
    if newest is None or newest.outcome != "rolled back" or not newest.values.get("blamesConfiguration"):
        return None
    values = newest.values
    return FailedConfiguration(digest, str(values["error"]), str(values["time"]), newest.number)


def git_commit(directory: Path) -> str | None:
    """The commit that `directory` is checked out at, "+" added when files differ from it; None outside of git, or where
    git cannot say: it is not needed to apply."""
    try:
        root = git.work_tree(directory)
        head = _git(root, "rev-parse", "HEAD") if root is not None else None
        if root is None or not head:
            return None
        below = git.below(directory.resolve().relative_to(root))
        return head + ("+" if _git(root, "status", "--porcelain", "--", below) else "")
    except (OSError, subprocess.TimeoutExpired):
        return None


def _holds(path: Path, apply_id: str) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - SEARCHED_TAIL))
        return f'"applyId": "{apply_id}", "finished": true'.encode() in file.read()


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _git(root: Path, *arguments: str) -> str | None:
    done = git.run(root, *arguments, timeout=GIT_TIMEOUT)
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else None
