"""A resource that is declared under a new name with `lifecycle.renamedFrom` is renamed, so that it keeps what it holds.

That holds for kinds that nothing refers to by name: mailboxes, connectors, certificates, domains. A server, a database
or a policy under another name would leave others pointing at nothing, so `declared` refuses that. Once the old name is
gone `renamedFrom` says nothing any more, and may stay for as long as it likes. A plan that makes the resource anew, as
nothing has its old name, says so, since what was meant may be live under yet another name; not in an estate where
nothing of the kind is live, to which nothing can have been.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import (
    Absent,
    Action,
    Desired,
    Diagnostic,
    Key,
    LiveState,
    Plan,
    Present,
    Resource,
    Severity,
)
from schemas.v1.kinds import KINDS
from schemas.v1.renames import renamable_kinds


def renamed_from(resource: Resource, desired: Desired, live: LiveState) -> Key | None:
    """The live resource that has to be renamed into `resource`; None when it is there already, or never was."""
    before = old_key(resource)
    if before is None or before in desired.resources or before.kind not in renamable_kinds():
        return None
    is_absent = isinstance(live.resources.get(resource.key, Absent()), Absent)
    return before if is_absent and isinstance(live.resources.get(before), Present) else None


def old_key(resource: Resource) -> Key | None:
    """The live name before: of the same server when the kind belongs to one."""
    name = resource.lifecycle.renamed_from
    if name is None:
        return None
    server = KINDS[resource.key.kind].server_of(resource.key.name)
    return Key(resource.key.kind, KINDS[resource.key.kind].live_name(name, server))


def rename_remarks(plan: Plan, desired: Desired, live: LiveState) -> Iterator[Diagnostic]:
    """A warning for each resource that the plan makes anew although it is declared to have had another name."""
    for change in plan.changes:
        resource = desired.resources.get(change.key)
        before = old_key(resource) if resource and change.action is Action.CREATE else None
        if resource is None or before is None or before in live.resources:
            continue
        alive = _of_the_same(before, live)
        if alive:
            undeclared = [key.name for key in alive if key not in desired.resources]
            yield _not_there(resource, before, undeclared)


def _of_the_same(before: Key, live: LiveState) -> list[Key]:
    """What is live of the kind, and of the server when the kind belongs to one."""
    server = KINDS[before.kind].server_of(before.name)
    return [
        key
        for key in live.resources
        if key.kind == before.kind and KINDS[key.kind].server_of(key.name) == server
    ]


def _not_there(resource: Resource, before: Key, undeclared: list[str]) -> Diagnostic:
    from difflib import get_close_matches

    path = "lifecycle.renamedFrom"
    close = get_close_matches(before.name, undeclared, n=1)
    meant = f"{before.kind}/{close[0]} is live and not declared; was it meant? If not, " if close else ""
    message = f"{resource.key} {path}: no {before} is live, so this is made new and holds nothing"
    hint = f"{meant}remove renamedFrom" if meant else "correct the name, or remove renamedFrom"
    return Diagnostic("rename-source", Severity.WARNING, message, resource.position(path), hint)
