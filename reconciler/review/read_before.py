"""What reading files gave, shared between the two revisions of a review, and kept between reviews.

Most files are the same in both, and most of these were the same in the last review. Kept is what `declared.cache`
keeps, in a file of its own, so that reviews and plans do not drop each other's. Called by `review`.
"""

from __future__ import annotations

from pathlib import Path

from reconciler.declared.cache import MemoryCache, ParseCache
from reconciler.declared.item import Record

_OF_REVIEWS = ".review"


class ReadBefore(MemoryCache):
    """The cache of one review. `directory` None: nothing is kept after it."""

    def __init__(self, directory: Path | None, declared: Path) -> None:
        super().__init__()
        self._file = ParseCache(directory, declared / _OF_REVIEWS)
        self._kept: set[tuple[str, str]] = set()

    def fill(self, record: Record) -> bool:
        """Fill in the documents of this file, if this review or the one before found them good."""
        return super().fill(record) or self._file.fill(record)

    def keep(self, record: Record, variables: str) -> None:
        """Keep the documents of a file without problems, once for all revisions that have it."""
        super().keep(record, variables)
        if (record.key, variables) not in self._kept:
            self._kept.add((record.key, variables))
            self._file.keep(record, variables)

    def drop(self, record: Record) -> None:
        """Forget a file that was found wanting."""
        super().drop(record)
        self._file.drop(record)

    def close(self) -> None:
        """The review is over: write what the next one can use."""
        self._file.save()
