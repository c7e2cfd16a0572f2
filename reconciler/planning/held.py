"""Which resources a hold keeps as they are: a pattern of each hold against every key that is declared or live.

Pure; which holds are in force now is `applying.hold`'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from fnmatch import translate

from reconciler.model import Desired, Hold, Key, LiveState
from reconciler.planning.selection import Selects, known_keys


def held_keys(holds: Iterable[Hold], desired: Desired, live: LiveState) -> Mapping[Key, Hold]:
    """Every declared or live resource that is held, with the first hold that does."""
    patterns = [(re.compile(translate(hold.pattern)), hold) for hold in holds]
    if not patterns:
        return {}
    found: dict[Key, Hold] = {}
    for key in known_keys(desired, live):
        for pattern, hold in patterns:
            if pattern.match(str(key)):
                found.setdefault(key, hold)
    return found


def free(selects: Selects, held: Container[Key]) -> Selects:
    """What is selected and not held."""
    return lambda key: key not in held and selects(key)
