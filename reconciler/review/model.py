"""What a review holds, as frozen values: `review` makes one, the renderers show it.

Everything in it is for people who have the repository and nothing else: files are named from the repository's top, and
no value depends on where the clone lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.model import Diagnostic, Plan, Severity
from reconciler.review.difference import Concern
from reconciler.verdict import Finding


@dataclass(frozen=True, slots=True)
class Findings:
    """What the guardrails say of head, against what they said of base. `problems` are about policies themselves;
    waived findings are in `waived` alone, those that their document allows in `allowed`. `excused` are the errors of
    `waived` that no waiver let through in base."""

    new: tuple[Finding, ...] = ()
    remaining: tuple[Finding, ...] = ()
    fixed: tuple[Finding, ...] = ()
    waived: tuple[Finding, ...] = ()
    allowed: tuple[Finding, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    excused: tuple[Finding, ...] = ()

    @property
    def is_blocking(self) -> bool:
        """True when head brings an error, or policies cannot be held. What base has too is not this change's."""
        brought = (*self.problems, *(found.diagnostic for found in self.new))
        return any(diagnostic.severity is Severity.ERROR for diagnostic in brought)

    @property
    def errors_before(self) -> int:
        """How many errors stand in head that stood in base already."""
        return sum(found.diagnostic.severity is Severity.ERROR for found in self.remaining)


@dataclass(frozen=True, slots=True)
class Side:
    """One revision of one estate: what it says, if it can be said, and what is wrong or worth knowing."""

    digest: str | None
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[Path, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What keeps it from being applied."""
        return tuple(found for found in self.diagnostics if found.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What does not."""
        return tuple(found for found in self.diagnostics if found.severity is not Severity.ERROR)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One environment (None: the directory has no overlays). `plan` is None when a side cannot be compared. `live` is
    what applying head to the live estate would do, where that was asked for."""

    environment: str | None
    base: Side
    head: Side
    plan: Plan | None = None
    concerns: tuple[Concern, ...] = ()
    findings: Findings = Findings()
    live: Plan | None = None

    @property
    def is_refused(self) -> bool:
        """True when head must not be merged as it is."""
        return bool(self.head.errors) or self.findings.is_blocking

    @property
    def is_changed(self) -> bool:
        """True when head means something else than base, or nobody can tell."""
        return self.plan is None or bool(self.plan.changes or self.concerns)


@dataclass(frozen=True, slots=True)
class Review:
    """What a pull request means. `base` and `head` are the revisions as they were named, `base_commit` is where head
    left base; `guarding` are files of policies that the pull request changes."""

    directory: str
    base: str
    head: str
    base_commit: str
    head_commit: str
    comparisons: tuple[Comparison, ...]
    guarding: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """True when one environment must not be merged."""
        return any(comparison.is_refused for comparison in self.comparisons)

    @property
    def is_changed(self) -> bool:
        """True when one environment means something else."""
        return bool(self.guarding) or any(comparison.is_changed for comparison in self.comparisons)
