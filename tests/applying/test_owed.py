"""What the target refuses on the way back: tried again in another order, then owed to the next run, then left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.applying.history import entries
from reconciler.applying.journal import Journal, unfinished
from reconciler.applying.recovery import refuse_unsettled
from reconciler.model import Key, Observed, Unreadable
from reconciler.targets.target import (
    Attribution,
    ConflictError,
    Converged,
    Method,
    RejectedError,
    ServiceError,
    TargetError,
    Write,
    Written,
)
from tests.applying.builders import IMAP, POP, Bench, FaultyTarget, estate, imap, outcomes


class RefusingTarget(FaultyTarget):
    """On the way back it refuses `refused`, resources and services, and a service that `waits_for` another one until
    that was asked for; `asked` is what was asked for then. `unknown` cannot be read. What is sent together with
    `fails_all` fails as a whole, and what is sent before `stands_against` meets somebody's change of that."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.waits_for: dict[str, str] = {}
        self.asked: list[str] = []
        self.unknown: Key | None = None
        self.fails_all: Key | None = None
        self.stands_against: Key | None = None
        self._is_going_back = False

    def read(self, key: Key) -> Observed:
        return Unreadable("a newer version wrote it") if key == self.unknown else super().read(key)

    def write_many(self, writes: Sequence[Write], *, by: Attribution) -> Written:
        keys = [write.key for write in writes if write.is_restore]
        if self.fails_all in keys:
            return Written((), TargetError("the runtime failed"))
        if self.stands_against in keys[1:]:
            theirs = ConflictError(self.stands_against, expected=1, current=self._live[self.stands_against])
            return Written((), theirs, self.stands_against)
        return super().write_many(writes, by=by)

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        self._is_going_back = True
        self.asked.append(str(key))
        if str(key) in self.refused:
            raise RejectedError(str(key), "no")
        super().restore(key, revision, expect=expect, by=by)

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        if self._is_going_back:
            self.asked.append(service)
            if service in self.refused or self.waits_for.get(service, service) not in self.asked:
                raise ServiceError(f"{service} cannot run its live configuration: no")
        return super().converge(service, method, reason=reason)


@pytest.fixture
def target() -> RefusingTarget:
    return RefusingTarget()


@pytest.fixture
def bench(tmp_path: Path, target: RefusingTarget) -> Bench:
    """The estate is live, and the next apply is taken back."""
    bench = Bench(tmp_path, target).applied(estate())
    bench.probes.failing = ["ex01/pop3"]
    return bench


def journal(bench: Bench) -> Journal:
    (found,) = unfinished(bench.applier.state.journals)
    return found


def last_error(bench: Bench) -> str:
    *_, last = entries(bench.applier.state.history)
    return str(last.values["error"])


def test_a_restore_that_is_refused_for_its_order_is_tried_again(bench: Bench) -> None:
    bench.target.before[f"restore {POP}"] = [RejectedError(str(POP), "something refers to it")]
    report = bench.apply(estate(imap=32, pop=32))
    assert "everything was rolled back" in str(report.error)
    assert (bench.limit(IMAP), bench.limit(POP)) == (16, 16)
    assert outcomes(report)[str(POP)] == "rolled back"


def test_a_service_that_starts_only_after_another_is_tried_again(
    bench: Bench, target: RefusingTarget
) -> None:
    target.waits_for = {"ex01/imap4": "ex01/pop3"}
    report = bench.apply(estate(imap=32, pop=32))
    assert "everything was rolled back" in str(report.error)
    assert bench.pending() == {}


def test_what_gets_nowhere_is_not_tried_for_ever(bench: Bench, target: RefusingTarget) -> None:
    target.refused = {str(IMAP)}
    bench.apply(estate(imap=32, pop=32))
    assert target.asked.count(str(IMAP)) == 2


@pytest.mark.parametrize("refused", [str(IMAP), "ex01/imap4"])
def test_what_is_refused_is_owed(refused: str, bench: Bench, target: RefusingTarget) -> None:
    target.refused = {refused}
    report = bench.apply(estate(imap=32, pop=32))
    assert f"not brought back yet: {refused}; the next `reconcile apply` tries again" in str(report.error)
    assert outcomes(report)[refused] == "failed"
    assert bench.limit(POP) == 16
    assert journal(bench).state.refused == {refused}
    assert f"was taken back but for {refused}" in journal(bench).state.unsettled


