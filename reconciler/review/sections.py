"""Sections of items → one text below a limit, cut between items, never inside one.

Every section keeps its heading, and a line that says how much was left out. Groups (environments) share the room: what
one does not need the next may have. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.rendering.text import count
from reconciler.review.markup import size


@dataclass(frozen=True, slots=True)
class Section:
    """`head` and `foot` stand around `items`, of which each is one resource, or one line about one; `noun` is what an
    item is called."""

    head: str
    items: Sequence[str] = ()
    foot: str = ""
    noun: str = "item"

    def render(self, shown: int) -> str:
        """The section with so many of its items."""
        left = len(self.items) - shown
        rest = (f"\n…and {count(left, f'more {self.noun}')}, left out for length.\n",) if left else ()
        return "".join([self.head, *self.items[:shown], *rest, self.foot])


def fit(groups: Sequence[Sequence[Section]], *, limit: int) -> str:
    """All groups one after another, in at most `limit` bytes of UTF-8 unless the headings alone are more."""
    frame = sum(size(section.render(0)) for group in groups for section in group)
    room = limit - frame
    texts: list[str] = []
    for number, group in enumerate(groups):
        share = room // (len(groups) - number)
        used = 0
        for section in group:
            shown, taken = _shown(section, share - used)
            used += taken
            texts.append(section.render(shown))
        room -= used
    return "".join(texts)


def _shown(section: Section, room: int) -> tuple[int, int]:
    """How many items fit, and what they take."""
    taken = 0
    for number, item in enumerate(section.items):
        needed = size(item)
        if taken + needed > room:
            return number, taken
        taken += needed
    return len(section.items), taken
