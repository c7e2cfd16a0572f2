"""One apply as a transaction: write, serve, probe, or take everything back.

    write each change by compare-and-swap  →  bring each owed service onto it  →  probe each  →  (the caller commits)
        └── failure ──┴── failure ──────────────────┴── failure ───────────┴→  restore in reverse, converge again

Every step is in the journal before it is taken and after it is done, and only the journal's state decides what is left
to do; so `apply` runs these steps on a fresh journal and `recovery` on what a killed apply left. Writes go rank by
rank; on one server everything happens one after the other, several servers go on side by side. Taking back is
`take_back`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Literal

from reconciler.applying import retry
from reconciler.applying.batches import batches
from reconciler.applying.events import Begun, Progress, RollingBack
from reconciler.applying.journal import Journal, OwedAction, PlannedChange, key_json, keys_json
from reconciler.applying.lanes import Lane, by_lane, run_lanes, shared_out
from reconciler.applying.outcomes import Outcomes
from reconciler.applying.take_back import TakeBack, is_settled
from reconciler.applying.verify import Verify
from reconciler.applying.work import Work, phase
from reconciler.model import Action, Outcome, Report, ServiceAction, ServiceState
from reconciler.targets.target import (
    Attribution,
    ConflictError,
    Converged,
    Method,
    RejectedError,
    ServiceError,
    Stamps,
    Target,
    TargetError,
    TransientError,
    Written,
)

DEFAULT_PARALLELISM = 4


class StepFailedError(Exception):
    """A step failed, or the user asked to stop; what was done has to be taken back. `blames_configuration`: it failed
    for what was declared, so that the same would fail again."""

    def __init__(self, reason: str, *, blames_configuration: bool = False) -> None:
        super().__init__(reason)
        self.blames_configuration = blames_configuration


@dataclass(frozen=True, slots=True)
class Ending:
    """How a transaction ended, and the record that will close its journal (None: a later run has to finish it)."""

    report: Report
    record: Literal["committed", "rolled back"] | None


@dataclass(frozen=True, slots=True)
class Manner:
    """How to go about it: how many servers at once, whom to tell, what to ask before each step, how to wait."""

    progress: Progress
    should_stop: Callable[[], bool]
    parallelism: int = DEFAULT_PARALLELISM
    sleep: Callable[[float], None] = time.sleep


class Transaction:
    """The steps of one apply against one target. `report()` tells at any time what became of each."""

    def __init__(self, target: Target, journal: Journal, *, verify: Verify, manner: Manner) -> None:
        self._target = target
        self._journal = journal
        self._verify = verify
        self._manner = manner
        self._by = Attribution(journal.state.actor, journal.state.apply_id)
        self._outcomes = Outcomes(_subjects(journal), manner.progress)

    def report(self, error: str | None = None) -> Report:
        """Every planned change and service, in order, with its outcome so far."""
        return Report(self._journal.state.apply_id, self._outcomes.all(), error)

    def carry_out(self, work: Sequence[Work]) -> Ending:
        """All steps of a fresh apply."""
        self._manner.progress(Begun(self._by.apply_id or "", len(work), len(self._journal.state.owed)))
        try:
            self._write(work)
            self._serve(is_fresh=True)
            self._probe()
        except (StepFailedError, TargetError) as error:
            return self._give_up(error)
        return Ending(self.report(), record="committed")

    def finish(self) -> Ending:
        """All steps that a killed apply still owes once every change was written."""
        try:
            self._serve(is_fresh=False)
            self._probe()
        except (StepFailedError, TargetError) as error:
            return self._give_up(error)
        return Ending(self.report(), record="committed")

    def find_lost_answers(self) -> None:
        """After a kill: which writes landed although no answer was written down?"""
        state = self._journal.state
        unknown = [change for change in state.changes if change.key not in state.written]
        stamps = self._target.stamps() if unknown else Stamps(0, {})
        found = [(change, _landed(change, stamps, self._by)) for change in unknown]
        landed = [{**key_json(change.key), "revision": at.revision} for change, at in found if at is not None]
        if landed:
            self._journal.record("written", changes=[*landed])
        for change in state.changes:
            if change.key in self._journal.state.written:
                self._outcomes.note(str(change.key), Outcome.APPLIED, "written before the interruption")

    def roll_back(self, reason: str, *, blames_configuration: bool) -> Ending:
        """Restore in reverse order, then bring the services back. The apply is not over when the target is gone, nor
        when it refuses something for the first time: that is owed, and the next run tries again. What it refuses then
        too is left as it is and named, so that nothing waits for it for ever."""
        if self._journal.state.rolling_back is None:
            self._journal.record("rolling back", reason=reason, blamesConfiguration=blames_configuration)
        self._manner.progress(RollingBack(reason))
        try:
            rest = self._take_back().everything()
        except TargetError as error:
            told = f"the roll back could not be finished ({error}); the next `reconcile apply` finishes it"
            return Ending(self.report(f"{reason}; {told}"), record=None)
        if not self._journal.state.refused.issuperset(rest.refused):
            return self._owe(reason, rest.refused)
        left = [*rest.left, *rest.refused]
        told = f"left as it is: {', '.join(left)}" if left else "everything was rolled back"
        return Ending(self.report(f"{reason}; {told}"), record="rolled back")

    def _owe(self, reason: str, refused: Sequence[str]) -> Ending:
        self._journal.record("refused", subjects=[*refused])
        told = f"not brought back yet: {', '.join(refused)}; the next `reconcile apply` tries again first"
        return Ending(self.report(f"{reason}; {told}"), record=None)

    def _give_up(self, error: StepFailedError | TargetError) -> Ending:
        blames = isinstance(error, StepFailedError) and error.blames_configuration
        return self.roll_back(str(error), blames_configuration=blames)

    def _take_back(self) -> TakeBack:
        return TakeBack(
            self._target,
            self._journal,
            verify=self._verify,
            outcomes=self._outcomes,
            converge=self._converge,
            sleep=self._manner.sleep,
        )

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write(self, work: Sequence[Work]) -> None:
        """Write rank by rank. Raises StepFailedError at the first change that fails, or between two batches when asked
        to stop."""
        for _, stage in groupby(work, key=lambda piece: piece.stage):
            shares = shared_out(
                by_lane(stage, lambda piece: piece.lane), parallelism=self._manner.parallelism
            )
            self._run([partial(self._write_share, share) for share in shares])

    def _write_share(self, share: Sequence[Work], is_halted: Callable[[], bool]) -> None:
        for batch in batches(share):
            if is_halted():
                return
            self._refuse_to_go_on(str(batch[0].change.key))
            self._write_batch(batch)

    def _write_batch(self, batch: Sequence[Work]) -> None:
        changes = [piece.change for piece in batch]
        self._journal.record("write started", changes=keys_json(changes))
        written = self._until_answered(batch)
        done = [
            {**key_json(change.key), "revision": revision}
            for change, revision in zip(changes, written.revisions, strict=False)
        ]
        self._journal.record("written", changes=[*done])
        for change in changes[: len(done)]:
            self._outcomes.note(str(change.key), Outcome.APPLIED)
        if (error := written.error) is not None:
            blames = isinstance(error, RejectedError)
            failed = written.failed or changes[len(done)].key
            self._fail(str(failed), str(error), blames_configuration=blames)

    def _until_answered(self, batch: Sequence[Work]) -> Written:
        """The revisions of the writes that landed, and what stopped the next one. A lost answer is no failure: the live
        resources say which landed; compare-and-swap makes it safe to send the others again."""
        revisions: list[int | None] = []
        pauses = retry.pauses()
        is_repeated = False
        while True:
            left = batch[len(revisions) :]
            try:
                written = self._target.write_many([piece.write for piece in left], by=self._by)
            except TransientError as error:
                revisions += self._landed([piece.change for piece in left])
                if len(revisions) == len(batch):
                    return Written(tuple(revisions))
                if (pause := next(pauses, None)) is None:
                    return Written(tuple(revisions), error)
                self._manner.sleep(pause)
                is_repeated = True
                continue
            except TargetError as error:
                return Written(tuple(revisions), error)
            revisions += written.revisions
            if not (is_repeated and (landed := self._landed_late(written, batch[len(revisions) :]))):
                return replace(written, revisions=tuple(revisions))
            revisions.append(landed)

    def _landed(self, changes: Iterable[PlannedChange]) -> list[int | None]:
        """The revisions of the first of these that are live, since they were sent in this order."""
        stamps = self._target.stamps()
        found: list[int | None] = []
        for change in changes:
            if (landed := _landed(change, stamps, self._by)) is None:
                break
            found.append(landed.revision)
        return found

    def _landed_late(self, written: Written, left: Sequence[Work]) -> int | None:
        """The first of two requests may land late, and then the second meets it."""
        error = written.error
        if not isinstance(error, ConflictError) or error.current is None:
            return None
        is_next = written.failed == left[0].change.key
        return error.current.revision if is_next and error.current.apply_id == self._by.apply_id else None

    # -- serving -----------------------------------------------------------------------------------------------------

    def _serve(self, *, is_fresh: bool) -> None:
        """Bring each owed service onto its live configuration, unless it runs it already: then nobody is disturbed."""
        owed = [one for one in self._journal.state.owed if not self._is_served_before(one)]
        states = self._target.services() if owed else {}
        waiting = [one for one in owed if not self._runs_already(one, states, is_fresh=is_fresh)]
        for _, same_phase in groupby(waiting, key=lambda one: phase(one.action, one.service)):
            self._run(
                [partial(self._serve_lane, lane) for lane in by_lane(same_phase, lambda one: one.server)]
            )

    def _is_served_before(self, owed: OwedAction) -> bool:
        if owed.service not in self._journal.state.served:
            return False
        self._outcomes.note(owed.service, Outcome.APPLIED, "done before the interruption")
        return True

    def _runs_already(self, owed: OwedAction, states: Mapping[str, ServiceState], *, is_fresh: bool) -> bool:
        """An interrupted apply may have been what restarted it: only a fresh one has left it alone."""
        if not is_settled(states.get(owed.service)):
            return False
        self._journal.record("service done", service=owed.service)
        outcome = Outcome.SKIPPED if is_fresh else Outcome.APPLIED
        self._outcomes.note(owed.service, outcome, "runs its live configuration already")
        return True

    def _serve_lane(self, lane: Sequence[OwedAction], is_halted: Callable[[], bool]) -> None:
        for owed in lane:
            if is_halted():
                return
            self._refuse_to_go_on(owed.service)
            self._serve_one(owed)

    def _serve_one(self, owed: OwedAction) -> None:
        self._journal.record("service started", service=owed.service)
        try:
            converged = self._converge(owed)
        except TargetError as error:
            self._fail(owed.service, str(error), blames_configuration=isinstance(error, ServiceError))
        self._journal.record("service done", service=owed.service, generation=converged.generation)
        self._outcomes.note(owed.service, Outcome.APPLIED, _converged_text(owed.action, converged))

    def _converge(self, owed: OwedAction) -> Converged:
        """A lost answer is looked up before it is asked again: a restart for nothing costs sessions."""
        method: Method = "reload" if owed.action is ServiceAction.RELOAD else "restart"
        reason = f"apply {self._by.apply_id}"
        for pause in retry.pauses():
            try:
                return self._target.converge(owed.service, method, reason=reason)
            except TransientError:
                self._manner.sleep(pause)
                state = self._target.services().get(owed.service)
                if state is not None and is_settled(state):
                    return Converged(owed.service, state.state, 0)
        return self._target.converge(owed.service, method, reason=reason)

    # -- probing -----------------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        """Use every service that was touched as a client does. Raises StepFailedError at the first that does not
        serve."""
        touched = [one for one in self._journal.state.owed if self._is_to_be_probed(one)]
        self._run([partial(self._probe_lane, lane) for lane in by_lane(touched, lambda one: one.server)])
        self._journal.record("verified")

    def _is_to_be_probed(self, owed: OwedAction) -> bool:
        is_touched = self._outcomes.of(owed.service).outcome is not Outcome.SKIPPED
        return is_touched and owed.action is not ServiceAction.STOP

    def _probe_lane(self, lane: Sequence[OwedAction], is_halted: Callable[[], bool]) -> None:
        for owed in lane:
            if is_halted():
                return
            self._refuse_to_go_on(f"the probe of {owed.service}")
            result = self._verify(owed.service)
            if not result.is_serving:
                self._fail(owed.service, f"the probe failed: {result.detail}", blames_configuration=True)
            self._outcomes.add(owed.service, result.detail)

    # -- failing -----------------------------------------------------------------------------------------------------

    def _run(self, lanes: Sequence[Lane]) -> None:
        run_lanes(lanes, parallelism=self._manner.parallelism)

    def _refuse_to_go_on(self, subject: str) -> None:
        if self._manner.should_stop():
            raise StepFailedError(f"stopped by the user before {subject}")

    def _fail(self, subject: str, detail: str, *, blames_configuration: bool) -> None:
        self._outcomes.note(subject, Outcome.FAILED, detail)
        reason = detail if subject in detail else f"{subject}: {detail}"
        raise StepFailedError(reason, blames_configuration=blames_configuration)


@dataclass(frozen=True, slots=True)
class _Landed:
    """A write whose answer was lost did happen, and left this revision (None: it is gone)."""

    revision: int | None


def _landed(change: PlannedChange, stamps: Stamps, by: Attribution) -> _Landed | None:
    stamp = stamps.resources.get(change.key)
    if stamp is None:
        return _Landed(None) if change.action is Action.DELETE else None
    is_ours = stamp.apply_id == by.apply_id and stamp.revision != change.previous
    return _Landed(stamp.revision) if is_ours else None


def _subjects(journal: Journal) -> Iterator[str]:
    yield from (str(change.key) for change in journal.state.changes)
    yield from (owed.service for owed in journal.state.owed)


def _draining_text(sessions: int) -> str:
    if not sessions:
        return ""
    return ", 1 session drains" if sessions == 1 else f", {sessions} sessions drain"


def _converged_text(action: ServiceAction, converged: Converged) -> str:
    draining = _draining_text(converged.draining_sessions)
    if converged.state != "running":
        return f"{converged.state}{draining}"
    past = "started" if converged.generation == 1 else "restarted"
    word = "reloaded" if action is ServiceAction.RELOAD else past
    generation = f", generation {converged.generation}" if converged.generation else ""
    return f"{word}{generation}{draining}"
