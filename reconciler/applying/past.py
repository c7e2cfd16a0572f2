"""A plan that brings live back what it was right after an entry of the history, by the versions that the target keeps.

It is planned, shown, carried out, probed and recorded like any other; only that each resource is restored and not
written, so that secrets come back too, which no file holds any more. What was made since goes, what a hold keeps stays,
and what is protected is not deleted: then nothing is planned at all. Called by `reconcile rollback`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

from reconciler.applying.history import Entry, HistoryError
from reconciler.model import (
    Absent,
    Action,
    Change,
    Desired,
    FieldChange,
    Hold,
    Key,
    Lifecycle,
    LiveState,
    Observed,
    Plan,
    Position,
    Present,
    Resource,
    Unreadable,
)
from reconciler.planning.diff import change_of, deletion_of, impact_of
from reconciler.planning.fingerprint import fingerprint
from reconciler.planning.held import held_keys
from reconciler.planning.impact import Planned, impacts_of, owed_actions
from reconciler.planning.order import ordered
from reconciler.planning.reach import reach_of
from reconciler.planning.selection import is_probe
from reconciler.targets.target import Reader
from schemas.v1.base import Spec

_ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Return:
    """The plan back, with what carrying it out needs: what is to be live, what is, and the version of each resource."""

    plan: Plan
    desired: Desired
    live: LiveState
    restores: Mapping[Key, int]


def plan_return(entry: Entry, reader: Reader, *, history: Path, holds: Iterable[Hold] = ()) -> Return:
    """Plan the way back to what was live right after `entry`. Raises HistoryError when that is not known or not
    possible, TargetError when the target cannot be read."""
    epoch = _epoch(entry, reader)
    past = {key: found for key, found in reader.live_at(epoch).items() if not is_probe(key)}
    live = reader.observe({key: found.spec for key, found in past.items()})
    position = Position(history, entry.number, 1)
    desired = _desired(past, position, f"history entry {entry.number}, revision {epoch}")
    held = held_keys(holds, desired, live)
    planned = {item.change.key: item for item in _planned(desired, past, live) if item.change.key not in held}
    _refuse_protected(planned.values(), live)
    return _return(planned, desired=desired, live=live, past=past, held=held)


def _return(
    planned: Mapping[Key, Planned],
    *,
    desired: Desired,
    live: LiveState,
    past: Mapping[Key, Present],
    held: Mapping[Key, Hold],
) -> Return:
    changes = ordered(item.change for item in planned.values())
    impacts = impacts_of((planned[change.key] for change in changes), desired, live)
    owed = owed_actions(
        desired,
        live,
        impacts,
        owes=lambda state: not held or any(k not in held for k, _ in state.pending_fields),
    )
    plan = Plan(
        configuration_digest=desired.digest,
        changes=changes,
        impacts=impacts,
        fingerprint=fingerprint(changes),
        unreadable=tuple(sorted(_unreadable(live))),
        owed=owed,
        reach=reach_of(changes, (*impacts, *owed), desired=desired, live=live),
        held=tuple(sorted(held.items(), key=itemgetter(0))),
    )
    restores = {change.key: past[change.key].revision for change in changes if change.key in past}
    return Return(plan, desired, live, restores)


def _epoch(entry: Entry, reader: Reader) -> int:
    if entry.outcome == "unfinished":
        raise HistoryError(
            f"history entry {entry.number} tells of an apply that was not over; choose another one"
        )
    if entry.epoch is None:
        raise HistoryError(
            f"what was live after history entry {entry.number} was not written down; choose another"
        )
    if entry.epoch > reader.epoch():
        raise HistoryError(
            f"history entry {entry.number} is about revision {entry.epoch}, and this runtime has not come so far: "
            "it is another one than the history tells of"
        )
    return entry.epoch


def _desired(past: Mapping[Key, Present], position: Position, what: str) -> Desired:
    """As if it were declared; secrets have no reference, the versions hold them."""
    resources = {
        key: Resource(
            key,
            found.spec,
            secrets={},
            ignore=(),
            positions={"": position},
            lifecycle=Lifecycle(protect=found.protected),
        )
        for key, found in past.items()
    }
    return Desired(resources, hashlib.sha256(what.encode()).hexdigest())


def _planned(desired: Desired, past: Mapping[Key, Present], live: LiveState) -> Iterator[Planned]:
    for key, resource in desired.resources.items():
        observed = live.resources.get(key, _ABSENT)
        if isinstance(observed, Unreadable):
            continue
        change = _change(resource, past[key], observed)
        if change is not None:
            yield Planned(change, _spec(observed), resource.spec)
    for key, found in live.resources.items():
        if isinstance(found, Present) and key not in past and not is_probe(key):
            yield Planned(deletion_of(key, found), found.spec, None)


def _change(resource: Resource, was: Present, now: Present | Absent) -> Change | None:
    change = change_of(resource, now, {})
    secrets = tuple(_secret_changes(resource, was, now))
    if not secrets:
        return change
    if change is None:
        assert isinstance(now, Present)
        return Change(resource.key, Action.UPDATE, secrets, now.revision, resource.position())
    return replace(change, fields=(*change.fields, *secrets))


def _secret_changes(resource: Resource, was: Present, now: Present | Absent) -> Iterator[FieldChange]:
    theirs = now.secrets if isinstance(now, Present) else {}
    for path in sorted(was.secrets.keys() | theirs.keys()):
        if was.secrets.get(path) != theirs.get(path):
            yield FieldChange(
                path,
                None,
                None,
                is_secret=True,
                position=resource.position(),
                impact=impact_of(resource.key.kind, path),
            )


def _spec(observed: Observed) -> Spec | None:
    return observed.spec if isinstance(observed, Present) else None


def _refuse_protected(planned: Iterable[Planned], live: LiveState) -> None:
    kept = [
        str(item.change.key)
        for item in planned
        if item.change.action is Action.DELETE
        and isinstance(found := live.resources[item.change.key], Present)
        and found.protected
    ]
    if kept:
        raise HistoryError(
            f"{', '.join(kept)} was made since and is protected, so it would not be deleted; declare it with "
            "lifecycle.protect false and apply that first, or hold it"
        )


def _unreadable(live: LiveState) -> Iterator[tuple[Key, str]]:
    for key, observed in live.resources.items():
        if isinstance(observed, Unreadable) and not is_probe(key):
            yield key, observed.error
