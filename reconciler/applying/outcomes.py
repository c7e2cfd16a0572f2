"""What became of each step of one apply, told as it happens and kept for the report.

Used by the transaction, from all of its lanes; it knows nothing of targets or journals.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from reconciler.applying.events import Progress, Step
from reconciler.model import Outcome, StepResult


class Outcomes:
    """One `StepResult` a subject, in the order that the subjects were given; "not reached" at first."""

    def __init__(self, subjects: Iterable[str], tell: Progress) -> None:
        self._steps = {subject: StepResult(subject, Outcome.NOT_REACHED) for subject in subjects}
        self._tell = tell
        self._done: set[str] = set()
        self._lock = threading.Lock()

    def all(self) -> tuple[StepResult, ...]:
        """Every subject, as it is now."""
        return tuple(self._steps.values())

    def of(self, subject: str) -> StepResult:
        """One of them."""
        return self._steps[subject]

    def note(self, subject: str, outcome: Outcome, detail: str = "") -> None:
        """This is what became of it."""
        with self._lock:
            self._steps[subject] = step = StepResult(subject, outcome, detail)
            self._done.add(subject)
            self._tell(Step(step, len(self._done), len(self._steps)))

    def add(self, subject: str, detail: str) -> None:
        """The same outcome, with more to say."""
        before = self._steps[subject]
        self.note(subject, before.outcome, joined(before.detail, detail))

    def note_back(self, subject: str, detail: str = "", *, is_serving: bool = True) -> None:
        """It was taken back. What failed stays failed, also when the previous values serve again."""
        before = self._steps[subject]
        is_good = is_serving and before.outcome is not Outcome.FAILED
        outcome = Outcome.ROLLED_BACK if is_good else Outcome.FAILED
        self.note(subject, outcome, joined(before.detail, detail))


def joined(first: str, second: str) -> str:
    """Two parts of a sentence."""
    return "; ".join(text for text in (first, second) if text)
