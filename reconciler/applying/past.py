"""A plan that brings live back what it was right after an entry of the history, by the versions that the target keeps.

It is planned, shown, carried out, probed and recorded like any other; only that each resource is restored and not
written, so that secrets come back too, which no file holds any more. What an apply made since goes, within the limits
of `planning.prune`, and what a hold keeps stays. What was renamed since is renamed back, and a mailbox keeps its mail.
Where a deletion is not allowed, or mail would be left behind, nothing is planned. Called by `reconcile rollback`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
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
    Prune,
    Refusal,
    Resource,
    Unreadable,
)
from reconciler.planning.diff import change_of, impact_of
from reconciler.planning.fingerprint import fingerprint
from reconciler.planning.held import free, held_keys
from reconciler.planning.impact import Planned, impacts_of, owed_actions
from reconciler.planning.moves import move_problems
from reconciler.planning.order import ordered
from reconciler.planning.prune import MANAGER, pruned
from reconciler.planning.reach import reach_of
from reconciler.planning.selection import SelectionError
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


def plan_return(
    entry: Entry,
    reader: Reader,
    *,
    history: Path,
    holds: Iterable[Hold] = (),
    named: Collection[Key] = (),
) -> Return:
    """Plan the way back to what was live right after `entry`. `named` are deletions asked for one by one, as
    `plan --delete` does. Raises HistoryError when that is not known or not possible, SelectionError for a name that is
    not to be deleted, TargetError when the target cannot be read."""
    epoch = _epoch(entry, reader)
    past = {key: found for key, found in reader.live_at(epoch).items() if not key.is_probe}
    live = reader.observe({key: found.spec for key, found in past.items()})
    position = Position(history, entry.number, 1)
    desired = _desired(past, position, f"history entry {entry.number}, revision {epoch}")
    renamed = renamed_since(reader.renames_since(epoch), past)
    held = _held_by_both_names(held_keys(holds, desired, live), renamed)
    back = dict(_names_back(renamed, past, live, held))
    _refuse_named(named, past, back, number=entry.number)
    found = {item.change.key: item for item in _planned(desired, past, live, back)}
    planned = {key: item for key, item in found.items() if key not in held}
    prune = Prune(is_on=True, named=frozenset(named))
    gone = pruned(desired, _without(live, back.values()), prune, selects=free(lambda _: True, held))
    _refuse_deletions(gone.refused)
    planned |= {
        change.key: Planned(change, _spec(live.resources[change.key]), None) for change in gone.changes
    }
    way = _return(planned, desired=desired, live=live, past=past, held=held)
    _refuse_moves(way)
    changes = tuple(map(_undeclared, way.plan.changes))
    kept = [item.change for key, item in found.items() if key in held]
    kept += _made_since(live, past, held=held.keys() - renamed.values())
    plan = replace(
        way.plan,
        changes=changes,
        undeclared=gone.left,
        back_to=entry.number,
        held_changes=tuple(map(_undeclared, ordered(kept))),
    )
    return replace(way, plan=plan)


def _made_since(live: LiveState, past: Container[Key], *, held: Iterable[Key]) -> Iterator[Change]:
    """What an apply made since, and would go if it were not held."""
    for key in held:
        observed = live.resources.get(key)
        if key not in past and isinstance(observed, Present) and observed.managed_by == MANAGER:
            yield Change(key, Action.DELETE, (), observed.revision, None)


def _undeclared(change: Change) -> Change:
    """Without places: no file says this. (Where something is wrong with it, the history is what is pointed at.)"""
    fields = tuple(replace(field, position=None) for field in change.fields)
    return replace(change, fields=fields, position=None)


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


def renamed_since(renames: Iterable[tuple[Key, Key]], past: Mapping[Key, Present]) -> dict[Key, Key]:
    """What each resource of then is called now, those alone whose name is another; of a chain of names the last. What
    was made under a name that had become free is none of then."""
    then: dict[Key, Key] = {}
    left: set[Key] = set()
    for old, new in renames:
        if old in then:
            then[new] = then.pop(old)
        elif old not in left:
            then[new] = old
        left.add(old)
    return {was: now for now, was in then.items() if was != now and was in past}


def _held_by_both_names(held: Mapping[Key, Hold], renamed: Mapping[Key, Key]) -> dict[Key, Hold]:
    found = dict(held)
    for was, now in renamed.items():
        if was in held or now in held:
            found[was] = found[now] = held.get(now) or held[was]
    return found


def _names_back(
    renamed: Mapping[Key, Key], past: Mapping[Key, Present], live: LiveState, held: Mapping[Key, Hold]
) -> Iterator[tuple[Key, Key]]:
    """Each name of then that its resource gets back, and its name of now. Raises HistoryError where it is not possible
    and mail would be left under the other name."""
    for was, now in renamed.items():
        if was in held:
            continue
        is_there = not isinstance(live.resources.get(now, _ABSENT), Absent)
        is_taken = not isinstance(live.resources.get(was, _ABSENT), Absent)
        if is_there and not is_taken and now not in past:
            yield was, now
        elif was.kind == "Mailbox" and (is_there or not is_taken):
            why = _why_not_back(was, now, is_there=is_there, is_taken=is_taken)
            raise HistoryError(
                f"{was} of then was renamed to {now.name} since, with its mail, and cannot be renamed back: {why}; "
                f"or leave both as they are: reconcile hold {was}"
            )


def _why_not_back(was: Key, now: Key, *, is_there: bool, is_taken: bool) -> str:
    if not is_there:
        return f"{now} is not live any more; go back to an entry at which it was live first"
    if is_taken:
        return f"another {was} is live by now; delete or rename that one first"
    return f"another {now} was live then, and has to come back; rename this one to a third name first"


def _refuse_named(
    named: Iterable[Key], past: Mapping[Key, Present], back: Mapping[Key, Key], *, number: int
) -> None:
    """A deletion of what stays was asked for."""
    names = {now: was for was, now in back.items()}
    for key in sorted(named):
        if key in past:
            raise SelectionError(
                f"--delete {key}: it was live at history entry {number}, and therefore stays; leave --delete out"
            )
        if key in names:
            raise SelectionError(
                f"--delete {key}: it was live at history entry {number} as {names[key]}, and is renamed back; "
                "leave --delete out"
            )


def _without(live: LiveState, keys: Iterable[Key]) -> LiveState:
    """As if these were gone: they get another name, and are not there to be deleted."""
    gone = frozenset(keys)
    return LiveState({key: found for key, found in live.resources.items() if key not in gone}, live.services)


def _planned(
    desired: Desired, past: Mapping[Key, Present], live: LiveState, back: Mapping[Key, Key]
) -> Iterator[Planned]:
    for key, resource in desired.resources.items():
        now = back.get(key)
        observed = live.resources.get(now or key, _ABSENT)
        if isinstance(observed, Unreadable):
            continue
        change = _change(resource, past[key], observed, renamed_from=now.name if now else None)
        if change is not None:
            yield Planned(change, _spec(observed), resource.spec)


def _change(
    resource: Resource, was: Present, now: Present | Absent, *, renamed_from: str | None
) -> Change | None:
    change = change_of(resource, now, {}, renamed_from=renamed_from)
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


def _refuse_deletions(refused: Iterable[Refusal]) -> None:
    """Without all of them it would not be what was live then."""
    reasons = [f"  {refusal.key}: {refusal.reason}" for refusal in refused]
    if reasons:
        raise HistoryError(
            "going back means to delete what was made since, and this is not deleted:",
            *reasons,
            "name it with --delete where that is said, or let it stay: reconcile hold KIND/NAME",
        )


def _refuse_moves(back: Return) -> None:
    for problem in move_problems(back.plan, back.desired, back.live):
        raise HistoryError(f"{problem.message}; hold it to leave it where it is")


def _unreadable(live: LiveState) -> Iterator[tuple[Key, str]]:
    for key, observed in live.resources.items():
        if isinstance(observed, Unreadable) and not key.is_probe:
            yield key, observed.error
