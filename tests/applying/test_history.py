"""The history grows by whole lines."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from reconciler.applying.history import (
    Author,
    HistoryError,
    append,
    entries,
    entry,
    entry_of,
    failed_configuration,
    git_commit,
    last_of_files,
)
from reconciler.applying.journal import JournalState, PlannedChange
from reconciler.model import Action, Key, Outcome, Report, StepResult

REPORT = Report("a1", (StepResult("ImapSettings/ex01", Outcome.APPLIED),))
PLANNED = JournalState(
    apply_id="a1",
    plan_digest="d",
    configuration_digest="c",
    changes=(PlannedChange(Key("ImapSettings", "ex01"), Action.UPDATE, 3),),
)


def write(
    path: Path,
    report: Report = REPORT,
    *,
    record: str | None = "committed",
    state: JournalState = PLANNED,
    epoch: int = 7,
) -> None:
    author = Author("alice", "c0ffee")
    append(path, entry_of(report, author=author, state=state, record=record, epoch=epoch))


def rolled_back(apply_id: str, *, blames: bool) -> tuple[Report, JournalState]:
    report = Report(apply_id, (StepResult("ImapSettings/ex01", Outcome.FAILED, "no"),), error="no")
    return report, replace(PLANNED, blames_configuration=blames)


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
    write(tmp_path / "history.jsonl", record=None)
    write(tmp_path / "history.jsonl")
    assert [line["finished"] for line in lines(tmp_path / "history.jsonl")] == [False, True]


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('{"torn')
    write(tmp_path / "history.jsonl")
    assert json.loads((tmp_path / "history.jsonl").read_text().splitlines()[-1])["applyId"] == "a1"


def test_entries_are_numbered_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"torn\n')
    write(path)
    (found,) = entries(path)
    assert (found.number, found.apply_id, found.outcome, found.epoch) == (2, "a1", "applied", 7)


def test_an_entry_that_is_not_there_is_told_with_the_last_one(tmp_path: Path) -> None:
    write(tmp_path / "history.jsonl")
    with pytest.raises(HistoryError, match="no entry 9; the last one is 1"):
        entry(tmp_path / "history.jsonl", 9)


def test_a_history_that_was_never_written_is_empty(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="the history is empty"):
        entry(tmp_path / "history.jsonl", 1)


def test_a_step_says_what_was_to_be_done(tmp_path: Path) -> None:
    write(tmp_path / "history.jsonl")
    (line,) = lines(tmp_path / "history.jsonl")
    assert line["steps"] == [
        {"subject": "ImapSettings/ex01", "action": "~", "outcome": "applied", "detail": ""}
    ]


def test_a_configuration_that_was_rolled_back_for_its_own_fault_is_known(tmp_path: Path) -> None:
    report, state = rolled_back("a1", blames=True)
    write(tmp_path / "history.jsonl", report, record="rolled back", state=state)
    found = failed_configuration(tmp_path / "history.jsonl", "c")
    assert found
    assert (found.digest, found.error, found.number) == ("c", "no", 1)


def test_a_roll_back_for_another_reason_does_not_blame_the_configuration(tmp_path: Path) -> None:
    report, state = rolled_back("a1", blames=False)
    write(tmp_path / "history.jsonl", report, record="rolled back", state=state)
    assert failed_configuration(tmp_path / "history.jsonl", "c") is None


def test_a_later_success_clears_a_failed_configuration(tmp_path: Path) -> None:
    report, state = rolled_back("a1", blames=True)
    write(tmp_path / "history.jsonl", report, record="rolled back", state=state)
    write(tmp_path / "history.jsonl", Report("a2", ()))
    assert failed_configuration(tmp_path / "history.jsonl", "c") is None


def test_another_configuration_says_nothing_of_this_one(tmp_path: Path) -> None:
    report, state = rolled_back("a1", blames=True)
    write(tmp_path / "history.jsonl", report, record="rolled back", state=state)
    other = replace(PLANNED, configuration_digest="other")
    write(tmp_path / "history.jsonl", Report("a2", ()), state=other)
    assert failed_configuration(tmp_path / "history.jsonl", "other") is None
    assert failed_configuration(tmp_path / "history.jsonl", "c")


COMMIT = ("commit", "-q", "--allow-empty", "-m")


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


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GIT_DIR", "two/.git"),
        ("GIT_COMMON_DIR", "two/.git"),
        ("GIT_OBJECT_DIRECTORY", "nowhere"),
        ("GIT_LITERAL_PATHSPECS", "1"),
    ],
)
def test_the_environment_of_a_hook_does_not_name_another_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    name = ("-c", "user.name=alice", "-c", "user.email=alice@contoso.example")
    for directory in (tmp_path / "one", tmp_path / "two"):
        for command in (
            ("init", "-q", str(directory)),
            ("-C", str(directory), *name, *COMMIT, directory.name),
        ):
            subprocess.run(["git", *command], check=True, capture_output=True)
    (tmp_path / "one" / "new.yaml").touch()
    commit = git_commit(tmp_path / "one")
    monkeypatch.setenv(variable, value.replace("two", str(tmp_path / "two")))
    assert commit is not None
    assert commit.endswith("+")
    assert git_commit(tmp_path / "one") == commit


# Whose files are live


def apply_of(path: Path, apply_id: str, *, record: str = "committed", **origin: JsonValue) -> None:
    state = replace(PLANNED, apply_id=apply_id, origin=origin)
    write(path, Report(apply_id, REPORT.steps), record=record, state=state)


def number_of_last(path: Path) -> int | None:
    found = last_of_files(path)
    return found.number if found else None


def test_without_a_history_nobodys_files_are_live(tmp_path: Path) -> None:
    assert last_of_files(tmp_path / "history.jsonl") is None


def test_the_newest_apply_that_was_not_taken_back_says_whose_files_are_live(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    apply_of(history, "a1", estate="/srv/a", environment="production")
    apply_of(history, "a2", estate="/srv/a", environment="staging", record="rolled back")
    found = last_of_files(history)
    assert found is not None
    assert (found.number, found.environment) == (1, "production")


def test_a_roll_back_leads_to_the_files_of_the_entry_that_it_goes_to(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    apply_of(history, "a1", repository="/srv/clone", ref="main", directory="estate")
    apply_of(history, "a2", estate="/srv/a")
    apply_of(history, "a3", rollbackTo=1)
    assert number_of_last(history) == 1
    apply_of(history, "a4", estate="/srv/a")
    apply_of(history, "a5", rollbackTo=3)
    assert number_of_last(history) == 1
    apply_of(history, "a6", rollbackTo=4)
    assert number_of_last(history) == 4


def test_a_torn_line_hides_no_other(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    apply_of(history, "a1", estate="/srv/a")
    with history.open("a") as file:
        file.write('{"format": "recon')
    assert number_of_last(history) == 1
