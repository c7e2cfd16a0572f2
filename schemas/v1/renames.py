"""Which kinds keep what they hold under another name; `lifecycle.renamedFrom` is for these alone.

A resource that others refer to by its name would leave them pointing at nothing, and one that is named after its
server has no name of its own.
"""

from __future__ import annotations

from functools import cache

from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS


@cache
def renamable_kinds() -> frozenset[str]:
    """The kinds with names of their own that no field of another kind refers to."""
    return frozenset(KINDS) - {kind for kind in KINDS if why_not_renamable(kind) is not None}


@cache
def why_not_renamable(kind: str) -> str | None:
    """What stands against a rename, after "<kind> cannot be renamed: "; None when nothing does."""
    if KINDS[kind].scope == "server":
        return "it is named after its server, and metadata.name may change without it"
    users = sorted({name for name in KINDS for fact in fields(name).values() if fact.reference == kind})
    return f"others refer to it by its name ({', '.join(users)})" if users else None
