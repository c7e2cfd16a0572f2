"""Plan → Report: the one way in which anything is changed.

    lock  →  recover what a killed apply left  →  journal  →  the transaction  →  history  →  the journal's last record

The caller holds the lock and has recovered (see `recovery`) before it plans, so that the plan is made from a settled
state. `cli/` and `daemon/` call this; neither writes to a target by itself.
"""

from __future__ import annotations

import secrets as randomness
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import JsonValue

from reconciler.applying import history
from reconciler.applying.events import Progress, silently
from reconciler.applying.history import Author
from reconciler.applying.journal import Journal, JournalState, prune
from reconciler.applying.ties import in_order_of_names
from reconciler.applying.transaction import DEFAULT_PARALLELISM, Ending, Manner, Transaction
from reconciler.applying.verify import Verify
from reconciler.applying.work import owed_actions, plan_digest, prepare
from reconciler.model import Desired, Key, LiveState, Plan, Report
from reconciler.state import StateDirectory
from reconciler.targets.requests import refuse_too_long
from reconciler.targets.target import Attribution, Target, TargetError


def _never() -> bool:
    return False


class ApplyLeftError(Exception):
    """Somebody did not want to wait for the current step. The next run settles what was begun; `report` is how far it
    had come."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.error)
        self.report = report


@dataclass(frozen=True, slots=True)
class Special:
    """What makes an apply another thing than making live what files declare: the versions that it brings back, and what
    the history says of its origin, such as the entry that it rolls back to."""

    restores: Mapping[Key, int] = field(default_factory=dict)
    origin: Mapping[str, JsonValue] = field(default_factory=dict)


PLAIN = Special()


@dataclass(frozen=True, slots=True)
class Applier:
    """What an apply needs besides its plan: where to write, who writes, how to probe, whom to tell of each step.

    `should_stop` is asked before each step: true takes back what was written. `parallelism`: servers at once.
    """

    target: Target
    state: StateDirectory
    author: Author
    verify: Verify
    progress: Progress = silently
    should_stop: Callable[[], bool] = _never
    parallelism: int = DEFAULT_PARALLELISM
    sleep: Callable[[float], None] = time.sleep

    def apply(self, plan: Plan, *, desired: Desired, live: LiveState, special: Special = PLAIN) -> Report:
        """Carry the plan out, or take all of it back. Raises SecretError before anything is written, as well as
        TargetError for what no request can hold; ApplyLeftError when a KeyboardInterrupt comes in between."""
        prepared = prepare(plan, desired=desired, live=live, restores=special.restores)
        work = in_order_of_names(prepared, desired=desired, live=live)
        by = Attribution(self.author.user, new_apply_id())
        refuse_too_long([piece.write for piece in work], by)
        planned = JournalState(
            apply_id=by.apply_id or "",
            actor=self.author.user,
            commit=self.author.commit,
            plan_digest=plan_digest(plan),
            configuration_digest=plan.configuration_digest,
            origin=special.origin,
            changes=tuple(piece.change for piece in work),
            owed=owed_actions(plan),
        )
        journal = Journal.begin(self.state.journals, planned)
        transaction = self.transaction(journal)
        try:
            ending = transaction.carry_out(work)
        except KeyboardInterrupt as stop:
            raise ApplyLeftError(_named(transaction.report(_LEFT), journal.state)) from stop
        return self.close(journal, ending, author=self.author)

    def transaction(self, journal: Journal) -> Transaction:
        """The steps of `journal` on this target."""
        manner = Manner(self.progress, self.should_stop, self.parallelism, self.sleep)
        return Transaction(self.target, journal, verify=self.verify, manner=manner)

    def close(self, journal: Journal, ending: Ending, *, author: Author) -> Report:
        """History first, then the journal's last record: a kill in between repeats the line, and it is kept once."""
        history.append(
            self.state.history,
            history.entry_of(
                ending.report,
                author=author,
                state=journal.state,
                record=ending.record,
                epoch=self._epoch(),
            ),
        )
        if ending.record is not None:
            journal.record(ending.record)
        prune(self.state.journals)
        return _named(ending.report, journal.state)

    def _epoch(self) -> int | None:
        """The live revision that the apply ended at; None when the target is gone."""
        try:
            return self.target.epoch()
        except TargetError:
            return None


def _named(report: Report, state: JournalState) -> Report:
    """With the environment that asked for it."""
    environment = state.origin.get("environment")
    return replace(report, environment=environment) if isinstance(environment, str) else report


_LEFT = "left in the middle, as you asked; the next `reconcile apply` finishes it or takes it back"


def new_apply_id() -> str:
    """Sorts by time; unique without asking anybody."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{randomness.token_hex(3)}"
