"""Every step of the journal, every kind of fault, every way an apply goes: declared or previous, never in between.

A fault strikes at a record of the journal. What it leaves is settled by the next run, as a user would do it. Then live
is what was declared or what was before, no service waits, no journal is open, and the history says which. Only what the
target refuses on the way back and refuses again when the next run tries, a restore or a restart, is left, and then the
history names it.
`tests/cli/test_kill_apply.py` does the kills with SIGKILL on a real runtime.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from pydantic import JsonValue

from reconciler.applying import batches, journal, take_back
from reconciler.applying.history import entries
from reconciler.applying.journal import Journal, JournalError, unfinished
from reconciler.applying.verify import ProbeResult
from reconciler.model import Present, Report, ServiceState
from reconciler.targets.target import (
    Attribution,
    Converged,
    Method,
    NotRunningError,
    RejectedError,
    ServiceError,
    Stamps,
    TargetError,
    TransientError,
    Write,
    Written,
)
from tests.applying.builders import ALICE, IMAP, POP, Bench, FaultyTarget, estate, imap, with_mailbox


class KilledError(BaseException):
    """Nothing in the program catches it."""


@dataclass
class Fault:
    """What is wrong, from the record on that it strikes at. `target` is asked before each call to the target."""

    is_on: bool = False
    target: Callable[[str], None] = lambda _: None
    before_record: Callable[[], None] = lambda: None
    after_record: Callable[[], None] = lambda: None
    fails_probes: int = 0
    tears_lines: bool = False


class StruckTarget(FaultyTarget):
    """Asks the fault before each call of an apply, and what is wrong besides, whether it has struck or not."""

    def __init__(self) -> None:
        super().__init__()
        self.fault = Fault()
        self.standing: Callable[[str], None] = lambda _: None

    def write_many(self, writes: Sequence[Write], *, by: Attribution) -> Written:
        try:
            self._strike("write")
            if writes[0].is_restore:
                self._strike("restore")
        except RejectedError as error:
            return Written((), error)
        return super().write_many(writes, by=by)

    def stamps(self) -> Stamps:
        self._strike("look")
        return super().stamps()

    def services(self) -> Mapping[str, ServiceState]:
        self._strike("look")
        return super().services()

    def epoch(self) -> int:
        self._strike("look")
        return super().epoch()

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        self._strike("converge")
        if self._is_previous():
            self._strike("converge on the previous values")
        return super().converge(service, method, reason=reason)

    def _strike(self, call: str) -> None:
        self.standing(call)
        if self.fault.is_on:
            self.fault.target(call)

    def _is_previous(self) -> bool:
        found = self.read(IMAP)
        return isinstance(found, Present) and found.spec == imap(16)


@dataclass
class StruckBench(Bench):
    target: StruckTarget = field(default_factory=StruckTarget)


def raising(error: Callable[[], BaseException]) -> Callable[[], None]:
    def strike() -> None:
        raise error()

    return strike


def always(error: Callable[[], TargetError]) -> Callable[[str], None]:
    def strike(_: str) -> None:
        raise error()

    return strike


def each(call: str, error: Callable[[], TargetError]) -> Callable[[str], None]:
    def strike(asked: str) -> None:
        if asked == call:
            raise error()

    return strike


def once(call: str, error: Callable[[], TargetError]) -> Callable[[str], None]:
    left = [error]

    def strike(asked: str) -> None:
        if asked == call and left:
            error = left.pop()
            raise error()

    return strike


FAULTS: Mapping[str, Callable[[], Fault]] = {
    "killed before the record": lambda: Fault(before_record=raising(KilledError)),
    "killed after the record": lambda: Fault(after_record=raising(KilledError)),
    "no room for the record": lambda: Fault(tears_lines=True),
    "target gone": lambda: Fault(target=always(lambda: NotRunningError("no runtime"))),
    "target silent": lambda: Fault(target=always(lambda: TransientError("no answer"))),
    "target failing": lambda: Fault(target=always(lambda: TargetError("the runtime failed"))),
    "write refused": lambda: Fault(target=once("write", lambda: RejectedError("it", "no"))),
    "write lost": lambda: Fault(target=once("write", lambda: TransientError("no answer"))),
    "service does not start": lambda: Fault(
        target=once("converge", lambda: ServiceError("it does not start"))
    ),
    "restart lost": lambda: Fault(target=once("converge", lambda: TransientError("no answer"))),
    "probe failed": lambda: Fault(fails_probes=1),
    "all probes failed": lambda: Fault(fails_probes=100),
}
#: What the target refuses for as long as the fault is there.
REFUSALS: Mapping[str, Callable[[], Fault]] = {
    "restores refused": lambda: Fault(target=each("restore", lambda: RejectedError("it", "no"))),
    "writes and restores refused": lambda: Fault(target=each("write", lambda: RejectedError("it", "no"))),
    "no service starts": lambda: Fault(target=each("converge", lambda: ServiceError("it does not start"))),
    "no service starts on the previous values": lambda: Fault(
        target=each("converge on the previous values", lambda: ServiceError("it does not start"))
    ),
}
DECLARED = with_mailbox(estate(imap=32, pop=32), ALICE)


def _apply(bench: StruckBench) -> Report:
    return bench.apply(DECLARED)


def _settle(bench: StruckBench) -> Report:
    (report,) = bench.recover()
    return report


@dataclass(frozen=True)
class Way:
    """How an apply goes: whether a probe fails, so that all of it is taken back; whether every restore is refused
    meanwhile, or was refused beforehand; after how many records it was killed beforehand (0: it was not); and the last
    record of what is struck then."""

    run: Callable[[StruckBench], Report]
    end: str
    fails: bool = False
    refuses: bool = False
    was_refused: bool = False
    killed_after: int = 0


WAYS: Mapping[str, Way] = {
    "apply": Way(_apply, "committed"),
    "roll back": Way(_apply, "rolled back", fails=True),
    "recovery backwards": Way(_settle, "rolled back", killed_after=4),
    "recovery forwards": Way(_settle, "committed", killed_after=8),
    "recovery of a roll back": Way(_settle, "rolled back", fails=True, killed_after=15),
    "roll back that is refused": Way(_apply, "refused", fails=True, refuses=True),
    "recovery of what was refused": Way(_settle, "rolled back", fails=True, was_refused=True),
}


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write in a request of its own, so that there are records between two."""
    monkeypatch.setattr(batches, "MOST", 1)
    monkeypatch.setattr(take_back, "TOGETHER", 1)


