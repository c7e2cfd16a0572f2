"""What a saved file means is told at once, whatever else goes on; and a wish to stop waits for nothing but a write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from reconciler.daemon import notices
from reconciler.daemon.loop import LOOK_EVERY
from reconciler.model import Key, Report
from reconciler.targets.target import Attribution, NotRunningError
from schemas.v1.codec import parse_spec
from tests.applying.builders import IMAP
from tests.daemon.builders import POLICY, Stage
from tests.support.waiting import eventually

CAROL = """\
apiVersion: reconciler/v1
kind: Mailbox
metadata: {{name: carol}}
spec: {{database: db01, primarySmtpAddress: {address}@contoso.example}}
"""


@contextmanager
def following(stage: Stage) -> Iterator[Stage]:
    """The stage with its loop in a thread, which has ended afterwards."""
    thread = Thread(target=stage.loop.run)
    thread.start()
    try:
        yield stage
    finally:
        stage.wish.ask_stop()
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def applied(tmp_path: Path) -> Stage:
    """An estate with a policy, as it is live."""
    found = Stage(tmp_path)
    save_policy(found, 20)
    found.round()
    return found


@pytest.fixture
def reporting(tmp_path: Path, applied: Stage) -> Iterator[Stage]:
    """A loop that tells and changes nothing, after its first round."""
    with following(Stage(tmp_path, heals=False, before=applied)) as found:
        eventually(lambda: notices.Unchanged() in found.told, what="the first round")
        yield found


@pytest.fixture
def healing(tmp_path: Path, applied: Stage) -> Iterator[Stage]:
    """A loop that applies, after its first round."""
    with following(Stage(tmp_path, before=applied)) as found:
        eventually(lambda: notices.Unchanged() in found.told, what="the first round")
        yield found


class Slow:
    """One call of the target, answered once the gate is open."""

    def __init__(self, stage: Stage, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._answer = getattr(stage.bench.target, call)
        self.gate, self.is_asked = Event(), Event()
        monkeypatch.setattr(stage.bench.target, call, self)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.is_asked.set()
        assert self.gate.wait(60)
        return self._answer(*arguments, **options)

    def __enter__(self) -> Slow:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()


@contextmanager
def a_waiting_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A round that goes on, and waits for the runtime's answer until the end of the block."""
    with Slow(stage, "services", monkeypatch) as slow:
        stage.wish.ask_now()
        assert slow.is_asked.wait(60)
        yield


def save_policy(stage: Stage, limit: int) -> None:
    (stage.directory / "policy.yaml").write_text(POLICY.format(limit=limit))


def found_quickly(stage: Stage) -> list[notices.Found]:
    return [one for one in stage.told if isinstance(one, notices.Found) and one.is_quick]


def changed(found: notices.Found) -> set[str]:
    return {str(change.key) for change in found.plan.changes}


def rounds_of(stage: Stage) -> list[notices.RoundEnded]:
    return [one for one in stage.told if isinstance(one, notices.RoundEnded)]


def reports_of(stage: Stage) -> list[Report]:
    return [one.report for one in stage.told if isinstance(one, notices.Applied)]


