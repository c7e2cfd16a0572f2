"""Whatever call to the target fails, and however: the apply ends in the declared state or in the previous one, at once
or after the next run, and says which. Never in between, and never silently."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler.applying import batches
from reconciler.applying.history import entries
from reconciler.applying.journal import unfinished
from reconciler.model import Report, ServiceState
from reconciler.targets.target import (
    Attribution,
    Converged,
    Method,
    NotRunningError,
    Stamps,
    TargetError,
    TransientError,
    Write,
    Written,
)
from tests.applying.builders import IMAP, POP, Bench, FaultyTarget, Probes, estate, imap

T = TypeVar("T")
#: More than any apply here makes.
CALLS = 16


class FlakyTarget(FaultyTarget):
    """Fails the calls whose numbers (from 1) are in `failing`, before or after having acted."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.failing: range = range(0)
        self.error: Callable[[], TargetError] = lambda: TransientError("no answer")
        self.acts_first = False

    def write_many(self, writes: Sequence[Write], *, by: Attribution) -> Written:
        return self._call(lambda: FaultyTarget.write_many(self, writes, by=by))

    def stamps(self) -> Stamps:
        return self._call(lambda: FaultyTarget.stamps(self))

    def services(self) -> Mapping[str, ServiceState]:
        return self._call(lambda: FaultyTarget.services(self))

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        return self._call(lambda: FaultyTarget.converge(self, service, method, reason=reason))

    def _call(self, act: Callable[[], T]) -> T:
        self.calls += 1
        if self.calls not in self.failing:
            return act()
        if self.acts_first:
            act()
        raise self.error()


@dataclass
class FlakyBench(Bench):
    target: FlakyTarget = field(default_factory=FlakyTarget)
    probes: Probes = field(default_factory=Probes)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlakyBench:
    monkeypatch.setattr(batches, "MOST", 1)
    found = FlakyBench(tmp_path)
    found.applied(estate())
    found.target.calls = 0
    return found


def settled(bench: FlakyBench) -> Report:
    """The report of the apply, or of the next run when it could not end by itself."""
    report = bench.apply(estate(imap=32, pop=32))
    bench.target.failing = range(0)
    for later in bench.recover():
        report = later
    return report


def check(bench: FlakyBench, report: Report) -> None:
    limits = (bench.limit(IMAP), bench.limit(POP))
    assert limits == ((32, 32) if report.is_success else (16, 16))
    assert bench.pending() == {}
    assert unfinished(bench.applier.state.journals) == ()
    *_, last = entries(bench.applier.state.history)
    assert last.outcome == ("applied" if report.is_success else "rolled back")


@pytest.mark.parametrize("call", range(1, CALLS))
@pytest.mark.parametrize("acts_first", [False, True], ids=["unheard", "unanswered"])
def test_one_lost_call_changes_nothing(call: int, acts_first: bool, bench: FlakyBench) -> None:
    bench.target.failing, bench.target.acts_first = range(call, call + 1), acts_first
    check(bench, settled(bench))


@pytest.mark.parametrize("call", range(1, CALLS))
@pytest.mark.parametrize("acts_first", [False, True], ids=["unheard", "unanswered"])
def test_a_target_that_goes_away_for_long_is_settled_by_the_next_run(
    call: int, acts_first: bool, bench: FlakyBench
) -> None:
    bench.target.failing, bench.target.acts_first = range(call, 1000), acts_first
    bench.target.error = lambda: NotRunningError("no runtime")
    check(bench, settled(bench))


@pytest.mark.parametrize("call", range(1, CALLS))
def test_a_target_that_is_silent_for_long_is_settled_by_the_next_run(call: int, bench: FlakyBench) -> None:
    bench.target.failing = range(call, 1000)
    check(bench, settled(bench))


@pytest.mark.parametrize("call", range(1, CALLS))
def test_a_target_that_fails_while_rolling_back_is_settled_by_the_next_run(
    call: int, bench: FlakyBench
) -> None:
    bench.probes.failing = ["ex01/pop3"]
    bench.target.failing = range(call, 1000)
    check(bench, settled(bench))


def test_of_two_writers_the_second_is_told_of_the_first(bench: FlakyBench) -> None:
    live, plan = bench.target.observe(), bench.plan(estate(imap=32))
    bench.set_by_hand(IMAP, imap(64), who="bob")
    report = bench.applier.apply(plan, desired=estate(imap=32), live=live)
    assert report.error
    assert "ImapSettings/ex01 was changed by bob at" in report.error
    assert bench.imap_limit() == 64
