"""What a database keeps in memory of messages: summaries, contents read ahead, structures. All bounded.

Messages never change under a (folder, UID), and neither is ever used again, so nothing here can be stale but MODSEQ,
which the folder keeps right. The event loop's thread only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

from runtime.store.interface import Summary

V = TypeVar("V")

#: Octets that a Summary takes beside its three rendered values, about.
_SUMMARY_OVERHEAD = 500


class SummaryCache:
    """Summaries by folder; folders not asked for lately go first and whole, then the oldest of the current."""

    def __init__(self, budget: int) -> None:
        """`budget` is in octets."""
        self._budget = budget
        self._folders: OrderedDict[int, dict[int, Summary]] = OrderedDict()
        self._size = 0

    def of_folder(self, folder_id: int) -> dict[int, Summary]:
        """The summaries kept of a folder, for reading."""
        kept = self._folders.get(folder_id)
        if kept is None:
            kept = self._folders[folder_id] = {}
        self._folders.move_to_end(folder_id)
        return kept

    def add(self, folder_id: int, summaries: Sequence[Summary]) -> None:
        kept = self.of_folder(folder_id)
        for summary in summaries:
            if summary.uid not in kept:
                self._size += _weight(summary)
            kept[summary.uid] = summary
        while self._size > self._budget and len(self._folders) > 1:
            _, dropped = self._folders.popitem(last=False)
            self._size -= sum(map(_weight, dropped.values()))
        while self._size > self._budget:
            self._size -= _weight(kept.pop(next(iter(kept))))

    def replace(self, folder_id: int, summary: Summary) -> None:
        """A newer value of one that is kept and has the same length."""
        self._folders[folder_id][summary.uid] = summary

    def drop(self, folder_id: int, uid: int) -> None:
        dropped = self._folders.get(folder_id, {}).pop(uid, None)
        if dropped is not None:
            self._size -= _weight(dropped)

    def drop_folder(self, folder_id: int) -> None:
        self._size -= sum(map(_weight, self._folders.pop(folder_id, {}).values()))


class RecentlyUsed(Generic[V]):
    """Values by (folder, UID) with a weight each; the least recently used go when the weights pass the budget."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._values: OrderedDict[tuple[int, int], tuple[V, int]] = OrderedDict()
        self._size = 0

    def get(self, key: tuple[int, int]) -> V | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: tuple[int, int], value: V, weight: int) -> None:
        self.drop(key)
        self._values[key] = value, weight
        self._size += weight
        while self._size > self._budget:
            _, (_, dropped) = self._values.popitem(last=False)
            self._size -= dropped

    def drop(self, key: tuple[int, int]) -> None:
        found = self._values.pop(key, None)
        if found is not None:
            self._size -= found[1]


def _weight(summary: Summary) -> int:
    return len(summary.envelope) + len(summary.body) + len(summary.body_structure) + _SUMMARY_OVERHEAD