def test_nothing_is_planned_over_what_is_owed(bench: Bench, target: RefusingTarget) -> None:
    target.refused = {str(IMAP)}
    bench.apply(estate(imap=32, pop=32))
    with pytest.raises(
        TargetError, match="was taken back but for ImapSettings/ex01 and could not be settled"
    ):
        refuse_unsettled(bench.applier.state.journals)


@pytest.mark.parametrize("refused", [str(IMAP), "ex01/imap4"])
def test_the_next_run_brings_it_back(refused: str, bench: Bench, target: RefusingTarget) -> None:
    target.refused = {refused}
    bench.apply(estate(imap=32, pop=32))
    target.refused = set()
    (report,) = bench.recover()
    assert "everything was rolled back" in str(report.error)
    assert (bench.limit(IMAP), bench.limit(POP)) == (16, 16)
    assert bench.pending() == {}
    assert unfinished(bench.applier.state.journals) == ()


@pytest.mark.parametrize("refused", [str(IMAP), "ex01/imap4"])
def test_what_the_next_run_is_refused_too_is_left_and_named(
    refused: str, bench: Bench, target: RefusingTarget
) -> None:
    target.refused = {refused}
    bench.apply(estate(imap=32, pop=32))
    bench.recover()
    assert f"left as it is: {refused}" in last_error(bench)
    assert unfinished(bench.applier.state.journals) == ()


def test_a_service_that_fails_its_probe_again_is_left_and_named(bench: Bench) -> None:
    """It runs the previous values, so nothing but the journal knows that it does not serve."""
    bench.probes.failing = ["ex01/imap4"] * 9
    bench.apply(estate(imap=32))
    assert bench.pending() == {}
    bench.recover()
    assert "left as it is: ex01/imap4" in last_error(bench)


def test_what_is_refused_for_the_first_time_is_owed_once_more(bench: Bench, target: RefusingTarget) -> None:
    target.refused = {str(IMAP)}
    bench.apply(estate(imap=32, pop=32))
    target.refused = {"ex01/imap4"}
    (report,) = bench.recover()
    assert "not brought back yet: ex01/imap4" in str(report.error)
    bench.recover()
    assert "left as it is: ex01/imap4" in last_error(bench)


def test_the_next_apply_plans_from_what_was_left(bench: Bench, target: RefusingTarget) -> None:
    target.refused = {str(IMAP)}
    bench.apply(estate(imap=32, pop=32))
    bench.recover()
    assert (bench.limit(IMAP), bench.limit(POP)) == (32, 16)
    assert bench.apply(estate(imap=24, pop=24)).is_success
    assert (bench.limit(IMAP), bench.limit(POP)) == (24, 24)


def test_what_somebody_changed_since_is_left_at_once_and_never_overwritten(
    bench: Bench, target: RefusingTarget
) -> None:
    target.refused = {str(IMAP)}
    bench.apply(estate(imap=32, pop=32))
    target.refused = set()
    bench.set_by_hand(IMAP, imap(99), who="bob")
    (report,) = bench.recover()
    assert bench.imap_limit() == 99
    assert "left as it is: ImapSettings/ex01" in str(report.error)


def test_what_somebody_changed_so_that_this_version_cannot_read_it_is_left_too(
    bench: Bench, target: RefusingTarget
) -> None:
    target.refused = {str(IMAP)}
    bench.apply(estate(imap=32, pop=32))
    bench.set_by_hand(IMAP, imap(99), who="bob")
    target.refused, target.unknown = set(), IMAP
    (report,) = bench.recover()
    assert "left as it is: ImapSettings/ex01" in str(report.error)
    (detail,) = [step.detail for step in report.steps if step.subject == str(IMAP)]
    assert "was changed by bob" in detail
    assert unfinished(bench.applier.state.journals) == ()


def test_what_makes_a_whole_request_fail_keeps_nothing_else_from_coming_back(
    bench: Bench, target: RefusingTarget
) -> None:
    target.fails_all = IMAP
    report = bench.apply(estate(imap=32, pop=32))
    assert f"not brought back yet: {IMAP};" in str(report.error)
    assert (bench.limit(IMAP), bench.limit(POP)) == (32, 16)
    bench.recover()
    assert f"left as it is: {IMAP}" in last_error(bench)
    assert unfinished(bench.applier.state.journals) == ()


def test_what_cannot_come_back_for_a_change_of_another_is_tried_again(
    bench: Bench, target: RefusingTarget
) -> None:
    target.stands_against = IMAP
    report = bench.apply(estate(imap=32, pop=32))
    assert "everything was rolled back" in str(report.error)
    assert (bench.limit(IMAP), bench.limit(POP)) == (16, 16)
