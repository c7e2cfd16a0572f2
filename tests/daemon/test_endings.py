"""How the loop ends: what becomes of the last round is told, and a round that hangs ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from reconciler.applying.journal import JournalError
from reconciler.daemon import notices
from reconciler.daemon.events import event_of
from reconciler.daemon.lease import Lease, LeaseLostError
from reconciler.daemon.pulse import LONGEST_SILENCE, Pulse, RoundHangsError
from reconciler.daemon.service import serve
from reconciler.meanwhile import Meanwhile
from reconciler.targets.target import TransientError
from tests.applying.builders import FaultyTarget, Probes
from tests.daemon.builders import Stage
from tests.support.waiting import eventually


class Held:
    """A call that waits at the gate, and raises there if there is something to raise."""

    def __init__(self, error: Exception | None = None) -> None:
        self.gate, self.is_asked = Event(), Event()
        self._error = error

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.is_asked.set()
        assert self.gate.wait(60)
        raise self._error or TransientError("too late")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    yield found
    found.wish.ask_stop()


def last_failure(stage: Stage) -> notices.Failed:
    (found,) = (one for one in stage.told if isinstance(one, notices.Failed))
    return found


def stopped_while(stage: Stage, call: Held) -> Meanwhile[None]:
    """The loop, asked to stop while the round is at the call, which then goes on."""
    running = Meanwhile(stage.loop.run)
    assert call.is_asked.wait(60)
    stage.wish.ask_stop()
    call.gate.set()
    return running


@pytest.mark.parametrize("error", [JournalError("the disk is full"), TransientError("no answer")])
def test_what_the_last_round_raises_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    held = Held(error)
    monkeypatch.setattr(stage.ledger, "declare", held)
    stopped_while(stage, held).result()
    assert last_failure(stage) == notices.Failed(str(error), None, is_last=True)


def test_so_is_what_nobody_thought_of_with_its_trace(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(ZeroDivisionError("a bug"))
    monkeypatch.setattr(stage.bench.target, "converge", held)
    stopped_while(stage, held).result()
    assert "a bug" in str(last_failure(stage).trace)


def test_a_lease_that_the_last_round_lost_is_raised(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(LeaseLostError("somebody took it"))
    monkeypatch.setattr(stage.ledger, "declare", held)
    with pytest.raises(LeaseLostError, match="somebody took it"):
        stopped_while(stage, held).result()


def test_the_event_of_a_last_failure_promises_no_further_try() -> None:
    event = event_of(notices.Failed("the disk is full", None, is_last=True))
    assert event is not None
    assert event.text == "the disk is full (the end)"


@pytest.mark.parametrize("call", ["services", "converge"])
def test_a_round_that_hangs_ends_the_loop(stage: Stage, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Whether it looks or writes."""
    held = Held()
    monkeypatch.setattr(stage.bench.target, call, held)
    running = Meanwhile(stage.loop.run)
    assert held.is_asked.wait(60)
    stage.now += LONGEST_SILENCE + 1
    try:
        with pytest.raises(RoundHangsError, match="no progress for 10 minutes"):
            running.result()
    finally:
        held.gate.set()


def test_one_that_hangs_after_the_wish_to_stop_does_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(stage.bench.target, "converge", held)
    running = Meanwhile(stage.loop.run)
    assert held.is_asked.wait(60)
    stage.wish.ask_stop()
    stage.now += LONGEST_SILENCE + 1
    try:
        with pytest.raises(RoundHangsError):
            running.result()
    finally:
        held.gate.set()


def test_a_long_pause_between_rounds_is_no_hanging(stage: Stage) -> None:
    running = Meanwhile(stage.loop.run)
    eventually(lambda: stage.bench.imap_limit() == 16, what="the first apply")
    eventually(lambda: stage.loop._round is None, what="the end of the round")
    stage.now += LONGEST_SILENCE + 1
    stage.declare(32)
    eventually(lambda: stage.bench.imap_limit() == 32, what="the second apply")
    stage.wish.ask_stop()
    running.result()


def most_of_the_silence(stage: Stage, act: Callable[..., Any]) -> Callable[..., Any]:
    """`act`, which takes most of the time after which a round hangs; at its end that is asked."""

    def slowly(*arguments: Any, **options: Any) -> Any:
        stage.now += 0.6 * LONGEST_SILENCE
        stage.pulse.check()
        return act(*arguments, **options)

    return slowly


@pytest.mark.parametrize(("owner", "step"), [(FaultyTarget, "converge"), (Probes, "__call__")])
def test_an_apply_of_many_long_steps_does_not_hang(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, owner: type, step: str
) -> None:
    monkeypatch.setattr(owner, step, most_of_the_silence(stage, getattr(owner, step)))
    stage.round()
    assert stage.now > 1000 + 2 * LONGEST_SILENCE
    assert [one.report.is_success for one in stage.told if isinstance(one, notices.Applied)] == [True]


def test_nor_does_a_roll_back_of_many_services_that_do_not_serve(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither at once nor when it is taken up by the next round."""
    stage.round()
    stage.bench.probes.failing = [f"ex01/{name}" for name in ("imap4", "imap4-backend", "pop3")] * 9
    monkeypatch.setattr(Probes, "__call__", most_of_the_silence(stage, Probes.__call__))
    stage.declare(32)
    (applied,) = (one for one in stage.round() if isinstance(one, notices.Applied))
    assert "not brought back yet: ex01/imap4" in str(applied.report.error)
    (recovered,) = (one for one in stage.round() if isinstance(one, notices.Recovered))
    assert "left as it is: ex01/imap4" in str(recovered.report.error)


def test_each_sign_begins_the_time_anew() -> None:
    now = [0.0]
    pulse, asked = Pulse(longest=10, monotonic=lambda: now[0]), list[int]()
    act = pulse.beside(lambda: asked.append(1))
    for moment in (9.0, 18.0, 27.0):
        now[0] = moment
        pulse.check()
        act()
    assert asked == [1, 1, 1]
    now[0] = 38.0
    with pytest.raises(RoundHangsError):
        pulse.check()


def test_when_a_round_hangs_the_lease_is_free_before_that_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held, lease, told = Held(), Lease(tmp_path / "lease"), list[tuple[notices.Notice, bool]]()
    assert lease.take()
    monkeypatch.setattr(stage.bench.target, "converge", held)

    def tell(notice: notices.Notice) -> None:
        told.append((notice, lease.holder is None))

    running = Meanwhile(lambda: serve(stage.loop, lease, tell=tell))
    assert held.is_asked.wait(60)
    stage.now += LONGEST_SILENCE + 1
    assert running.result() is False
    held.gate.set()
    assert [(type(notice), is_free) for notice, is_free in told] == [
        (notices.Failed, True),
        (notices.Stopping, True),
    ]
