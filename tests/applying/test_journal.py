"""The journal survives a kill in the middle of a line, and says when it was damaged otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.applying.journal import (
    KEPT_JOURNALS,
    Journal,
    JournalError,
    JournalState,
    OwedAction,
    PlannedChange,
    key_json,
    prune,
    unfinished,
)
from reconciler.model import Action, Key, ServiceAction

_write = os.write
IMAP = Key("ImapSettings", "ex01")


def begun(directory: Path, apply_id: str = "a1") -> Journal:
    planned = JournalState(
        apply_id=apply_id,
        actor="alice",
        plan_digest="d",
        changes=(PlannedChange(IMAP, Action.UPDATE, 3),),
        owed=(OwedAction("ex01/imap4", ServiceAction.RESTART),),
    )
    return Journal.begin(directory, planned)


def test_what_was_planned_is_read_back(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    assert Journal.load(journal.path).state == journal.state


def test_a_written_change_is_read_back_with_its_revision(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.record("written", changes=[{**key_json(IMAP), "revision": 4}])
    assert Journal.load(journal.path).state.written == {IMAP: 4}


def test_a_record_that_finds_no_room_is_not_there_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begun(tmp_path)
    before = journal.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, line: _write(descriptor, line[:20]))
        with pytest.raises(JournalError, match=r"cannot be written \(No space left on device\)"):
            journal.record("service done", service="ex01/imap4")
    assert journal.path.read_bytes() == before
    assert not journal.state.served


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    with journal.path.open("ab") as file:
        file.write(b'{"record": "writ')
    loaded = Journal.load(journal.path)
    loaded.record("written", changes=[{**key_json(IMAP), "revision": 4}])
    assert Journal.load(journal.path).state.written == {IMAP: 4}


#: As journals were written when each record was about one resource.
FORMER = (
    b'{"record": "planned", "format": "reconciler/journal/v1", "applyId": "a0", "actor": "alice", "planDigest": "d", '
    b'"changes": [{"kind": "ImapSettings", "name": "ex01", "action": "~", "previous": 3}], "owed": []}\n'
    b'{"record": "write started", "kind": "ImapSettings", "name": "ex01"}\n'
)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            FORMER,
            r"a0\.jsonl:2 is not a record of an apply that this version can read \(KeyError\('changes'\)\)",
        ),
        (FORMER.replace(b"journal/v1", b"journal/v7"), r"a0\.jsonl:1 .*its format is reconciler/journal/v7"),
        (b'{"record": "written", "changes": []}\n', r"a0\.jsonl:1 .*does not say what was planned"),
        (b'{"record": "planned"}\n', r"a0\.jsonl:1 .* left unfinished.* move this file away"),
        (b'{"record": "teleported"}\n', r"a0\.jsonl:1 "),
        (b"[]\n", r"a0\.jsonl:1 "),
    ],
)
def test_one_that_cannot_be_read_is_never_passed_over(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "a0.jsonl").write_bytes(content)
    begun(tmp_path).record("committed")
    with pytest.raises(JournalError, match=why):
        unfinished(tmp_path)


def test_one_of_a_former_format_that_was_finished_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a0.jsonl").write_bytes(FORMER + b'{"record": "committed", "time": "2020-01-01T00:00:00Z"}\n')
    assert unfinished(tmp_path) == ()


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    with journal.path.open("ab") as file:
        file.write(b"rubbish\n")
    with pytest.raises(JournalError, match=r"a1\.jsonl:2 is not a record of an apply"):
        Journal.load(journal.path)


def test_a_journal_that_was_killed_before_its_first_record_owes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a1.jsonl").write_bytes(b'{"record": "plan')
    assert unfinished(tmp_path) == ()


@pytest.mark.parametrize("ending", ["committed", "rolled back"])
def test_an_ended_journal_is_finished(ending: str, tmp_path: Path) -> None:
    begun(tmp_path).record(ending)
    assert unfinished(tmp_path) == ()


def test_unfinished_journals_come_oldest_first(tmp_path: Path) -> None:
    begun(tmp_path, "b")
    begun(tmp_path, "a")
    assert [journal.state.apply_id for journal in unfinished(tmp_path)] == ["a", "b"]


def test_no_journal_directory_means_nothing_is_unfinished(tmp_path: Path) -> None:
    assert unfinished(tmp_path / "journal") == ()


def test_old_finished_journals_are_removed_and_unfinished_ones_stay(tmp_path: Path) -> None:
    begun(tmp_path, "000-unfinished")
    for number in range(KEPT_JOURNALS + 1):
        (tmp_path / f"{number:04}.jsonl").write_text('{"record": "committed"}\n')
    prune(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left[:2] == ["000-unfinished.jsonl", "0001.jsonl"]
