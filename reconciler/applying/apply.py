"""Plan → Report: the one way in which anything is changed.

    lock  →  recover what a killed apply left  →  journal  →  the transaction  →  history  →  the journal's last record

The caller holds the lock and has recovered (see `recovery`) before it plans, so that the plan is made from a settled
state. `cli/` and `daemon/` call this; neither writes to a target by itself.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.applying import history
from reconciler.applying.history import Author
from reconciler.applying.journal import Journal, JournalState, prune
from reconciler.applying.transaction import Ending, Progress, Transaction
from reconciler.applying.verify import Verify
from reconciler.applying.work import owed_actions, plan_digest, prepare
from reconciler.model import Desired, LiveState, Plan, Report
from reconciler.state import StateDirectory
from reconciler.targets.target import Target


def _never() -> bool:
    return False


def _silently(_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Applier:
    """What an apply needs besides its plan: where to write, who writes, how to probe, whom to tell of each step.

    `should_stop` is asked before each write: true takes back what was written.
    """

    target: Target
    state: StateDirectory
    author: Author
    verify: Verify
    progress: Progress = _silently
    should_stop: Callable[[], bool] = _never

    def apply(self, plan: Plan, *, desired: Desired, live: LiveState) -> Report:
        """Carry the plan out, or take all of it back. Raises SecretError before anything is written."""
        work = prepare(plan, desired=desired, live=live)
        planned = JournalState(
            apply_id=new_apply_id(),
            actor=self.author.user,
            plan_digest=plan_digest(plan),
            changes=tuple(piece.change for piece in work),
            owed=owed_actions(plan),
        )
        journal = Journal.begin(self.state.journals, planned)
        ending = self.transaction(journal).carry_out(work, should_stop=self.should_stop)
        return self.close(journal, ending, author=self.author)

    def transaction(self, journal: Journal) -> Transaction:
        """The steps of `journal` on this target."""
        return Transaction(self.target, journal, verify=self.verify, progress=self.progress)

    def close(self, journal: Journal, ending: Ending, *, author: Author) -> Report:
        """History first, then the journal's last record: a kill in between repeats the line, and it is kept once."""
        history.append(
            self.state.history,
            ending.report,
            author=author,
            plan_digest=journal.state.plan_digest,
            is_finished=ending.record is not None,
        )
        if ending.record is not None:
            journal.record(ending.record)
        prune(self.state.journals)
        return ending.report


def new_apply_id() -> str:
    """Sorts by time; unique without asking anybody."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{randomness.token_hex(3)}"
