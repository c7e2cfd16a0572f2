"""A saved plan against what is live now: what of it is left to do, or why it must not be done.

It may do less than was planned, because a part of it is so already; it never does more. A resource at another revision
than the planned one makes the plan stale, and so does a service that would be touched and was not to be, or harder.
Somebody else's change to what the plan does not touch leaves it good, unless the two do not go together. Pure: the live
state is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.model import (
    Absent,
    Action,
    Change,
    Desired,
    Key,
    Lifecycle,
    LiveState,
    Observed,
    Plan,
    Position,
    Present,
    Resource,
    ServiceAction,
    ServiceImpact,
    Unreadable,
)
from reconciler.planning.diff import PROTECTION
from reconciler.planning.fingerprint import fingerprint
from reconciler.planning.impact import Planned, impacts_of
from reconciler.planning.reach import reach_of
from reconciler.saved.around import disagreements, who_changed
from reconciler.saved.document import SavedPlan, Write

_ABSENT = Absent()
#: What may become of a planned action: itself, or what costs no session that was not counted.
_NO_WORSE: dict[ServiceAction, frozenset[ServiceAction]] = {
    ServiceAction.START: frozenset({ServiceAction.START}),
    ServiceAction.STOP: frozenset({ServiceAction.STOP}),
    ServiceAction.RELOAD: frozenset({ServiceAction.RELOAD, ServiceAction.START}),
    ServiceAction.RESTART: frozenset({ServiceAction.RESTART, ServiceAction.RELOAD, ServiceAction.START}),
}


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left to do, with what `Applier.apply` needs for it. `already` are the changes that are so by now."""

    plan: Plan
    desired: Desired
    already: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Stale:
    """Why the plan must not be carried out: one sentence for each resource or service that moved."""

    reasons: tuple[str, ...]


def compare(saved: SavedPlan, live: LiveState) -> Remaining | Stale:
    """What the plan comes to on this live state."""
    left = [change for change in saved.plan.changes if not is_so(change, saved, live)]
    if reasons := [reason for change in left for reason in _moved(change, live)]:
        return Stale(tuple(reasons))
    desired = _desired(saved, left)
    impacts = impacts_of([_planned(change, saved, live) for change in left], desired, live)
    if reasons := list(_harder(saved.plan, impacts)):
        return Stale(tuple(reasons))
    plan = _narrowed(saved.plan, left, impacts, live)
    if reasons := list(disagreements(saved, plan, desired=desired, live=live)):
        return Stale(tuple(reasons))
    plan = replace(plan, reach=reach_of(left, (*plan.impacts, *plan.owed), desired=desired, live=live))
    done = tuple(change.key for change in saved.plan.changes if change not in left)
    return Remaining(plan, desired, done)


def is_so(change: Change, saved: SavedPlan, live: LiveState) -> bool:
    """True when live is what the change would make it, whoever did it."""
    observed = live.resources.get(change.key, _ABSENT)
    if change.action is Action.DELETE:
        return isinstance(observed, Absent)
    if change.renamed_from and not isinstance(live.resources.get(change.live_key, _ABSENT), Absent):
        return False
    return isinstance(observed, Present) and _equals(observed, saved.writes[change.key], change)


def _equals(observed: Present, write: Write, change: Change) -> bool:
    is_protected_so = observed.protected == write.protect or all(f.path != PROTECTION for f in change.fields)
    return (
        observed.spec == write.spec.as_live()
        and is_protected_so
        and all(observed.secrets.get(path) == secret.digest for path, secret in write.secrets.items())
    )


def _moved(change: Change, live: LiveState) -> Iterator[str]:
    expected = [(change.live_key, change.revision)]
    if change.renamed_from:
        expected.append((change.key, None))
    for key, revision in expected:
        observed = live.resources.get(key, _ABSENT)
        if isinstance(observed, Unreadable) or _revision(observed) != revision:
            yield _told(key, revision, live)


def _revision(observed: Observed) -> int | None:
    return observed.revision if isinstance(observed, Present) else None


def _told(key: Key, planned: int | None, live: LiveState) -> str:
    match live.resources.get(key, _ABSENT):
        case Unreadable():
            return who_changed(key, live)
        case Absent():
            return f"{key} is gone: somebody deleted it after revision {planned}"
        case Present(revision=now):
            was = "it was not there" if planned is None else f"it was at revision {planned}"
            return f"{who_changed(key, live)}: {was} when this was planned, now it is at {now}"


def _harder(planned: Plan, impacts: Iterable[ServiceImpact]) -> Iterator[str]:
    """Service actions that were not planned, or that cost more than the planned ones."""
    known = {impact.service: impact.action for impact in (*planned.owed, *planned.impacts)}
    for impact in impacts:
        action = known.get(impact.service)
        if action is None:
            yield f"{impact.service} would now have to {impact.action.value}, which was not planned"
        elif impact.action not in _NO_WORSE[action]:
            yield f"{impact.service} would now have to {impact.action.value}; {action.value} was planned"


def _narrowed(planned: Plan, left: list[Change], impacts: tuple[ServiceImpact, ...], live: LiveState) -> Plan:
    """The planned actions that are still due: those of the changes left, and those that a service waits for by now."""
    touched = {impact.service for impact in impacts}
    waiting = {name for name, state in live.services.items() if state.pending}
    due = {
        impact.service: impact
        for impact in (*planned.owed, *planned.impacts)
        if impact.service in waiting and impact.service not in touched
    }
    return replace(
        planned,
        changes=tuple(left),
        impacts=impacts,
        owed=tuple(due[service] for service in sorted(due)),
        fingerprint=fingerprint(left),
    )


def _desired(saved: SavedPlan, left: list[Change]) -> Desired:
    found = {
        change.key: _resource(change, saved.writes[change.key])
        for change in left
        if change.action is not Action.DELETE
    }
    return Desired(found, saved.plan.configuration_digest)


def _resource(change: Change, write: Write) -> Resource:
    secrets = {path: secret.reference for path, secret in write.secrets.items()}
    position = change.position or Position(Path(), 0, 0)
    return Resource(
        write.key, write.spec, secrets, (), {"": position}, lifecycle=Lifecycle(protect=write.protect)
    )


def _planned(change: Change, saved: SavedPlan, live: LiveState) -> Planned:
    observed = live.resources.get(change.live_key, _ABSENT)
    old = observed.spec if isinstance(observed, Present) else None
    write = saved.writes.get(change.key)
    return Planned(change, old, write.spec.as_live() if write else None)
