"""What guardrails say of a plan, as frozen values: waivers, findings, the verdict.

`guardrails` makes them, `pipeline` hands them on beside the plan, `rendering` turns them into text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from reconciler.model import Diagnostic, Position, Severity


@dataclass(frozen=True, slots=True)
class Waiver:
    """An exception: findings of one policy about matching subjects are let through until the end of `expires`, UTC."""

    policy: str
    resource: str
    reason: str
    expires: date
    position: Position

    def covers(self, policy: str, subject: str) -> bool:
        """True when it is about this finding, whatever the date."""
        return policy == self.policy and fnmatchcase(subject, self.resource)

    def is_expired(self, now: datetime) -> bool:
        """True once the day `expires` is over."""
        return now.date() > self.expires


@dataclass(frozen=True, slots=True)
class Finding:
    """A policy that is not met: of which subject, what to tell, and the waiver that lets it through, if one does. What
    its document allows says so in the diagnostic."""

    policy: str
    subject: str
    diagnostic: Diagnostic
    docs: str | None = None
    waiver: Waiver | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policies say of a plan. `problems` are about policies and waivers themselves."""

    findings: tuple[Finding, ...] = ()
    problems: tuple[Diagnostic, ...] = ()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything that is not waived, problems first; what a document allows is marked so."""
        return (*self.problems, *(found.diagnostic for found in self.findings if found.waiver is None))

    @property
    def is_blocking(self) -> bool:
        """True when the plan must not be applied."""
        return any(diagnostic.severity is Severity.ERROR for diagnostic in self.diagnostics)


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and the text of the files that it points into."""

    verdict: Verdict = Verdict()
    sources: Mapping[Path, str] = field(default_factory=dict)


UNJUDGED = Judged()
