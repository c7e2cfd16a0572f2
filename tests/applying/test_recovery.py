"""An apply that is killed after any record of its journal is finished or rolled back by the next run.

Here the kill is an exception that nothing catches, on a target in memory; `tests/cli/test_kill_apply.py` does it with
SIGKILL on real processes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from reconciler.applying import batches
from reconciler.applying.history import entries
from reconciler.applying.journal import Journal, unfinished
from reconciler.applying.retry import ATTEMPTS
from tests.applying.builders import IMAP, POP, Bench, estate, imap, lost, outcomes, pop

RECORDS = 11  # planned, two writes of two records, two services of two, verified, committed
RECORDS_OF_A_BATCH = 9  # the same with both writes in one request


NO_POP = {"pop3": "Manual"}


class KilledError(BaseException):
    """Nothing in the program catches it."""


def kill_after(records: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original, count = Journal.record, 0

    def record(self: Journal, record: str, **fields: JsonValue) -> None:
        nonlocal count
        original(self, record, **fields)
        count += 1
        if count == records:
            raise KilledError

    monkeypatch.setattr(Journal, "record", record)


def killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, records: int, failing: list[str] | None = None
) -> None:
    """Apply 32 and 32 in place of 16 and 16, and be killed after so many records."""
    bench.applied(estate(startup=NO_POP))
    bench.probes.failing = failing or []
    with monkeypatch.context() as patch:
        kill_after(records, patch)
        with pytest.raises(KilledError):
            bench.apply(estate(imap=32, pop=32, startup=NO_POP))


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write in a request of its own, so that there are kills between two."""
    monkeypatch.setattr(batches, "MOST", 1)


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST", 100)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("records", range(1, RECORDS))
def test_the_next_run_ends_in_the_declared_or_the_previous_state(
    records: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(bench, monkeypatch, records=records)
    bench.recover()
    limits = (bench.limit(IMAP), bench.limit(POP))
    assert limits == ((16, 16) if records < 5 else (32, 32))
    assert bench.pending() == {}
    assert unfinished(bench.applier.state.journals) == ()


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("records", range(1, RECORDS_OF_A_BATCH))
def test_a_batch_is_finished_or_rolled_back_as_a_whole(
    records: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(bench, monkeypatch, records=records)
    bench.recover()
    limits = (bench.limit(IMAP), bench.limit(POP))
    assert limits == ((16, 16) if records < 3 else (32, 32))
    assert bench.pending() == {}
    assert unfinished(bench.applier.state.journals) == ()


@pytest.mark.usefixtures("together")
def test_a_batch_of_which_one_write_landed_is_rolled_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(bench, monkeypatch, records=2)
    (journal,) = unfinished(bench.applier.state.journals)
    bench.set_by_hand(IMAP, imap(32), who="alice", apply_id=journal.state.apply_id)
    (report,) = bench.recover()
    assert (bench.limit(IMAP), bench.limit(POP)) == (16, 16)
    assert outcomes(report)["ImapSettings/ex01"] == "rolled back"


@pytest.mark.usefixtures("together")
def test_a_batch_that_landed_without_its_record_is_finished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(bench, monkeypatch, records=2)
    (journal,) = unfinished(bench.applier.state.journals)
    for key, spec in ((IMAP, imap(32)), (POP, pop(32))):
        bench.set_by_hand(key, spec, who="alice", apply_id=journal.state.apply_id)
    (report,) = bench.recover()
    assert report.is_success
    assert (bench.limit(IMAP), bench.limit(POP)) == (32, 32)
    assert bench.pending() == {}


@pytest.mark.parametrize("records", range(5, RECORDS))
def test_the_owed_restart_happens(records: int, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(bench, monkeypatch, records=records)
    bench.recover()
    assert set(bench.target.converged) == {"ex01/imap4-backend", "ex01/imap4"}


@pytest.mark.parametrize("records", range(10, 13))
def test_a_roll_back_that_was_killed_is_rolled_back(
    records: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nine records until the probe fails; then: rolling back, restored, restored, rolled back.
    killed(bench, monkeypatch, records=records, failing=["ex01/imap4"])
    bench.recover()
    assert (bench.limit(IMAP), bench.limit(POP)) == (16, 16)
    assert bench.pending() == {}


def test_a_finished_apply_is_left_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(bench, monkeypatch, records=RECORDS)
    assert bench.recover() == ()


def test_a_recovery_that_is_killed_is_recovered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(bench, monkeypatch, records=3)
    with monkeypatch.context() as patch:
        kill_after(2, patch)
        with pytest.raises(KilledError):
            bench.recover()
    bench.recover()
    assert (bench.limit(IMAP), bench.limit(POP)) == (16, 16)


@pytest.mark.parametrize("records", [1, 2])
def test_a_write_that_landed_without_its_record_is_rolled_back(
    records: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(bench, monkeypatch, records=records)
    (journal,) = unfinished(bench.applier.state.journals)
    assert journal.state.written == {}
    bench.set_by_hand(IMAP, imap(32), who="alice", apply_id=journal.state.apply_id)
    (report,) = bench.recover()
    assert bench.imap_limit() == 16
    assert outcomes(report)["ImapSettings/ex01"] == "rolled back"


def test_a_value_that_somebody_set_after_the_kill_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(bench, monkeypatch, records=3)
    bench.set_by_hand(IMAP, imap(99), who="bob")
    (report,) = bench.recover()
    assert bench.imap_limit() == 99
    assert report.error
    assert "left as it is: ImapSettings/ex01" in report.error


def test_history_tells_of_a_killed_apply_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(bench, monkeypatch, records=RECORDS - 1)
    bench.recover()
    lines = (bench.path / "history.jsonl").read_text().splitlines()
    assert len(lines) == 2  # the first estate, and this one


@pytest.mark.parametrize("records", [2, RECORDS - 1], ids=["taken back", "finished"])
def test_history_knows_the_commit_of_a_killed_apply(
    records: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.commit = "8ce3d5b8+"
    killed(bench, monkeypatch, records=records)
    bench.commit = "another"
    bench.recover()
    newest = list(entries(bench.path / "history.jsonl"))[-1]
    assert newest.values["commit"] == "8ce3d5b8+"


def test_a_journal_of_before_says_no_commit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(bench, monkeypatch, records=RECORDS - 1)
    (journal,) = unfinished(bench.path / "journal")
    text = journal.path.read_text(encoding="utf-8")
    assert '"commit": null, ' in text
    journal.path.write_text(text.replace('"commit": null, ', ""), encoding="utf-8")
    bench.recover()
    newest = list(entries(bench.path / "history.jsonl"))[-1]
    assert (newest.outcome, newest.values["commit"]) == ("applied", None)


def test_a_recovery_whose_target_is_silent_goes_on_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(bench, monkeypatch, records=3)
    bench.target.before[f"restore {IMAP}"] = [lost() for _ in range(ATTEMPTS)]
    (report,) = bench.recover()
    assert report.error
    assert "the next `reconcile apply` finishes it" in report.error
    bench.recover()
    assert bench.imap_limit() == 16
