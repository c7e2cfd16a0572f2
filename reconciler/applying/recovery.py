"""What a killed apply left is finished or taken back, before anything else is planned.

Every change written → forward: the services that still wait for their configuration are brought onto it, all are
probed, and the apply is committed. Otherwise, or when it was on its way back already → backward. Nothing is decided by
what was planned, only by the journal and by what is live. What the target refuses to bring back for the second time is
left as it is: the report and the history name it, and what is planned next is planned from there. Called by the verbs
that apply, `up` and the daemon, under the apply lock.
"""

from __future__ import annotations

from pathlib import Path

from reconciler.applying.apply import Applier
from reconciler.applying.history import Author
from reconciler.applying.journal import Journal, unfinished
from reconciler.applying.transaction import Ending
from reconciler.model import Report
from reconciler.targets.target import TargetError

INTERRUPTED = "this apply was interrupted before every change was written"


def recover(applier: Applier) -> tuple[Report, ...]:
    """One report for each apply that was left unfinished, oldest first; empty when there is none.

    Raises TargetError when the target cannot be read, JournalError when a journal cannot be.
    """
    return tuple(_recover(applier, journal) for journal in unfinished(applier.state.journals))


def refuse_unsettled(journals: Path) -> None:
    """Raise TargetError when an apply is unfinished still: nothing is planned between two states."""
    for journal in unfinished(journals):
        raise TargetError(
            f"{journal.state.unsettled} and could not be settled, so nothing else is applied; "
            "the next `reconcile apply` tries again"
        )


def _recover(applier: Applier, journal: Journal) -> Report:
    ending = _ending(applier, journal)
    return applier.close(journal, ending, author=Author(journal.state.actor, journal.state.commit))


def _ending(applier: Applier, journal: Journal) -> Ending:
    transaction = applier.transaction(journal)
    if journal.state.rolling_back is not None:
        return transaction.roll_back(
            journal.state.rolling_back, blames_configuration=journal.state.blames_configuration
        )
    transaction.find_lost_answers()
    if journal.state.is_fully_written:
        return transaction.finish()
    return transaction.roll_back(INTERRUPTED, blames_configuration=False)