def test_a_saved_file_is_told_while_a_round_waits_for_a_slow_runtime(
    reporting: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_waiting_round(reporting, monkeypatch):
        save_policy(reporting, 30)
        eventually(lambda: found_quickly(reporting), what="a word at once")


def test_a_second_saved_file_is_told_with_the_first(
    reporting: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_waiting_round(reporting, monkeypatch):
        save_policy(reporting, 30)
        eventually(lambda: found_quickly(reporting), what="a word at once")
        estate = reporting.directory / "estate.yaml"
        raised = estate.read_text().replace("maxConnectionsPerUser: 16", "maxConnectionsPerUser: 32")
        estate.with_suffix(".new").write_text(raised)
        estate.with_suffix(".new").replace(estate)
        eventually(lambda: found_quickly(reporting)[1:], what="a second word")
    kinds = {change.key.kind for change in found_quickly(reporting)[1].plan.changes}
    assert kinds == {"ThrottlingPolicy", "ImapSettings", "PopSettings"}


def test_what_was_read_before_a_file_was_saved_is_not_told(
    reporting: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_waiting_round(reporting, monkeypatch):
        reporting.told.clear()
        save_policy(reporting, 30)
        eventually(lambda: found_quickly(reporting), what="a word at once")
    eventually(lambda: rounds_of(reporting), what="a round")
    assert {len(one.plan.changes) for one in rounds_of(reporting) if one.plan} == {1}


def test_what_was_written_by_hand_meanwhile_is_part_of_the_word(reporting: Stage) -> None:
    reporting.change_by_hand(99)
    save_policy(reporting, 30)
    (told,) = eventually(lambda: found_quickly(reporting), what="a word at once")
    assert changed(told) == {str(IMAP), "ThrottlingPolicy/few"}
    assert told.drifted == {IMAP}


def test_there_is_no_word_about_a_file_that_takes_an_address(tmp_path: Path, applied: Stage) -> None:
    """Of another live mailbox: the file is broken, which is told after everything was read."""
    (applied.directory / "carol.yaml").write_text(CAROL.format(address="carol"))
    applied.round()
    dave = {"database": "db01", "primarySmtpAddress": "dave@contoso.example"}
    applied.bench.target.write(
        Key("Mailbox", "dave"), parse_spec("Mailbox", dave), secrets={}, expect=None, by=Attribution("bob")
    )
    with following(Stage(tmp_path, heals=False, before=applied)) as found:
        eventually(lambda: rounds_of(found), what="the first round")
        (found.directory / "carol.yaml").write_text(CAROL.format(address="dave"))
        eventually(lambda: any(isinstance(one, notices.Broken) for one in found.told), what="the error")
        assert found_quickly(found) == []


def test_a_saved_file_is_told_while_a_healing_round_looks(
    healing: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_waiting_round(healing, monkeypatch):
        save_policy(healing, 30)
        (told,) = eventually(lambda: found_quickly(healing), what="a word at once")
    assert changed(told) == {"ThrottlingPolicy/few"}
    eventually(lambda: reports_of(healing), what="its apply")


def test_a_saved_file_is_told_while_an_apply_goes_on(healing: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is still to be done, and is applied after it."""
    with Slow(healing, "converge", monkeypatch) as slow:
        healing.declare(32)
        assert slow.is_asked.wait(60)
        healing.told.clear()
        save_policy(healing, 30)
        (told,) = eventually(lambda: found_quickly(healing), what="a word at once")
        assert not reports_of(healing)
    assert changed(told) == {"ThrottlingPolicy/few"}
    eventually(lambda: reports_of(healing)[1:], what="the apply of the second file")
    assert all(report.is_success for report in reports_of(healing))


def test_a_saved_file_is_told_after_an_apply(healing: Stage) -> None:
    """What was applied is known without another look at everything."""
    for limit in (32, 33):
        healing.told.clear()
        save_policy(healing, limit)
        eventually(lambda: reports_of(healing), what="an apply")
        assert [changed(told) for told in found_quickly(healing)] == [{"ThrottlingPolicy/few"}]


@pytest.mark.parametrize("heals", [False, True])
def test_a_wish_to_stop_does_not_wait_for_a_round_that_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, heals: bool
) -> None:
    stage = Stage(tmp_path, heals=heals)
    with Slow(stage, "services", monkeypatch) as slow:
        with following(stage):
            assert slow.is_asked.wait(60)
        told = list(stage.told)
    assert told == []
    assert stage.bench.target.writes == []


def test_nor_for_a_word(tmp_path: Path, applied: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, heals=False, before=applied)
    with following(stage):
        eventually(lambda: notices.Unchanged() in stage.told, what="the first round")
        slow = Slow(stage, "changes_since", monkeypatch)
        save_policy(stage, 30)
        assert slow.is_asked.wait(60)
    slow.gate.set()


def test_it_waits_for_what_is_being_written(
    tmp_path: Path, applied: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, before=applied)
    stage.declare(32)
    slow = Slow(stage, "converge", monkeypatch)
    with following(stage):
        assert slow.is_asked.wait(60)
        stage.wish.ask_stop()
        slow.gate.set()
    assert len(reports_of(stage)) == 1


def test_a_runtime_that_does_not_answer_a_round_is_told(
    reporting: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise NotRunningError("no runtime")

    monkeypatch.setattr(reporting.bench.target, "services", refuse)
    reporting.wish.ask_now()
    eventually(lambda: any(isinstance(one, notices.Failed) for one in reporting.told), what="the error")


def test_what_is_due_waits_for_the_round_that_goes_on(
    applied: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end rings; until then the files are looked at as ever, and not without a pause."""
    waits = list[float]()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        applied.loop._due_in(0)
        applied.wish.stop = len(waits) == 3
        return False

    with Slow(applied, "services", monkeypatch):
        monkeypatch.setattr(applied.wish.bell, "wait", wait)
        applied.loop.run()
    assert waits == [LOOK_EVERY] * 3
