"""One apply as a transaction: write, serve, probe, or take everything back.

    write each change by compare-and-swap  →  bring each owed service onto it  →  probe each  →  (the caller commits)
        └── failure ──┴── failure ──────────────────┴── failure ───────────┴→  restore in reverse, converge again

Every step is in the journal before it is taken and after it is done, and only the journal's state decides what is left
to do; so `apply` runs these steps on a fresh journal and `recovery` on what a killed apply left. A live revision that
somebody else made in between is never overwritten: it is left, and reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.applying.journal import Journal, OwedAction, PlannedChange, key_json
from reconciler.applying.verify import Verify
from reconciler.applying.work import Work
from reconciler.model import Action, Outcome, Present, Report, ServiceAction, ServiceState, StepResult
from reconciler.targets.target import (
    Attribution,
    ConflictError,
    Converged,
    Method,
    NotRunningError,
    Target,
    TargetError,
    TransientError,
    present,
)

Progress = Callable[[StepResult], None]
#: A request whose answer was lost is looked up, and repeated when it did nothing, this often.
ATTEMPTS = 3
SECONDS_BETWEEN_ATTEMPTS = 0.3


class StepFailedError(Exception):
    """A step failed, or the user asked to stop; what was done has to be taken back."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a transaction ended, and the record that will close its journal (None: a later run has to finish it)."""

    report: Report
    record: Literal["committed", "rolled back"] | None


@dataclass(frozen=True, slots=True)
class _Landed:
    """A write whose answer was lost did happen, and left this revision (None: it was a delete)."""

    revision: int | None


