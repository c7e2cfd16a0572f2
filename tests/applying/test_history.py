"""The history grows by whole lines."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from reconciler.applying.history import Author, append, git_commit
from reconciler.model import Outcome, Report, StepResult

REPORT = Report("a1", (StepResult("ImapSettings/ex01", Outcome.APPLIED),))


def write(path: Path, report: Report = REPORT, *, is_finished: bool = True) -> None:
    append(path, report, author=Author("alice", "c0ffee"), plan_digest="d", is_finished=is_finished)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_who_what_and_from_which_commit(tmp_path: Path) -> None:
    write(tmp_path / "history.jsonl")
    (line,) = lines(tmp_path / "history.jsonl")
    assert (line["user"], line["commit"], line["plan"], line["counts"]) == (
        "alice",
        "c0ffee",
        "d",
        {"applied": 1},
    )


def test_a_finished_apply_is_told_once(tmp_path: Path) -> None:
    write(tmp_path / "history.jsonl")
    write(tmp_path / "history.jsonl")
    assert len(lines(tmp_path / "history.jsonl")) == 1


def test_an_unfinished_apply_is_told_again_when_it_is_finished(tmp_path: Path) -> None:
    write(tmp_path / "history.jsonl", is_finished=False)
    write(tmp_path / "history.jsonl")
    assert [line["finished"] for line in lines(tmp_path / "history.jsonl")] == [False, True]


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('{"torn')
    write(tmp_path / "history.jsonl")
    assert json.loads((tmp_path / "history.jsonl").read_text().splitlines()[-1])["applyId"] == "a1"


def test_a_directory_outside_of_git_has_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None


def test_a_commit_with_changes_is_marked(tmp_path: Path) -> None:
    name = ("-c", "user.name=alice", "-c", "user.email=alice@contoso.example")
    for command in (("init", "-q"), (*name, "commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    clean = git_commit(tmp_path)
    (tmp_path / "new.yaml").write_text("")
    assert clean
    assert git_commit(tmp_path) == f"{clean}+"
