"""How many of many writes can be done before a name would be two resources', which one only may have.

The same as the runtime's index (`runtime/live/names.py`) says, worked out beforehand for a target in memory. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from reconciler.model import Key, Present
from reconciler.targets.target import RejectedError, Write
from schemas.v1.base import Spec
from schemas.v1.logon_names import UNIQUE_FIELDS, unique_names


def standing(
    writes: Sequence[Write], live: Mapping[Key, Present], *, becomes: Callable[[Write], Spec | None]
) -> tuple[int, RejectedError | None]:
    """How many of the first of `writes` go together, and what refuses the next one. `becomes`: what a write makes
    live."""
    count, error = len(writes), None
    if not any(write.key.kind in UNIQUE_FIELDS for write in writes):
        return count, error
    while (found := _first_clash(writes[:count], live, becomes)) is not None:
        count, error = found
    return count, error


def _first_clash(
    writes: Sequence[Write], live: Mapping[Key, Present], becomes: Callable[[Write], Spec | None]
) -> tuple[int, RejectedError] | None:
    touched = {key for write in writes for key in (write.key, write.current_key)}
    had = {key: set(_names(key, found.spec)) for key, found in live.items()}
    holders = {name: key for key, names in had.items() if key not in touched for name in names}
    specs = {write.key: becomes(write) for write in writes}
    for at, write in enumerate(writes):
        key = write.key
        for name in _names(key, specs[key]):
            holder = holders.setdefault(name, key)
            if holder != key and name not in had.get(write.current_key, ()):
                text = f"{name[1]} belongs to {holder} already, and to one {key.kind} only"
                return at, RejectedError(str(key), text)
    return None


def _names(key: Key, spec: Spec | None) -> Iterator[tuple[str, str]]:
    for _, name in unique_names(key.name, spec) if spec is not None else ():
        yield key.kind, name
