"""The files that were saved since what is in use was read, each with the hash of what it held before.

A reading that is under way may have seen a save or not, so it takes only what was saved before it began; that counts
until the reading is adopted. Not safe for threads: `planner`, the only caller, holds a lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: None: more has changed than the content of known files.
Hashes = Mapping[Path, str] | None


class Saved:
    """Nothing at first."""

    def __init__(self) -> None:
        self._earlier: Hashes = {}
        self._since: Hashes = {}

    def note(self, before: Mapping[Path, str]) -> None:
        """These were saved now; none: anything may have happened."""
        self._since = _joined(self._since, before or None)

    def begin_reading(self) -> None:
        """Everything is read from now on."""
        self._earlier, self._since = self.all(), {}

    def adopt_reading(self) -> None:
        """What the last reading found is in use now."""
        self._earlier = {}

    def all(self) -> Hashes:
        """Every file that may hold something else than what is in use; the oldest hash of each."""
        return _joined(self._earlier, self._since)


def _joined(older: Hashes, newer: Hashes) -> Hashes:
    return None if older is None or newer is None else {**newer, **older}