@contextmanager
def struck(bench: StruckBench, fault: Fault, *, at: int, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The fault strikes at record number `at`; yields the names of the records that are there."""
    record, write, verify = Journal.record, journal._write, bench.probes
    records: list[str] = []
    bench.target.fault = fault

    def recording(self: Journal, name: str, **fields: JsonValue) -> None:
        if len(records) + 1 == at:
            fault.is_on = True
            fault.before_record()
        record(self, name, **fields)
        records.append(name)
        if len(records) == at:
            fault.after_record()

    def writing(descriptor: int, line: bytes) -> None:
        if fault.is_on and fault.tears_lines:
            os.write(descriptor, line[: len(line) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(descriptor, line)

    def probing(service: str) -> ProbeResult:
        if fault.is_on and fault.fails_probes:
            fault.fails_probes -= 1
            return ProbeResult(is_serving=False, detail="no answer")
        return verify(service)

    with patch.context() as patched:
        patched.setattr(Journal, "record", recording)
        patched.setattr(journal, "_write", writing)
        patched.setattr(bench, "probes", probing)
        yield records
    bench.target.fault = Fault()


def prepared(directory: Path, way: Way, patch: pytest.MonkeyPatch) -> StruckBench:
    bench = StruckBench(directory)
    bench.applied(estate())
    bench.probes.failing = ["ex01/pop3"] if way.fails else []
    if way.killed_after:
        fault = FAULTS["killed after the record"]()
        with struck(bench, fault, at=way.killed_after, patch=patch), pytest.raises(KilledError):
            _apply(bench)
    refuse_restores(bench, is_on=way.was_refused)
    if way.was_refused:
        assert "not brought back yet" in str(_apply(bench).error)
    refuse_restores(bench, is_on=way.refuses)
    return bench


def refuse_restores(bench: StruckBench, *, is_on: bool) -> None:
    bench.target.standing = REFUSALS["restores refused"]().target if is_on else lambda _: None


def live(bench: StruckBench) -> dict[str, object]:
    there = ALICE in bench.target.observe().resources
    return {str(IMAP): bench.limit(IMAP), str(POP): bench.limit(POP), str(ALICE): there}


PREVIOUS: Mapping[str, object] = {str(IMAP): 16, str(POP): 16, str(ALICE): False}
AFTER: Mapping[str, object] = {str(IMAP): 32, str(POP): 32, str(ALICE): True}


def is_settled(bench: StruckBench, *, may_leave: bool = False) -> bool:
    """True when live is one of the two, or what is not may be left and the history names it."""
    *_, last = entries(bench.applier.state.history)
    found = live(bench)
    expected = AFTER if last.outcome == "applied" and last.number > 1 else PREVIOUS
    different = [name for name in found if found[name] != expected[name]] + [*bench.pending()]
    left = str(last.values["error"]).partition("left as it is: ")[2]
    is_told = may_leave and all(name in left for name in different)
    return (is_told or not different) and unfinished(bench.applier.state.journals) == ()


@pytest.mark.parametrize("kind", [*FAULTS, *REFUSALS])
@pytest.mark.parametrize("way", WAYS)
def test_it_ends_in_the_declared_or_the_previous_state(
    way: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in count(1):
        bench = prepared(tmp_path / str(step), WAYS[way], monkeypatch)
        fault, report = {**FAULTS, **REFUSALS}[kind](), None
        with (
            struck(bench, fault, at=step, patch=monkeypatch) as records,
            suppress(KilledError, JournalError, TargetError),
        ):
            report = WAYS[way].run(bench)
        if report is not None and report.is_success:
            assert live(bench) == AFTER, f"a success that is none, step {step}"
        refuse_restores(bench, is_on=False)
        bench.recover()
        is_second = WAYS[way].was_refused and kind in REFUSALS
        assert is_settled(bench, may_leave=is_second), f"step {step} {records}: {live(bench)}"
        if not fault.is_on:
            assert records[-1] == WAYS[way].end
            return


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("way", [name for name, way in WAYS.items() if not (way.refuses or way.was_refused)])
def test_what_is_refused_for_good_is_left_named_and_open_to_the_next_apply(
    way: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in count(1):
        bench = prepared(tmp_path / str(step), WAYS[way], monkeypatch)
        fault = REFUSALS[kind]()
        with struck(bench, fault, at=step, patch=monkeypatch):
            WAYS[way].run(bench)
            is_over = not fault.is_on
            bench.recover()
            bench.recover()
        assert is_settled(bench, may_leave=True), f"step {step}: {live(bench)}, {bench.pending()}"
        refuse_restores(bench, is_on=False)
        bench.probes.failing = []
        assert bench.apply(DECLARED).is_success
        assert (live(bench), bench.pending()) == (AFTER, {})
        if is_over:
            return
