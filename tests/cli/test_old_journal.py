"""An unfinished journal that this version cannot read is told by every verb, and nothing is applied over it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.estate import Runtime, write_estate

#: As a version wrote it whose records were about one resource each, and that was killed after a write.
RECORDS = (
    {"record": "planned", "format": "reconciler/journal/v1", "applyId": "20200101T000000000000-aaaaaa"}
    | {"actor": "alice", "planDigest": "d", "changes": [], "owed": []},
    {"record": "write started", "kind": "ImapSettings", "name": "ex01"},
)
TOLD = "left unfinished: what it had begun is not settled"


@pytest.fixture
def journal(applied: Runtime) -> Iterator[Path]:
    path = applied.state / "journal" / "20200101T000000000000-aaaaaa.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    yield path
    path.unlink(missing_ok=True)
    write_estate(applied.directory, applied.ports)


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("verb", ["plan", "status"])
def test_whoever_looks_is_told_and_sees_what_is_live(verb: str, applied: Runtime) -> None:
    arguments = [str(applied.directory)] if verb == "plan" else []
    done = applied.reconcile(verb, *arguments)
    assert TOLD in done.stderr
    assert "20200101T000000000000-aaaaaa.jsonl:2" in done.stderr
    assert "move this file away, and apply again" in done.stderr
    assert done.stdout


def test_nothing_is_applied_until_it_is_settled(journal: Path, applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=33)
    refused = applied.reconcile("apply", "--yes", str(applied.directory), expect=1)
    assert TOLD in refused.stderr
    assert applied.status()["pendingRestarts"] == []
    assert "16 -> 33" in applied.reconcile("plan", str(applied.directory), expect=2).stdout
    journal.unlink()
    applied.reconcile("apply", "--yes", str(applied.directory))


def test_a_rollback_to_what_was_forgotten_says_so(applied: Runtime) -> None:
    with closing(sqlite3.connect(applied.state / "runtime" / "live.sqlite")) as live, live:
        live.execute("INSERT INTO meta VALUES ('forgotten', '999999')")
    try:
        done = applied.reconcile("rollback", "--to", "1", "--dry-run", expect=1)
        assert "is no longer known, only from revision 999999 on" in done.stderr
        assert "choose a later entry of the history" in done.stderr
    finally:
        with closing(sqlite3.connect(applied.state / "runtime" / "live.sqlite")) as live, live:
            live.execute("DELETE FROM meta WHERE key = 'forgotten'")
