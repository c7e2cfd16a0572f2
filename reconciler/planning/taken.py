"""A plan that would give a mailbox a logon name of a live one that stays is refused, since the newer would take its
mail; and likewise an AcceptedDomain the domain of another. The runtime refuses the write as well.

The files cannot show it, since what stays may be declared nowhere: a mailbox whose metadata.name was changed without
lifecycle.renamedFrom. Looks at live resources only when the plan makes one of the kind or changes its names. Pure;
called by `moves`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.model import (
    Absent,
    Action,
    Change,
    Desired,
    Diagnostic,
    Key,
    LiveState,
    Plan,
    Present,
    Severity,
)
from reconciler.planning.diff import spec_to_write
from schemas.v1.logon_names import UNIQUE_FIELDS, unique_names

#: The code of its error.
NAME_TAKEN = "name-taken"


class Taken(NamedTuple):
    """A name that `change` asks for at `path`, and the live resource that has it and stays."""

    change: Change
    path: str
    name: str
    owner: Key

    @property
    def refusal(self) -> str:
        only = (
            "it opens one mailbox only"
            if self.owner.kind == "Mailbox"
            else f"one {self.owner.kind} only has it"
        )
        return f"{self.name} belongs to {self.owner}, which is live and stays; {only}"


def taken_names(plan: Plan, desired: Desired, live: LiveState) -> Iterator[Taken]:
    """The first taken name of each change of the plan."""
    asking = [change for change in plan.changes if _asks(change)]
    owners = _owners(plan, live, {change.live_key for change in asking}) if asking else {}
    for change in asking:
        kind = change.key.kind
        names = _names(change, desired, live) if owners else ()
        found = next(((path, name) for path, name in names if (kind, name) in owners), None)
        if found is not None:
            yield Taken(change, *found, owners[kind, found[1]])


def taken_problem(taken: Taken, desired: Desired) -> Diagnostic:
    """The error, at the declaration's field."""
    change, owner = taken.change, taken.owner
    resource = desired.resources[change.key]
    hint = f"change one of the two; {owner} has to be changed by this plan or go"
    is_mailbox = owner.kind == "Mailbox"
    deletion = f"delete the other{' with its mail' if is_mailbox else ''}: --delete {owner}"
    if owner not in desired.resources and change.action is Action.CREATE:
        same = "the same person" if is_mailbox else "the same"
        hint = f"if it is {same}, write lifecycle: {{renamedFrom: {owner.name}}}; or {deletion}"
    elif owner not in desired.resources:
        hint = f"choose another, or {deletion}"
    place = resource.position(taken.path)
    return Diagnostic(NAME_TAKEN, Severity.ERROR, f"{change.key} {taken.path}: {taken.refusal}", place, hint)


def _asks(change: Change) -> bool:
    fields = UNIQUE_FIELDS.get(change.key.kind)
    if fields is None or change.action is Action.DELETE:
        return False
    is_new_name = change.action is Action.CREATE or change.renamed_from is not None
    return is_new_name or any(field.path in fields for field in change.fields)


def _owners(plan: Plan, live: LiveState, asking: set[Key]) -> dict[tuple[str, str], Key]:
    """Whom each name belongs to after the plan, without those that ask: their files are compared with each other."""
    gone = {change.key for change in plan.changes if change.action is Action.DELETE}
    kinds = {key.kind for key in asking}
    return {
        (key.kind, name): key
        for key, observed in live.resources.items()
        if key.kind in kinds and isinstance(observed, Present)
        if key not in asking and key not in gone
        for _, name in unique_names(key.name, observed.spec)
    }


def _names(change: Change, desired: Desired, live: LiveState) -> Iterator[tuple[str, str]]:
    resource, observed = desired.resources.get(change.key), live.resources.get(change.live_key)
    if resource is None:
        return
    spec = spec_to_write(resource, observed if isinstance(observed, Present) else Absent())
    yield from unique_names(change.key.name, spec)
