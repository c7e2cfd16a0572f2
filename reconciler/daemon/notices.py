"""What the loop tells whoever runs it, one value each. It prints nothing itself.

`events` turns them into lines, `metrics` counts them, `webhook` sends some of them, `reconcile up` draws them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.model import Diagnostic, Key, Plan, Report


@dataclass(frozen=True, slots=True)
class Recovered:
    """An apply that had been killed was finished or rolled back."""

    report: Report


@dataclass(frozen=True, slots=True)
class Broken:
    """The files cannot be applied; the last good configuration stays. `has_last_good` is false right after a start."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]
    has_last_good: bool = False


@dataclass(frozen=True, slots=True)
class Mended:
    """The files had been broken, and are in use again."""


@dataclass(frozen=True, slots=True)
class Warned:
    """The files can be applied, but not all is well: secrets that nobody here can open and compare, moves of mail that
    are refused, names that will go. Told when it is another list than before."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Live is what the files declare, but for those of `held` resources that differ."""

    held: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Live and declared differ. `drifted`: changed by hand; the other changes are of the files. `is_quick`: made from
    what is known, for a word at once; a plan from everything follows and is told if it says something else."""

    plan: Plan
    drifted: frozenset[Key] = frozenset()
    is_quick: bool = False


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """What is not healed, and why, each resource once until the reason changes. "" is the whole configuration."""

    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Flapping:
    """A resource was healed again and again, so somebody else keeps changing it; it is left alone from now on."""

    key: Key
    times: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Blocked:
    """Guardrails stand against the plan, or what is live is another environment's; nothing is applied until that is
    settled."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]

    @property
    def why(self) -> str:
        """Which of both it is."""
        if any(one.code == "other-environment" for one in self.diagnostics):
            return "The state belongs to another environment"
        return "Guardrails stand against the plan"


@dataclass(frozen=True, slots=True)
class Barred:
    """A configuration was rolled back; it is not applied again until the files change."""

    digest: str
    error: str


@dataclass(frozen=True, slots=True)
class Released:
    """Somebody asked to heal again what was left alone."""

    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Applying:
    """What is about to be done."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, or tried and rolled back."""

    plan: Plan
    report: Report
    drifted: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing could be done; tried again in `retry_in` seconds, or at the next change when None. `trace` is there when
    nobody had thought of the error. `is_last`: it ends, so this is tried again by whoever comes next."""

    error: str
    retry_in: float | None
    trace: str | None = None
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Revision:
    """The git reference is at another commit."""

    reference: str
    commit: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """`git fetch` worked, after so many failures in a row."""

    remote: str
    failures: int = 0


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """`git fetch` did not work; what was fetched before stays in use. `times` in a row."""

    error: str
    retry_in: float
    times: int = 1


@dataclass(frozen=True, slots=True)
class Standby:
    """Another daemon works on this state; this one waits for its end."""

    holder: str


@dataclass(frozen=True, slots=True)
class Leading:
    """This daemon works on this state from now on. `after`: who had it before."""

    token: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Another daemon has taken over, or could have; this one writes no more and ends."""

    error: str


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """One round is over: how long it took, and what there is to count. `has_good_files`: they can be read and checked;
    `barred`: why that configuration is not applied as a whole."""

    seconds: float
    is_success: bool
    plan: Plan | None = None
    drifted: frozenset[Key] = frozenset()
    declared: int = 0
    left_alone: Mapping[str, str] = field(default_factory=dict)
    has_good_files: bool = True
    barred: str | None = None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The daemon was asked to end."""


Notice = (
    Recovered
    | Broken
    | Mended
    | Warned
    | Unchanged
    | Found
    | LeftAlone
    | Flapping
    | Barred
    | Blocked
    | Released
    | Applying
    | Applied
    | Failed
    | Revision
    | Fetched
    | FetchFailed
    | Standby
    | Leading
    | LeaseLost
    | RoundEnded
    | Stopping
)
