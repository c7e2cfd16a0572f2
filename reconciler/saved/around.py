"""What happened around a saved plan: is what it makes still whole, beside what is live by now?

A plan says what it changes; others may have changed what it does not touch so that the two do not go together: a
mailbox in a database that it deletes, a mailbox whose database is gone, an address that belongs to somebody else. Pure;
called by `check`, once what the plan touches is known to be as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from reconciler.model import Absent, Action, Desired, Key, LiveState, Plan, Position, Present, Unreadable
from reconciler.planning.afterwards import Surroundings, afterwards
from reconciler.planning.prune import let_go, referrers_of, targets_of
from reconciler.saved.document import SavedPlan
from schemas.v1.kinds import KINDS

_ABSENT = Absent()
_ELSEWHERE = Position(Path(), 0, 0)


def disagreements(saved: SavedPlan, plan: Plan, *, desired: Desired, live: LiveState) -> Iterator[str]:
    """One sentence for each thing that speaks against what is left of the plan: `plan`, with what it writes in
    `desired`."""
    yield from _still_needed(plan, desired, live)
    yield from _missing(plan, desired, live)
    yield from _clashing(saved, plan, desired=desired, live=live)


def who_changed(key: Key, live: LiveState) -> str:
    """The newest thing that is known of a resource that the plan does not touch."""
    match live.resources.get(key, _ABSENT):
        case Unreadable(error=error):
            return f"{key} cannot be read: {error}"
        case Present() as found:
            who, when = found.updated_by or "somebody", found.updated_at or "an unknown time"
            return f"{key} was changed by {who} at {when}"
        case _:
            return f"{key} is not live"


def _still_needed(plan: Plan, desired: Desired, live: LiveState) -> Iterator[str]:
    """What the plan deletes, and something that stays refers to."""
    going = [change.key for change in plan.changes if change.action is Action.DELETE]
    if not going:
        return
    gone = {change.live_key for change in plan.changes if change.renamed_from}
    staying = LiveState(
        {key: found for key, found in live.resources.items() if key not in gone}, live.services
    )
    _, held = let_go(going, referrers_of(desired, staying, lambda _: True))
    for key, stays in sorted(held.items()):
        yield f"{key} would be deleted, and {stays} refers to it and stays: {who_changed(stays, live)}"


def _missing(plan: Plan, desired: Desired, live: LiveState) -> Iterator[str]:
    """What the plan writes, and refers to something that would not be there."""
    gone = {
        change.live_key for change in plan.changes if change.action is Action.DELETE or change.renamed_from
    }
    there = {key for key, found in live.resources.items() if not isinstance(found, Absent)} - gone
    for key, resource in desired.resources.items():
        for target in targets_of(key, resource.spec, live):
            if target not in there and target not in desired.resources:
                yield f"{key} refers to {target}, and that is not live: deleted since, or left out of this plan"


def _clashing(saved: SavedPlan, plan: Plan, *, desired: Desired, live: LiveState) -> Iterator[str]:
    """What the plan touches, and wants a port, a logon name or a domain that is somebody else's."""
    from reconciler.declared.clashes import found_clashes

    touched = {change.key for change in plan.changes}
    if not touched:
        return
    whole = afterwards(plan, writes=desired, live=live, around=Surroundings(_ELSEWHERE))
    unsure = {key.kind for key, found in live.resources.items() if isinstance(found, Unreadable)}
    for clash in found_clashes(whole.resources, unsure=unsure):
        ours, other = clash.later, clash.earlier
        if not _belongs(ours, touched):
            ours, other = other, ours
        if _belongs(ours, touched) and not _stood_there(other, saved, live):
            said = f"{clash.later} {clash.what} belongs to {clash.earlier} already"
            yield f"{said}: {who_changed(other, live)}"


def _belongs(key: Key, touched: Collection[Key]) -> bool:
    """True for what the plan touches, and for what is on a server that it touches."""
    server = KINDS[key.kind].server_of(key.name)
    return key in touched or (server is not None and Key("Server", server) in touched)


def _stood_there(key: Key, saved: SavedPlan, live: LiveState) -> bool:
    """True for what nobody declared, and was as it is when the plan was made beside it."""
    found = live.resources.get(key)
    if key not in saved.plan.undeclared or not isinstance(found, Present) or not found.updated_at:
        return False
    return datetime.fromisoformat(found.updated_at) < datetime.fromisoformat(saved.origin.made)
