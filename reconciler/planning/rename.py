"""A resource that is declared under a new name with `lifecycle.renamedFrom` is renamed, so that it keeps what it holds.

That holds for kinds that nothing refers to by name: mailboxes, connectors, certificates, domains. A server, a database
or a policy under another name would leave others pointing at nothing, so `declared` refuses that. Once the old name is
gone `renamedFrom` says nothing any more, and may stay for as long as it likes.
"""

from __future__ import annotations

from reconciler.model import Absent, Desired, Key, LiveState, Present, Resource
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
