"""How many of many writes can be done before a name would be two resources', which one only may have.

The same as the runtime's index (`runtime/live/names.py`) says, worked out beforehand for a target in memory. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model import Key, Present
from reconciler.targets.target import NameTakenError, Write, Written
from schemas.v1.base import Spec
from schemas.v1.logon_names import UNIQUE_FIELDS, Clash, clashes, unique_names


@dataclass(frozen=True, slots=True)
class Live:
    """What is live; what a write makes of it; and the revision that a write takes back by itself because the apply
    `apply_id`, whose writes these are, had made it (None: it takes nothing back)."""

    resources: Mapping[Key, Present]
    becomes: Callable[[Write], Spec | None]
    takes_back: Callable[[Write], int | None]
    apply_id: str | None


def standing(writes: Sequence[Write], live: Live) -> tuple[int, Written]:
    """How many of the first of `writes` go together, and what refuses the next one."""
    count, refused = len(writes), Written(())
    if not any(write.key.kind in UNIQUE_FIELDS for write in writes):
        return count, refused
    while (clash := _first_clash(writes[:count], live)) is not None:
        key = Key(*clash.key)
        count = next(at for at, write in enumerate(writes) if write.key == key)
        refused = Written((), _taken(clash, live.becomes(writes[count])), key)
    return count, refused


def _first_clash(writes: Sequence[Write], live: Live) -> Clash | None:
    gone = {write.current_key for write in writes}
    specs = {
        **{key: one.spec for key, one in live.resources.items() if key not in gone},
        **{write.key: live.becomes(write) for write in writes},
    }
    holders: dict[tuple[str, str], list[str]] = {}
    for key, spec in specs.items():
        for name in _names(key, spec):
            holders.setdefault((key.kind, name), []).append(key.name)
    asked: dict[tuple[str, str], set[str]] = {
        write.key: _names(write.key, specs[write.key]) - _live_names(write.current_key, live)
        for write in writes
    }
    by_key = {write.key: write for write in writes}
    found = clashes(asked, holders)
    return next((one for one in found if not _was_so_before(one, by_key, live)), None)


def _was_so_before(clash: Clash, writes: Mapping[Key, Write], live: Live) -> bool:
    """What was so before may be so again: the other has had the name for longer, or has it from the same apply."""
    revision, holder = live.takes_back(writes[Key(*clash.key)]), Key(clash.key[0], clash.holder)
    if revision is None or holder in writes:
        return revision is not None
    other = live.resources[holder]
    return other.revision < revision or other.apply_id == live.apply_id


def _taken(clash: Clash, spec: Spec | None) -> NameTakenError:
    kind, owner = clash.key
    path = next(path for path, name in unique_names(owner, spec) if name == clash.name) if spec else ""
    holder = Key(kind, clash.holder)
    text = f"{kind}/{owner} {path}: {clash.name} belongs to {holder} already, and to one {kind} only"
    return NameTakenError(text, holder)


def _live_names(key: Key, live: Live) -> set[str]:
    found = live.resources.get(key)
    return _names(key, found.spec if found else None)


def _names(key: Key, spec: Spec | None) -> set[str]:
    return {name for _, name in unique_names(key.name, spec)} if spec is not None else set()
