"""One round: read, plan, tell, and, where that is switched on, heal what may be healed.

    read (or keep the last good configuration)  →  plan  →  what drifted, what the files changed  →  tell
        →  leave alone: kinds not switched on, holds, waits, flapping, a barred configuration, what needs one of these
        →  apply the rest as `reconcile apply` does  →  remember what became of it

Errors that a round cannot do anything about are raised; `loop` survives them. In the mode `report` nothing is written,
not even to the state directory. A round that is in vain ends before it tells or writes what it found. Its thread may be
left behind while it reads, but not while it writes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from reconciler.applying.apply import Applier, Special
from reconciler.applying.history import Author, failed_configuration
from reconciler.applying.journal import unfinished
from reconciler.applying.lock import apply_lock
from reconciler.applying.recovery import recover, refuse_unsettled
from reconciler.daemon import notices
from reconciler.daemon.feed import Feed
from reconciler.daemon.ledger import Ledger
from reconciler.daemon.notices import Notice
from reconciler.daemon.planner import Good, Planner, View, Word
from reconciler.daemon.restraint import blamed, chosen
from reconciler.model import Action, Change, Diagnostic, Key, LiveState, Plan, Present, Report
from reconciler.pipeline import Planned, Rejected
from reconciler.verdict import UNJUDGED, Judged

Tell = Callable[[Notice], None]
Judge = Callable[[Planned], Judged]
IsInVain = Callable[[], bool]


def no_judge(_: Planned) -> Judged:
    """Nobody minds."""
    return UNJUDGED


@dataclass(frozen=True, slots=True)
class Healing:
    """What may be changed, and what speaks against it: only these `kinds` (none given: every kind), nothing that the
    ledger remembers, no plan that `judge` blocks. `origin` is what the history says of where an apply comes from."""

    ledger: Ledger
    kinds: frozenset[str] = frozenset()
    judge: Judge = no_judge
    origin: Mapping[str, JsonValue] = field(default_factory=dict)


class Rounds:
    """The rounds of one daemon, one after another. `healing` None: the mode `report`."""

    def __init__(
        self, planner: Planner, applier: Applier, feed: Feed, *, tell: Tell, healing: Healing | None
    ) -> None:
        self._planner = planner
        self._applier = applier
        self._feed = feed
        self._tell = tell
        self._healing = healing
        self._writing = threading.Lock()
        self._synced: set[Key] = set()
        self._broken: tuple[Diagnostic, ...] | None = None
        self._told: object = None
        self._left: Mapping[str, str] = {}
        self._has_recovered = False
        self._blocked: tuple[Diagnostic, ...] = ()
        self._warnings: tuple[Diagnostic, ...] = ()

    @property
    def heals(self) -> bool:
        """True when rounds may write."""
        return self._healing is not None

    def next_try(self) -> float | None:
        """Seconds until a resource that waits may be tried again."""
        return self._healing.ledger.next_try() if self._healing else None

    def release(self, patterns: Sequence[str]) -> None:
        """Heal again what was left alone."""
        for pattern in patterns:
            found = self._healing.ledger.release(pattern) if self._healing else ()
            self._tell(notices.Released(found))
            self._left = {}

    def run(self, *, has_news: bool, reads: bool, is_in_vain: IsInVain) -> bool | None:
        """One round; false when the files are broken, barred or blocked, or an apply failed, None when it was in vain.
        `has_news`: something was saved, so say also that nothing has to be done. `reads` False: the files are what they
        were. Raises LockedError, TargetError, GitError, JournalError, HoldError, SecretError, OSError."""
        started = time.monotonic()
        lock = apply_lock(self._applier.state.apply_lock, actor=self._applier.author.user)
        with lock if self._healing else nullcontext():
            self._recover(is_in_vain)
            must_read = reads or self._broken is not None or not self._planner.has_good
            files = self._planner.read() if must_read else None
            if is_in_vain():
                return None
            view = self._view(files, has_news=has_news)
            with self._writing:
                if is_in_vain():
                    return None
                is_good = self._conclude(view, has_news=has_news)
                self._end(view, time.monotonic() - started, is_success=is_good)
        return is_good

    def settle(self, *, within: float) -> bool:
        """Wait so many seconds until nothing is being written; true when nothing is. Nothing will be any more once
        rounds are in vain."""
        is_settled = self._writing.acquire(timeout=within)
        if is_settled:
            self._writing.release()
        return is_settled

    def tell_quick(self, word: Word) -> None:
        """A plan that was made in milliseconds."""
        plan = word.plan
        if not plan.is_empty and _signature(plan) != self._told:
            self._told = _signature(plan)
            self._tell(notices.Found(plan, self._drifted(plan, word.live), is_quick=True))

    # -- looking -------------------------------------------------------------------------------------------------------

    def _recover(self, is_in_vain: IsInVain) -> None:
        with self._writing:
            if self._healing and not is_in_vain():
                for report in recover(self._applier):
                    self._has_recovered = True
                    self._tell(notices.Recovered(report))
                refuse_unsettled(self._applier.state.journals)

    def _view(self, files: Good | Rejected | None, *, has_news: bool) -> View | None:
        """What is in use against what is live. Files that ask for a name of another live resource are not used either,
        as `plan` and `apply` refuse them."""
        view = None if isinstance(files, Rejected) else self._planner.view(files)
        if view is not None and files is not None and view.taken:
            files = Rejected((*view.planned.diagnostics, *view.taken), view.planned.sources)
        self._tell_files(files, has_news=has_news)
        return self._planner.view() if isinstance(files, Rejected) else view

    def _tell_files(self, files: Good | Rejected | None, *, has_news: bool) -> None:
        """What is wrong with them, if they are not to be used; None: they are what they were."""
        if not isinstance(files, Rejected):
            if self._broken is not None:
                self._tell(notices.Mended())
            self._broken = None
        elif has_news or files.diagnostics != self._broken:
            self._broken = files.diagnostics
            self._tell(notices.Broken(files.diagnostics, files.sources, self._planner.has_good))

    def _conclude(self, view: View | None, *, has_news: bool) -> bool:
        """Use what was found: tell it, and heal."""
        is_good = self._broken is None
        if view is None:
            return is_good
        self._planner.adopt(view)
        self._tell_warnings(view)
        self._tell_view(view, has_news=has_news and is_good)
        return (self._heal(view, self._healing) if self._healing else True) and is_good

    def _tell_view(self, view: View, *, has_news: bool) -> None:
        plan = view.planned.plan
        self._synced |= view.planned.desired.resources.keys() - {change.key for change in plan.changes}
        signature = _signature(plan)
        if plan.is_empty and not plan.unreadable:
            if has_news or signature != self._told:
                self._tell(notices.Unchanged(tuple(change.key for change in plan.held_changes)))
        elif signature != self._told and not self.heals:
            self._tell(notices.Found(plan, self._drifted(plan, view.planned.live)))
        self._told = signature

    def _tell_warnings(self, view: View) -> None:
        """What is left alone when healing is told as such."""
        warnings = view.planned.diagnostics + (() if self.heals else view.moves)
        if warnings and warnings != self._warnings:
            self._tell(notices.Warned(warnings, view.planned.sources))
        self._warnings = warnings

    def _drifted(self, plan: Plan, live: LiveState | None) -> frozenset[Key]:
        return frozenset(change.key for change in plan.changes if self._is_drift(change, live))

    def _is_drift(self, change: Change, live: LiveState | None) -> bool:
        """Was it live's last writer who made the difference, or the files? A write by hand carries no apply."""
        if change.action is Action.CREATE or live is None:
            return change.key in self._synced
        observed = live.resources.get(change.live_key)
        return isinstance(observed, Present) and observed.apply_id is None

    # -- healing -------------------------------------------------------------------------------------------------------

    def _heal(self, view: View, healing: Healing) -> bool:
        """Apply what may be applied; true unless that failed, or the whole is not to be applied."""
        if healing.ledger.declare(view.aim) or self._has_recovered:
            self._bar_if_it_failed(view, healing.ledger)
        self._has_recovered = False
        choice = chosen(view, kinds=healing.kinds, ledger=healing.ledger)
        self._tell_left({**choice.held, **choice.left})
        if choice.is_nothing:
            return False
        if view.planned.plan.is_empty and not view.planned.plan.unreadable:
            healing.ledger.note_in_sync(view.aim)
        plan = choice.plan(view)
        if plan.is_empty:
            return True
        planned = replace(view.planned, plan=plan)
        return self._is_allowed(planned, healing.judge) and self._apply(view, plan, healing)

    def _is_allowed(self, planned: Planned, judge: Judge) -> bool:
        """Tell what stands against the plan, once."""
        judged = judge(planned)
        blocked = judged.verdict.diagnostics if judged.verdict.is_blocking else ()
        if blocked and blocked != self._blocked:
            self._tell(notices.Blocked(blocked, judged.sources))
        self._blocked = blocked
        return not blocked

    def _apply(self, view: View, plan: Plan, healing: Healing) -> bool:
        self._tell(notices.Applying(plan))
        drifted = self._drifted(plan, view.planned.live)
        applier = replace(self._applier, author=Author(self._applier.author.user, self._feed.commit()))
        special = Special(origin=healing.origin)
        report = applier.apply(plan, desired=view.planned.desired, live=view.planned.live, special=special)
        self._told = None
        self._tell(notices.Applied(plan, report, drifted))
        if report.is_success:
            self._note_success(view, plan, drifted, healing.ledger)
        elif not (self._applier.should_stop() or self._was_cut_off()):
            self._note_failure(view, plan, report, healing.ledger)
        return report.is_success

    def _was_cut_off(self) -> bool:
        """True when the target went away, which is nobody's fault; what it refuses is not that."""
        return any(not journal.state.refused for journal in unfinished(self._applier.state.journals))

    def _note_success(self, view: View, plan: Plan, drifted: frozenset[Key], ledger: Ledger) -> None:
        self._synced |= {change.key for change in plan.changes}
        for subject in ledger.note_healed(sorted(map(str, drifted))):
            kind, _, name = subject.partition("/")
            patience = ledger.patience
            self._tell(notices.Flapping(Key(kind, name), patience.most_heals, patience.within / 60))
        if len(plan.changes) == len(view.planned.plan.changes):
            ledger.note_in_sync(view.aim)

    def _note_failure(self, view: View, plan: Plan, report: Report, ledger: Ledger) -> None:
        """A configuration that fails by its own fault and never was live is barred; what was live once, or met somebody
        else's write, is tried again, each time later."""
        if not self._bar_if_it_failed(view, ledger):
            ledger.note_failed(blamed(plan, report), report.error or "it failed")

    def _bar_if_it_failed(self, view: View, ledger: Ledger) -> bool:
        """Whoever tried it: this daemon, the one before, or `reconcile apply`."""
        digest = view.planned.plan.configuration_digest
        failed = failed_configuration(self._applier.state.history, digest)
        if failed is None or ledger.is_good(view.aim) or not ledger.is_to_blame(view.aim, failed.time):
            return False
        ledger.bar(view.aim, failed.error)
        self._tell(notices.Barred(digest, failed.error))
        return True

    def _tell_left(self, left: Mapping[str, str]) -> None:
        news = {subject: reason for subject, reason in left.items() if self._left.get(subject) != reason}
        self._left = left
        if news:
            self._tell(notices.LeftAlone(news))

    def _end(self, view: View | None, seconds: float, *, is_success: bool) -> None:
        plan = view.planned.plan if view else None
        drifted = self._drifted(plan, view.planned.live) if view and plan else frozenset()
        declared = len(view.planned.desired.resources) if view else 0
        ledger = self._healing.ledger if self._healing else None
        ended = notices.RoundEnded(
            seconds,
            is_success,
            has_good_files=self._broken is None,
            barred=ledger.why_not_at_all(view.aim) if ledger and view else None,
            plan=plan,
            drifted=drifted,
            declared=declared,
            left_alone=self._left,
        )
        self._tell(ended)


def _signature(plan: Plan) -> object:
    """What a plan would do, so that it is told once."""
    changes, held = map(_wanted, (plan.changes, plan.held_changes))
    owed = tuple((impact.service, impact.action) for impact in (*plan.impacts, *plan.owed))
    return changes, held, owed, plan.unreadable


def _wanted(changes: Sequence[Change]) -> object:
    return tuple((change.key, change.action, change.revision, _values(change)) for change in changes)


def _values(change: Change) -> str:
    return repr([(field.path, field.old, field.new) for field in change.fields])
