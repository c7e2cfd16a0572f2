"""A plan that would give a mailbox a logon name of a live one that stays is refused: the newer would take its mail.

The files cannot show it, since what stays may be declared nowhere: a mailbox whose metadata.name was changed without
lifecycle.renamedFrom. Looks at live mailboxes only when the plan makes one or changes its names. Pure; called by
`moves`.
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
from schemas.v1.logon_names import logon_names
from schemas.v1.mailbox import Mailbox

_FIELDS = frozenset({"alias", "primarySmtpAddress", "userPrincipalName", "emailAddresses"})


class Taken(NamedTuple):
    """A name that `change` asks for at `path`, and the live mailbox that has it and stays."""

    change: Change
    path: str
    name: str
    owner: Key

    @property
    def refusal(self) -> str:
        return f"{self.name} belongs to {self.owner}, which is live and stays; it opens one mailbox only"


def taken_names(plan: Plan, desired: Desired, live: LiveState) -> Iterator[Taken]:
    """The first taken name of each change of the plan."""
    asking = [change for change in plan.changes if _asks(change)]
    owners = _owners(plan, live, {change.live_key for change in asking}) if asking else {}
    for change in asking:
        names = _names(change, desired, live) if owners else ()
        found = next(((path, name) for path, name in names if name in owners), None)
        if found is not None:
            yield Taken(change, *found, owners[found[1]])


def taken_problem(taken: Taken, desired: Desired) -> Diagnostic:
    """The error, at the declaration's field."""
    change, owner = taken.change, taken.owner
    resource = desired.resources[change.key]
    hint = f"change one of the two; {owner} has to be changed by this plan or go"
    if owner not in desired.resources and change.action is Action.CREATE:
        hint = (
            f"if it is the same person, write lifecycle: {{renamedFrom: {owner.name}}}; "
            f"or delete the other with its mail: --delete {owner}"
        )
    elif owner not in desired.resources:
        hint = f"choose another, or delete the other with its mail: --delete {owner}"
    place = resource.position(taken.path)
    return Diagnostic(
        "name-taken", Severity.ERROR, f"{change.key} {taken.path}: {taken.refusal}", place, hint
    )


def _asks(change: Change) -> bool:
    if change.key.kind != "Mailbox" or change.action is Action.DELETE:
        return False
    is_new_name = change.action is Action.CREATE or change.renamed_from is not None
    return is_new_name or any(field.path in _FIELDS for field in change.fields)


def _owners(plan: Plan, live: LiveState, asking: set[Key]) -> dict[str, Key]:
    """Whom each name belongs to after the plan, without those that ask: their files are compared with each other."""
    gone = {change.key for change in plan.changes if change.action is Action.DELETE}
    return {
        name: key
        for key, observed in live.resources.items()
        if isinstance(observed, Present) and isinstance(observed.spec, Mailbox)
        if key not in asking and key not in gone
        for _, name in logon_names(key.name, observed.spec)
    }


def _names(change: Change, desired: Desired, live: LiveState) -> Iterator[tuple[str, str]]:
    resource, observed = desired.resources.get(change.key), live.resources.get(change.live_key)
    if resource is None:
        return
    spec = spec_to_write(resource, observed if isinstance(observed, Present) else Absent())
    if isinstance(spec, Mailbox):
        yield from logon_names(change.key.name, spec)
