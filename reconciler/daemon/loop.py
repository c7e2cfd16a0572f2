"""Plan and apply a directory whenever its content changes, until told to stop. It cannot die of what it is fed.

The same calls as `reconcile apply`, in a loop: broken files leave the last good configuration live, a failed apply has
been rolled back, and both are told and wait for the next change. What may go away by itself (another apply holds the
lock, the runtime does not answer) is tried again, later each time. It prints nothing: whoever runs it is told of each
`Notice`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from reconciler.applying.apply import Applier
from reconciler.applying.journal import JournalError
from reconciler.applying.lock import LockedError, apply_lock
from reconciler.applying.recovery import recover
from reconciler.daemon.watch import Contents, watch
from reconciler.model import Desired, Diagnostic, Plan, Report
from reconciler.pipeline import Planned, Rejected, plan_directory
from reconciler.secret import SecretError
from reconciler.targets.target import TargetError
from schemas.v1.certificate import Certificate

#: Seconds until the first and the latest further try after an error that may go away by itself.
FIRST_RETRY = 2.0
LAST_RETRY = 60.0


@dataclass(frozen=True, slots=True)
class Recovered:
    """An apply that had been killed was finished or rolled back."""

    report: Report


@dataclass(frozen=True, slots=True)
class Broken:
    """The files cannot be applied; what was live stays live."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Live is what the files declare."""


@dataclass(frozen=True, slots=True)
class Applying:
    """What is about to be done."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, or tried and rolled back."""

    plan: Plan
    report: Report


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing could be done; tried again in `retry_in` seconds, or at the next change when None."""

    error: str
    retry_in: float | None


Notice = Recovered | Broken | Unchanged | Applying | Applied | Failed


class Loop:
    """One directory, kept applied."""

    def __init__(self, directory: Path, applier: Applier, *, tell: Callable[[Notice], None]) -> None:
        self._directory = directory
        self._applier = applier
        self._tell = tell
        self._declared = Contents(directory, leave_out=[applier.state.path])
        self._referred = Contents()
        self._references: frozenset[Path] = frozenset()
        self._retry_at: float | None = None
        self._retry_in = FIRST_RETRY

    def run(self, stop: Event) -> None:
        """Apply now, then on each change, until `stop` is set."""
        self._has_changed()
        self.apply()
        for _ in watch(self._directory, stop=stop):
            if stop.is_set():
                return
            if self._has_changed() or self._is_retry_due():
                self.apply()

    def apply(self) -> None:
        """One round. Errors are told, never raised."""
        self._retry_at = None
        try:
            with apply_lock(self._applier.state.apply_lock, actor=self._applier.author.user):
                self._recover_and_apply()
            self._retry_in = FIRST_RETRY
        except (LockedError, TargetError) as error:
            self._retry_at = time.monotonic() + self._retry_in
            self._tell(Failed(str(error), self._retry_in))
            self._retry_in = min(LAST_RETRY, self._retry_in * 2)
        except (JournalError, SecretError, OSError) as error:
            self._tell(Failed(str(error), None))

    def _recover_and_apply(self) -> None:
        for report in recover(self._applier):
            self._tell(Recovered(report))
        planned = plan_directory(self._directory, self._applier.target, cache=self._applier.state.cache)
        if isinstance(planned, Rejected):
            self._tell(Broken(planned.diagnostics, planned.sources))
            return
        self._refer_to(referred_files(planned.desired))
        if planned.plan.is_empty:
            self._tell(Unchanged())
            return
        self._apply(planned)

    def _apply(self, planned: Planned) -> None:
        self._tell(Applying(planned.plan))
        report = self._applier.apply(planned.plan, desired=planned.desired, live=planned.live)
        self._tell(Applied(planned.plan, report))

    def _has_changed(self) -> bool:
        """Looks before the files are read, so that what changes while they are is seen the next time."""
        is_declared_anew = self._declared.has_changed()
        return self._referred.has_changed(self._references) or is_declared_anew

    def _refer_to(self, files: frozenset[Path]) -> None:
        if files != self._references:
            self._references = files
            self._referred.has_changed(files)

    def _is_retry_due(self) -> bool:
        return self._retry_at is not None and time.monotonic() >= self._retry_at


def referred_files(desired: Desired) -> frozenset[Path]:
    """Secret and certificate files that declarations refer to, wherever they lie."""
    resources = desired.resources.values()
    secrets = (
        ref.location for resource in resources for ref in resource.secrets.values() if ref.source == "file"
    )
    certificates = (r.spec.certificate_file for r in resources if isinstance(r.spec, Certificate))
    return frozenset(Path(file) for file in (*secrets, *certificates) if file)
