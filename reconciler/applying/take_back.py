"""The way back: every change restored in reverse order, then every service that needs it on the restored values again.

Like the way forward it writes down each step and acts on the journal alone, so that a killed roll back is taken up
where it was. A live revision that somebody else made since is never overwritten: it is left, and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.applying import retry
from reconciler.applying.journal import Journal, OwedAction, PlannedChange, key_json, keys_json
from reconciler.applying.outcomes import Outcomes
from reconciler.applying.verify import Verify
from reconciler.model import Action, Key, Outcome, ServiceAction, ServiceState
from reconciler.targets.target import (
    Attribution,
    ConflictError,
    Converged,
    NotRunningError,
    Stamp,
    Stamps,
    Target,
    TargetError,
    TransientError,
    Write,
    Written,
    present,
)

#: Changes that are restored in one request.
TOGETHER = 100


@dataclass(frozen=True, slots=True)
class _Touched:
    """A change that may be live, and what is live under its name now."""

    change: PlannedChange
    live: Stamp | None


class TakeBack:
    """The roll back of one apply. `everything` raises NotRunningError or TransientError when the target is gone."""

    def __init__(
        self,
        target: Target,
        journal: Journal,
        *,
        verify: Verify,
        outcomes: Outcomes,
        converge: Callable[[OwedAction], Converged],
        sleep: Callable[[float], None],
    ) -> None:
        self._target = target
        self._journal = journal
        self._verify = verify
        self._outcomes = outcomes
        self._converge = converge
        self._sleep = sleep
        self._by = Attribution(journal.state.actor, journal.state.apply_id)
        self._left: dict[Key, None] = {}

    def everything(self) -> list[str]:
        """Restore all that is ours, and converge. The subjects that had to be left as they are."""
        self._restore_all()
        return [*(str(key) for key in self._left), *self._converge_again()]

    # -- resources ---------------------------------------------------------------------------------------------------

    def _restore_all(self) -> None:
        """Until every answer was heard: what a lost request did is seen the next time."""
        for key in self._journal.state.restored:
            self._outcomes.note(str(key), Outcome.ROLLED_BACK, "before the interruption")
        pauses = retry.pauses()
        while True:
            try:
                return self._restore_once()
            except TransientError:
                if (pause := next(pauses, None)) is None:
                    raise
                self._sleep(pause)

    def _restore_once(self) -> None:
        state = self._journal.state
        sent = state.started | state.written.keys()
        waiting = [
            change
            for change in reversed(state.changes)
            if change.key in sent and change.key not in state.restored and change.key not in self._left
        ]
        if not waiting:
            return
        stamps = self._target.stamps()
        touched = [_Touched(change, stamps.resources.get(change.key)) for change in waiting]
        ours = [one for one in touched if self._is_to_be_restored(one, stamps)]
        self._note_landed(ours)
        for start in range(0, len(ours), TOGETHER):
            self._restore(ours[start : start + TOGETHER])

    def _is_to_be_restored(self, touched: _Touched, stamps: Stamps) -> bool:
        """False for what never landed, for what is restored already, and for what somebody else has changed since."""
        change, live = touched.change, touched.live
        state = self._journal.state
        before = stamps.resources.get(change.live_key)
        if (before.revision if before else None) == change.previous:
            self._restored([change], was_ours=change.key in state.written)
            return False
        if self._is_back(touched, before):
            self._restored([change], was_ours=True)
            return False
        is_ours = change.action is Action.DELETE if live is None else self._is_ours(live)
        if not is_ours:
            self._leave(change, self._conflict(change))
        return is_ours

    def _is_back(self, touched: _Touched, before: Stamp | None) -> bool:
        """True when a request whose answer was lost has restored it: it is this apply's, and newer than what the apply
        had made of it, or there again although the apply had taken it away."""
        change, live = touched.change, touched.live
        if change.renamed_from:
            return live is None and self._is_ours(before)
        if change.action is Action.DELETE:
            return self._is_ours(live)
        landed = self._journal.state.written.get(change.key)
        return live is not None and landed is not None and self._is_ours(live) and live.revision > landed

    def _is_ours(self, stamp: Stamp | None) -> bool:
        return stamp is not None and stamp.apply_id == self._by.apply_id

    def _conflict(self, change: PlannedChange) -> ConflictError:
        current = present(self._target.read(change.key))
        return ConflictError(
            change.key, expected=self._journal.state.written.get(change.key), current=current
        )

    def _note_landed(self, ours: Iterable[_Touched]) -> None:
        """The revisions that this apply made, written down before they are taken back: a higher one with the same apply
        id is then known to be the restored one."""
        unknown = [
            {**key_json(one.change.key), "revision": one.live.revision if one.live else None}
            for one in ours
            if one.change.key not in self._journal.state.written
        ]
        if unknown:
            self._journal.record("written", changes=[*unknown])

    def _restore(self, batch: Sequence[_Touched]) -> None:
        left = list(batch)
        while left:
            written = self._send(left)
            done = len(written.revisions)
            self._restored([one.change for one in left[:done]], was_ours=True)
            if written.error is not None:
                self._leave(left[done].change, written.error)
                done += 1
            left = left[done:]

    def _send(self, touched: Iterable[_Touched]) -> Written:
        return self._target.write_many([_restoring(one) for one in touched], by=self._by)

    def _restored(self, changes: Sequence[PlannedChange], *, was_ours: bool) -> None:
        if not changes:
            return
        self._journal.record("restored", changes=keys_json(changes))
        for change in changes if was_ours else ():
            self._outcomes.note(str(change.key), Outcome.ROLLED_BACK)

    def _leave(self, change: PlannedChange, error: TargetError) -> None:
        self._left[change.key] = None
        self._outcomes.note(str(change.key), Outcome.FAILED, f"not rolled back: {error}")

    # -- services ----------------------------------------------------------------------------------------------------

    def _converge_again(self) -> list[str]:
        """Bring the services that need it back onto the restored values, all of them before the first is probed: a
        back end is probed through its front end. Returns the ones that do not serve."""
        services = self._target.services()
        waiting = [owed for owed in self._journal.state.owed if not is_settled(services.get(owed.service))]
        for owed in self._journal.state.owed:
            if owed not in waiting and self._was_touched(owed):
                self._outcomes.note_back(owed.service)
        converged = [owed for owed in waiting if self._converge_one(owed)]
        serving = [owed for owed in converged if self._verify_again(owed)]
        return [owed.service for owed in waiting if owed not in serving]

    def _was_touched(self, owed: OwedAction) -> bool:
        return self._outcomes.of(owed.service).outcome not in (Outcome.NOT_REACHED, Outcome.SKIPPED)

    def _converge_one(self, owed: OwedAction) -> bool:
        try:
            self._converge(owed)
        except (NotRunningError, TransientError):
            raise
        except TargetError as error:
            self._outcomes.note_back(
                owed.service, f"with the previous values again: {error}", is_serving=False
            )
            return False
        return True

    def _verify_again(self, owed: OwedAction) -> bool:
        if owed.action is ServiceAction.START:
            self._outcomes.note_back(owed.service)
            return True
        result = self._verify(owed.service)
        said = f"with the previous values again: {result.detail}"
        self._outcomes.note_back(owed.service, said, is_serving=result.is_serving)
        return result.is_serving


def is_settled(state: ServiceState | None) -> bool:
    """True when a service runs its live configuration, or is gone together with its server."""
    return state is None or (state.pending is None and state.state != "failed")


def _restoring(touched: _Touched) -> Write:
    """The previous version back, under the previous name."""
    change = touched.change
    return Write(
        change.live_key,
        touched.live.revision if touched.live else None,
        is_restore=True,
        revision=change.previous,
        renamed_from=change.key.name if change.renamed_from else None,
    )
