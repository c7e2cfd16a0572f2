"""A resource that is declared under a new name with `lifecycle.renamedFrom` is renamed, so that it keeps what it holds.

That holds for kinds that nothing refers to by name: mailboxes, connectors, certificates, domains. A server, a database
or a policy under another name would leave others pointing at nothing, so for these it is an error. Once the old name is
gone `renamedFrom` says nothing any more, and may stay for as long as it likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from reconciler.model import Absent, Desired, Diagnostic, Key, LiveState, Present, Resource, Severity
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS


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


@cache
def renamable_kinds() -> frozenset[str]:
    """The kinds with names of their own that no field of another kind refers to."""
    referred = {fact.reference for kind in KINDS for fact in fields(kind).values()}
    return frozenset(kind.name for kind in KINDS.values() if kind.scope != "server") - referred


def rename_problems(desired: Desired) -> Iterator[Diagnostic]:
    """Renames that cannot be done: of kinds that others refer to, and from a name that is declared still."""
    for resource in desired.resources.values():
        before = old_key(resource)
        if before is None:
            continue
        if before.kind not in renamable_kinds():
            message = f"a {before.kind} cannot be renamed: others refer to it by its name"
            hint = "declare the new one, move what refers to the old one, then delete the old one"
        elif before in desired.resources:
            message = f"{resource.key} was renamed from {before}, which is declared at "
            message += str(desired.resources[before].position())
            hint = "remove one of the two documents, or renamedFrom"
        else:
            continue
        yield Diagnostic("rename", Severity.ERROR, message, resource.position(), hint)
