"""read → check → resolve → observe → diff → plan, as one call that can only look.

`reconcile plan`, `apply`, `drift` and the daemon all start here, so they cannot differ. It is given a `Reader`: nothing
in it can write. What the files have wrong comes back as diagnostics; what the target has wrong is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.applying.secrets import digests
from reconciler.declared.load import load
from reconciler.model import Desired, Diagnostic, LiveState, Plan, Severity
from reconciler.planning.plan import make_plan
from reconciler.targets.target import Reader


@dataclass(frozen=True, slots=True)
class Rejected:
    """The files cannot be applied as they are."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with all that applying it needs. `diagnostics` are warnings."""

    desired: Desired
    live: LiveState
    plan: Plan
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]


def plan_directory(directory: Path, reader: Reader, *, cache: Path | None = None) -> Planned | Rejected:
    """Plan what `directory` declares against what is live. Raises TargetError."""
    loaded = load(directory, cache=cache)
    if loaded.desired is None or has_errors(loaded.diagnostics):
        return Rejected(loaded.diagnostics, loaded.sources)
    found, unreadable = digests(loaded.desired, reader.digest_key())
    diagnostics = (*loaded.diagnostics, *unreadable)
    if unreadable:
        return Rejected(diagnostics, loaded.sources)
    live = reader.observe({key: resource.spec for key, resource in loaded.desired.resources.items()})
    plan = make_plan(loaded.desired, live, digests=found)
    return Planned(loaded.desired, live, plan, diagnostics, loaded.sources)


def has_errors(diagnostics: tuple[Diagnostic, ...]) -> bool:
    """True when at least one stops the run."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
