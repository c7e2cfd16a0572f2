"""The way back: every change restored in reverse order, then every service that needs it on the restored values again.

Like the way forward it writes down each step and acts on the journal alone, so that a killed roll back is taken up
where it was. A live revision that somebody else made since is never overwritten: it is left, and reported. What the
target refuses is tried again for as long as something else could be brought back meanwhile, since a refusal may come of
the order; what it refuses even then is told to the transaction, which owes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

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
    tied,
)

#: Changes that are restored in one request; more when they are tied.
TOGETHER = 100
T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Rest:
    """The subjects that are not as they were: `left` were changed by somebody else since and stay so; the target
    `refused` to restore these, or they do not serve on the restored values."""

    left: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


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
        self._generations: dict[str, int] = {}

    def everything(self) -> Rest:
        """Restore all that is ours, and converge."""
        refused = self._restore_all()
        down = self._converge_all()
        return Rest(tuple(map(str, self._left)), (*refused, *down))

    # -- resources ---------------------------------------------------------------------------------------------------

    def _restore_all(self) -> Sequence[str]:
        """Returns what the target refuses to restore."""
        state = self._journal.state
        for key in state.restored:
            self._outcomes.note(str(key), Outcome.ROLLED_BACK, "before the interruption")
        sent = state.started | state.written.keys()
        waiting = [change for change in reversed(state.changes) if change.key in sent]
        refused = _while_fewer(self._restore_until_answered, waiting)
        for change, error in refused.items():
            self._outcomes.note(str(change.key), Outcome.FAILED, f"not rolled back: {error}")
        return [str(change.key) for change in refused]

    def _restore_until_answered(
        self, changes: Collection[PlannedChange]
    ) -> Mapping[PlannedChange, TargetError]:
        """Until every answer was heard: what a lost request did is seen the next time."""
        pauses = retry.pauses()
        while True:
            try:
                return self._restore_once(changes)
            except TransientError:
                if (pause := next(pauses, None)) is None:
                    raise
                self._sleep(pause)

    def _restore_once(self, changes: Collection[PlannedChange]) -> Mapping[PlannedChange, TargetError]:
        done = self._journal.state.restored | self._left.keys()
        waiting = [change for change in changes if change.key not in done]
        if not waiting:
            return {}
        stamps = self._target.stamps()
        touched = [_Touched(change, stamps.resources.get(change.key)) for change in waiting]
        ours = [one for one in touched if self._is_to_be_restored(one, stamps)]
        self._note_landed(ours)
        refused: dict[PlannedChange, TargetError] = {}
        for batch in _cut(ours):
            refused |= self._restore(batch)
        return refused

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
            self._leave(
                change, ConflictError(change.key, expected=state.written.get(change.key), current=live)
            )
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

    def _restore(self, batch: Sequence[_Touched]) -> Mapping[PlannedChange, TargetError]:
        left = list(batch)
        refused: dict[PlannedChange, TargetError] = {}
        while left:
            written = self._send(left)
            done = len(written.revisions)
            self._restored([one.change for one in left[:done]], was_ours=True)
            left = left[done:]
            if written.error is None:
                continue
            first, *others = tied(left, lambda one: one.change.tie)
            if others and written.failed is None:
                return {**refused, **self._restore_one_by_one([first, *others])}
            refused |= self._not_restored(first, written.error)
            left = left[len(first) :]
        return refused

    def _restore_one_by_one(
        self, groups: Iterable[Sequence[_Touched]]
    ) -> Mapping[PlannedChange, TargetError]:
        """After a request that was refused as a whole: nobody knows for which of them."""
        refused: dict[PlannedChange, TargetError] = {}
        for group in groups:
            refused |= self._restore(group)
        return refused

    def _not_restored(
        self, group: Sequence[_Touched], error: TargetError
    ) -> Mapping[PlannedChange, TargetError]:
        """What somebody else has changed meanwhile is left; the others may be tried again, and so are all of them when
        the error is about another one, which they only could not be without."""
        changes = [one.change for one in group]
        about = error.key if isinstance(error, ConflictError) else None
        theirs = next((change for change in changes if about in (change.key, change.live_key)), None)
        if theirs is not None:
            changes.remove(theirs)
            self._leave(theirs, error)
        return dict.fromkeys(changes, error)

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

    def _converge_all(self) -> Sequence[str]:
        """Bring the services that need it back onto the restored values. Returns the ones that do not serve."""
        services = self._target.services()
        waiting = [owed for owed in self._journal.state.owed if self._waits(owed, services)]
        for owed in self._journal.state.owed:
            if owed not in waiting and self._was_touched(owed):
                self._outcomes.note_back(owed.service)
        down = _while_fewer(self._converge_again, waiting)
        for owed, detail in down.items():
            self._outcomes.note_back(owed.service, _again(detail), is_serving=False)
        return [owed.service for owed in down]

    def _waits(self, owed: OwedAction, services: Mapping[str, ServiceState]) -> bool:
        """One that did not serve when it was tried before may run the restored values all the same."""
        state = services.get(owed.service)
        return not is_settled(state) or (state is not None and owed.service in self._journal.state.refused)

    def _was_touched(self, owed: OwedAction) -> bool:
        return self._outcomes.of(owed.service).outcome not in (Outcome.NOT_REACHED, Outcome.SKIPPED)

    def _converge_again(self, waiting: Collection[OwedAction]) -> Mapping[OwedAction, str]:
        """All of them before the first is probed: a back end is probed through its front end. Returns why some do not
        serve."""
        services = self._target.services()
        down: dict[OwedAction, str] = {}
        for owed in waiting:
            if is_settled(services.get(owed.service)):
                continue
            if (why := self._why_not_converged(owed)) is not None:
                down[owed] = why
        for owed in waiting:
            if owed not in down and (why := self._why_not_serving(owed)) is not None:
                down[owed] = why
        return down

    def _why_not_converged(self, owed: OwedAction) -> str | None:
        try:
            self._generations[owed.service] = self._converge(owed).generation
        except (NotRunningError, TransientError):
            raise
        except TargetError as error:
            return str(error)
        return None

    def _why_not_serving(self, owed: OwedAction) -> str | None:
        if owed.action is ServiceAction.START:
            self._outcomes.note_back(owed.service)
            return None
        result = self._verify(owed.service)
        if not result.is_serving:
            return result.detail
        generation = self._generations.get(owed.service, 0)
        self._outcomes.note_back(owed.service, _again(result.detail, generation))
        return None


def _while_fewer(attempt: Callable[[Collection[T]], Mapping[T, V]], subjects: Collection[T]) -> Mapping[T, V]:
    """Attempt all of these, and then those that were refused, until an attempt gets nowhere. Returns what is refused,
    and why."""
    refused = attempt(subjects)
    while 0 < len(refused) < len(subjects):
        subjects, refused = refused, attempt(tuple(refused))
    return refused


def _again(detail: str, generation: int = 0) -> str:
    """`generation` is the one that serves now; 0 where none was made."""
    number = f", generation {generation}" if generation else ""
    return f"with the previous values again{number}: {detail}"


def is_settled(state: ServiceState | None) -> bool:
    """True when a service runs its live configuration, or is gone together with its server."""
    return state is None or (state.pending is None and state.state != "failed")


def _cut(ours: Iterable[_Touched]) -> Iterator[list[_Touched]]:
    batch: list[_Touched] = []
    for group in tied(ours, lambda one: one.change.tie):
        if batch and len(batch) + len(group) > TOGETHER:
            yield batch
            batch = []
        batch += group
    if batch:
        yield batch


def _restoring(touched: _Touched) -> Write:
    """The previous version back, under the previous name."""
    change = touched.change
    return Write(
        change.live_key,
        touched.live.revision if touched.live else None,
        is_restore=True,
        revision=change.previous,
        renamed_from=change.key.name if change.renamed_from else None,
        tie=change.tie,
    )