class Transaction:
    """The steps of one apply against one target. `report()` tells at any time what became of each."""

    def __init__(self, target: Target, journal: Journal, *, verify: Verify, progress: Progress) -> None:
        self._target = target
        self._journal = journal
        self._verify = verify
        self._progress = progress
        self._by = Attribution(journal.state.actor, journal.state.apply_id)
        self._steps = {subject: StepResult(subject, Outcome.NOT_REACHED) for subject in _subjects(journal)}

    def report(self, error: str | None = None) -> Report:
        """Every planned change and service, in order, with its outcome so far."""
        return Report(self._journal.state.apply_id, tuple(self._steps.values()), error)

    def carry_out(self, work: Iterable[Work], *, should_stop: Callable[[], bool]) -> Ending:
        """All steps of a fresh apply."""
        try:
            self._write(work, should_stop=should_stop)
            self._serve(only_pending=False)
            self._probe()
        except (StepFailedError, TargetError) as error:
            return self.roll_back(str(error))
        return Ending(self.report(), record="committed")

    def finish(self) -> Ending:
        """All steps that a killed apply still owes once every change was written."""
        try:
            self._serve(only_pending=True)
            self._probe()
        except (StepFailedError, TargetError) as error:
            return self.roll_back(str(error))
        return Ending(self.report(), record="committed")

    # -- forward -----------------------------------------------------------------------------------------------------

    def _write(self, work: Iterable[Work], *, should_stop: Callable[[], bool]) -> None:
        """Write each change. Raises StepFailedError at the first that fails, or between two when asked to stop."""
        for piece in work:
            if should_stop():
                raise StepFailedError(f"stopped by the user before {piece.change.key}")
            self._write_one(piece)

    def _serve(self, *, only_pending: bool) -> None:
        """Bring each owed service onto its live configuration. `only_pending`: the ones that still wait for it."""
        states = self._target.observe().services if only_pending else None
        for owed in self._journal.state.owed:
            if owed.service in self._journal.state.served:
                self._note(owed.service, Outcome.APPLIED, "done before the interruption")
            elif states is not None and _is_settled(states.get(owed.service)):
                self._journal.record("service done", service=owed.service)
                self._note(owed.service, Outcome.APPLIED, "runs its live configuration already")
            else:
                self._serve_one(owed)

    def _probe(self) -> None:
        """Log on through every service that was touched. Raises StepFailedError at the first that does not serve."""
        for owed in self._journal.state.owed:
            if owed.action is ServiceAction.STOP:
                continue
            result = self._verify(owed.service)
            if not result.is_serving:
                self._fail(owed.service, f"the probe failed: {result.detail}")
            self._note(
                owed.service, Outcome.APPLIED, _joined(self._steps[owed.service].detail, result.detail)
            )
        self._journal.record("verified")

    def find_lost_answers(self) -> None:
        """After a kill: which writes landed although no answer was written down?"""
        state = self._journal.state
        for change in state.changes:
            if change.key in state.written:
                self._note(str(change.key), Outcome.APPLIED, "written before the interruption")
            elif (landed := self._landed(change)) is not None:
                self._journal.record("written", **key_json(change.key), revision=landed.revision)
                self._note(str(change.key), Outcome.APPLIED, "written before the interruption")

    def _write_one(self, piece: Work) -> None:
        key = piece.change.key
        self._journal.record("write started", **key_json(key))
        try:
            revision = self._until_answered(lambda: self._send(piece), change=piece.change)
        except TargetError as error:
            self._fail(str(key), str(error))
        self._journal.record("written", **key_json(key), revision=revision)
        self._note(str(key), Outcome.APPLIED)

    def _send(self, piece: Work) -> int | None:
        change = piece.change
        if piece.spec is None:
            self._target.delete(change.key, expect=change.previous or 0, by=self._by)
            return None
        return self._target.write(
            change.key, piece.spec, secrets=piece.secrets, expect=change.previous, by=self._by
        )

    def _until_answered(self, send: Callable[[], int | None], *, change: PlannedChange) -> int | None:
        """A lost answer is no failure: the live resource says whether the write landed; if not, CAS makes it safe to
        send it again."""
        for attempt in range(ATTEMPTS):
            try:
                return send()
            except ConflictError as error:
                # The first of two requests may land late, and then the second meets it.
                if attempt and error.current and error.current.apply_id == self._by.apply_id:
                    return error.current.revision
                raise
            except TransientError:
                if (landed := self._landed(change)) is not None:
                    return landed.revision
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _landed(self, change: PlannedChange) -> _Landed | None:
        live = present(self._target.read(change.key))
        if live is None:
            return _Landed(None) if change.action is Action.DELETE else None
        is_ours = live.apply_id == self._by.apply_id and live.revision != change.previous
        return _Landed(live.revision) if is_ours else None

    def _serve_one(self, owed: OwedAction) -> None:
        self._journal.record("service started", service=owed.service)
        try:
            converged = self._converge(owed)
        except TargetError as error:
            self._fail(owed.service, str(error))
        self._journal.record("service done", service=owed.service, generation=converged.generation)
        self._note(owed.service, Outcome.APPLIED, _converged_text(owed.action, converged))

    def _converge(self, owed: OwedAction) -> Converged:
        method: Method = "reload" if owed.action is ServiceAction.RELOAD else "restart"
        reason = f"apply {self._by.apply_id}"
        try:
            return self._target.converge(owed.service, method, reason=reason)
        except TransientError:
            return self._target.converge(owed.service, method, reason=reason)

    # -- backward ----------------------------------------------------------------------------------------------------

    def roll_back(self, reason: str) -> Ending:
        """Restore in reverse order, then bring the services back. The apply is not over when the target is gone."""
        if self._journal.state.rolling_back is None:
            self._journal.record("rolling back", reason=reason)
        try:
            left = self._restore_all()
            left += self._converge_again()
        except (NotRunningError, TransientError) as error:
            told = f"the roll back could not be finished ({error}); the next `reconcile apply` finishes it"
            return Ending(self.report(f"{reason}; {told}"), record=None)
        told = f"left as it is: {', '.join(left)}" if left else "everything was rolled back"
        return Ending(self.report(f"{reason}; {told}"), record="rolled back")

    def _restore_all(self) -> list[str]:
        """The subjects that could not be restored."""
        state = self._journal.state
        touched = [
            one for one in reversed(state.changes) if one.key in state.started or one.key in state.written
        ]
        return [str(change.key) for change in touched if not self._restore_one(change)]

    def _restore_one(self, change: PlannedChange) -> bool:
        if change.key in self._journal.state.restored:
            return True
        try:
            was_ours = self._restore_if_ours(change)
        except (NotRunningError, TransientError):
            raise
        except TargetError as error:
            self._note(str(change.key), Outcome.FAILED, f"not rolled back: {error}")
            return False
        self._journal.record("restored", **key_json(change.key))
        if was_ours:
            self._note(str(change.key), Outcome.ROLLED_BACK)
        return True

    def _restore_if_ours(self, change: PlannedChange) -> bool:
        """True when this apply's value was taken back, false when it had never landed. Raises ConflictError when
        somebody else has changed the resource since."""
        live = present(self._target.read(change.key))
        if (live.revision if live else None) == change.previous:
            return change.key in self._journal.state.written
        landed = self._known_revision(change, live)
        if live is not None and landed is not None and live.revision > landed:
            return True
        expect = live.revision if live else None
        self._target.restore(change.key, change.previous, expect=expect, by=self._by)
        return True

    def _known_revision(self, change: PlannedChange, live: Present | None) -> int | None:
        """The revision that this apply gave the resource, written down before it is taken back: a higher one with the
        same apply id is then known to be the restored one. Raises ConflictError when the live one is not ours."""
        written = self._journal.state.written
        is_ours = change.action is Action.DELETE if live is None else live.apply_id == self._by.apply_id
        if not is_ours:
            raise ConflictError(change.key, expected=written.get(change.key), current=live)
        if change.key not in written:
            revision = live.revision if live else None
            self._journal.record("written", **key_json(change.key), revision=revision)
        return self._journal.state.written[change.key]

    def _converge_again(self) -> list[str]:
        """Bring the services that need it back onto the restored values, all of them before the first is probed: a
        back end is probed through its front end. Returns the ones that do not serve."""
        services = self._target.observe().services
        waiting = [owed for owed in self._journal.state.owed if not _is_settled(services.get(owed.service))]
        for owed in self._journal.state.owed:
            if owed not in waiting and self._steps[owed.service].outcome is not Outcome.NOT_REACHED:
                self._note_back(owed.service)
        converged = [owed for owed in waiting if self._converge_one_again(owed)]
        serving = [owed for owed in converged if self._verify_again(owed)]
        return [owed.service for owed in waiting if owed not in serving]

    def _converge_one_again(self, owed: OwedAction) -> bool:
        try:
            self._converge(owed)
        except (NotRunningError, TransientError):
            raise
        except TargetError as error:
            self._note_back(owed.service, f"with the previous values again: {error}", is_serving=False)
            return False
        return True

    def _verify_again(self, owed: OwedAction) -> bool:
        if owed.action is ServiceAction.START:
            self._note_back(owed.service)
            return True
        result = self._verify(owed.service)
        said = f"with the previous values again: {result.detail}"
        self._note_back(owed.service, said, is_serving=result.is_serving)
        return result.is_serving

    # -- telling -----------------------------------------------------------------------------------------------------

    def _note(self, subject: str, outcome: Outcome, detail: str = "") -> None:
        self._steps[subject] = StepResult(subject, outcome, detail)
        self._progress(self._steps[subject])

    def _note_back(self, subject: str, detail: str = "", *, is_serving: bool = True) -> None:
        """What failed stays failed in the report, also when the previous values serve again."""
        before = self._steps[subject]
        is_good = is_serving and before.outcome is not Outcome.FAILED
        outcome = Outcome.ROLLED_BACK if is_good else Outcome.FAILED
        self._note(subject, outcome, _joined(before.detail, detail))

    def _fail(self, subject: str, detail: str) -> None:
        self._note(subject, Outcome.FAILED, detail)
        raise StepFailedError(detail if subject in detail else f"{subject}: {detail}")


def _subjects(journal: Journal) -> Iterator[str]:
    yield from (str(change.key) for change in journal.state.changes)
    yield from (owed.service for owed in journal.state.owed)


def _is_settled(state: ServiceState | None) -> bool:
    """True when a service runs its live configuration, or is gone together with its server."""
    return state is None or (state.pending is None and state.state != "failed")


def _converged_text(action: ServiceAction, converged: Converged) -> str:
    draining = f", {converged.draining_sessions} sessions drain" if converged.draining_sessions else ""
    if converged.state != "running":
        return f"{converged.state}{draining}"
    past = "started" if converged.generation == 1 else "restarted"
    word = "reloaded" if action is ServiceAction.RELOAD else past
    return f"{word}, generation {converged.generation}{draining}"


def _joined(first: str, second: str) -> str:
    return "; ".join(text for text in (first, second) if text)
