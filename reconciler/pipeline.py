"""read → check → resolve → observe → diff → plan → guard, as one call that can only look.

`reconcile plan`, `apply`, `drift` and the daemon all start here, so they cannot differ. It is given a `Reader`: nothing
in it can write. What the files have wrong comes back as diagnostics; what the target has wrong is raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.applying.secrets import digests, locked_writes
from reconciler.declared.ahead import NOT_AHEAD, Ahead
from reconciler.declared.layout import Inputs, locate
from reconciler.declared.load import load
from reconciler.model import Desired, Diagnostic, Hold, Key, LiveState, Plan, Prune, Selection, Severity
from reconciler.planning.moves import move_problems
from reconciler.planning.plan import EVERYTHING, NO_PRUNE, make_plan
from reconciler.planning.rename import rename_remarks
from reconciler.planning.selection import selector
from reconciler.targets.target import Reader
from reconciler.verdict import UNJUDGED, Judged

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard

NO_INPUTS = Inputs()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The files cannot be applied as they are."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with all that applying it needs. `diagnostics` are warnings; `digests` are those of the declared secrets
    under the target's key; `judged` is what guardrails say of it, nothing when none were asked; `files` were read, with
    these content hashes."""

    desired: Desired
    live: LiveState
    plan: Plan
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]
    digests: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    judged: Judged = UNJUDGED
    files: Mapping[Path, str] = field(default_factory=dict)


def plan_directory(
    directory: Path,
    reader: Reader,
    *,
    cache: Path | None = None,
    inputs: Inputs = NO_INPUTS,
    selection: Selection = EVERYTHING,
    prune: Prune = NO_PRUNE,
    holds: Sequence[Hold] = (),
    only_looks: bool = False,
    ahead: Ahead = NOT_AHEAD,
) -> Planned | Rejected:
    """Plan what `directory` declares against what is live. `only_looks`: nobody will apply it, so it may hold moves
    that an apply refuses. `ahead`: what is parsed elsewhere meanwhile. Raises TargetError, and SelectionError when what
    is selected or named for deletion does not exist."""
    reader.prepare()
    loaded = load(
        directory,
        cache=cache,
        environment=inputs.environment,
        variables=inputs.variables,
        policies=inputs.policies,
        ahead=ahead,
    )
    if loaded.desired is None or has_errors(loaded.diagnostics):
        return Rejected(loaded.diagnostics, loaded.sources)
    known = {key: resource.spec for key, resource in loaded.desired.resources.items()}
    live = reader.observe(known, loaded.desired.spec_digests)
    found, problems = digests(_selected(loaded.desired, selection, live), reader.digest_key(), live=live)
    diagnostics = (*loaded.diagnostics, *problems)
    if has_errors(problems):
        return Rejected(diagnostics, loaded.sources)
    plan = make_plan(loaded.desired, live, digests=found, selection=selection, prune=prune, holds=holds)
    plan = replace(plan, environment=locate(directory, inputs.environment)[1])
    moves = () if only_looks else tuple(move_problems(plan, loaded.desired, live))
    if moves:
        return Rejected((*diagnostics, *moves), loaded.sources)
    remarks = () if only_looks else tuple(rename_remarks(plan, loaded.desired, live))
    locked = () if only_looks else tuple(locked_writes(plan, loaded.desired, found))
    diagnostics = (*diagnostics, *remarks, *locked)
    return Planned(loaded.desired, live, plan, diagnostics, loaded.sources, found, files=loaded.files)


def _selected(desired: Desired, selection: Selection, live: LiveState) -> Desired:
    """What the plan is for: of nothing else is a secret read. Raises SelectionError."""
    selects = selector(selection, desired, live)
    return replace(desired, resources={key: one for key, one in desired.resources.items() if selects(key)})


def guarded(planned: Planned | Rejected, directory: Path, guard: Guard) -> Planned | Rejected:
    """The plan, held against the policies that `guard` asks for and those of the estate itself."""
    if isinstance(planned, Rejected):
        return planned
    return replace(planned, judged=guard.judge(planned, directory))


def has_errors(diagnostics: tuple[Diagnostic, ...]) -> bool:
    """True when at least one stops the run."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
