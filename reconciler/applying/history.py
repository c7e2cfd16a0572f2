"""history.jsonl: one line an apply, appended and never changed. Who, when, which plan, which commit, what became of it.

Written by the verb or the daemon that applied, and by recovery for an apply that was killed. It holds no spec and no
secret. A machine may read it as JSON lines; unknown keys are to be ignored.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from reconciler.model import Report

FORMAT = "reconciler/history/v1"
#: Bytes at the end of the history that are searched for an apply that may have been written down already.
SEARCHED_TAIL = 1 << 20


@dataclass(frozen=True, slots=True)
class Author:
    """Who applies, and from which commit."""

    user: str
    commit: str | None = None


def append(path: Path, report: Report, *, author: Author, plan_digest: str, is_finished: bool) -> None:
    """Add the report, unless the finished apply is there: a kill before the journal's last record repeats the call.

    An apply that could not be rolled back is added unfinished, and again when a later run has finished it.
    """
    if _holds(path, report.apply_id):
        return
    entry = _entry(report, author, plan_digest=plan_digest, is_finished=is_finished)
    line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    with path.open("ab") as file:
        if file.tell() and not _ends_with_newline(path):
            file.write(b"\n")
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def git_commit(directory: Path) -> str | None:
    """The commit that `directory` is checked out at, "+" added when files differ from it; None outside of git."""
    head = _git(directory, "rev-parse", "HEAD")
    if not head:
        return None
    return head + ("+" if _git(directory, "status", "--porcelain", "--", ".") else "")


def _entry(report: Report, author: Author, *, plan_digest: str, is_finished: bool) -> dict[str, JsonValue]:
    counts = Counter(step.outcome.value for step in report.steps)
    return {
        "format": FORMAT,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "applyId": report.apply_id,
        "finished": is_finished,
        "user": author.user,
        "commit": author.commit,
        "plan": plan_digest,
        "success": report.is_success,
        "error": report.error,
        "counts": dict(counts),
        "steps": [
            {"subject": step.subject, "outcome": step.outcome.value, "detail": step.detail}
            for step in report.steps
        ],
    }


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


def _git(directory: Path, *arguments: str) -> str | None:
    """What git says, or None: git is not needed to apply."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
