"""A list before and after → which of its items went, came or changed, so that nobody has to compare two lists by eye.

Scalars are their own key; mappings have the key that their list declares (`LIST_KEYS`), or are told apart as a whole.
An order that changes and nothing else is no difference of items: then both lists are shown. Called by every rendering.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class ItemChange:
    """An item that both lists have under one key, with another content."""

    key: str
    old: JsonValue
    new: JsonValue


@dataclass(frozen=True, slots=True)
class Items:
    """How two lists differ; the items that went stand in the old order, the others in the new one."""

    added: tuple[JsonValue, ...]
    removed: tuple[JsonValue, ...]
    changed: tuple[ItemChange, ...] = ()


def items_of(path: str, old: JsonValue, new: JsonValue) -> Items | None:
    """The difference of two lists at this path of a spec; None where it cannot be told by items."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return None
    from schemas.v1.document import LIST_KEYS  # most plans change no list

    return keyed_items(old, new, LIST_KEYS.get(("spec", *path.split("."))))


def keyed_items(old: Sequence[JsonValue], new: Sequence[JsonValue], key: str | None = None) -> Items | None:
    """The same for items that `key` tells apart; None where a key stands twice, or only the order differs."""
    before, after = {key_of(item, key): item for item in old}, {key_of(item, key): item for item in new}
    if len(before) < len(old) or len(after) < len(new):
        return None
    changed = (ItemChange(name, before[name], item) for name, item in after.items() if name in before)
    found = Items(
        added=tuple(item for name, item in after.items() if name not in before),
        removed=tuple(item for name, item in before.items() if name not in after),
        changed=tuple(one for one in changed if one.old != one.new),
    )
    return found if found.added or found.removed or found.changed else None


def key_of(item: JsonValue, key: str | None) -> str:
    """What tells the item apart, as text."""
    if isinstance(item, dict) and key is not None and isinstance(item.get(key), str):
        return str(item[key])
    return json.dumps(item, sort_keys=True)
