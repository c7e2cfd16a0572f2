"""Mailbox patterns of LIST and LSUB: "*" is any text, "%" any text without "/" (RFC 3501 section 6.3.8).

All positions of the pattern are followed at once as bits of one number, so a pattern costs its length times the
name's, whatever it looks like. Called by `folders`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WILDCARDS = re.compile(r"[*%]{2,}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. Bit n of each number stands for the position before its n-th character."""

    literals: dict[str, int]
    stars: int
    percents: int
    end: int

    @classmethod
    def compile(cls, text: str) -> Pattern:
        """Adjacent wildcards are one: "*" if any of them is."""
        text = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", text)
        literals: dict[str, int] = {}
        stars = percents = 0
        for position, char in enumerate(text):
            bit = 1 << position
            if char == "*":
                stars |= bit
            elif char == "%":
                percents |= bit
            else:
                literals[char] = literals.get(char, 0) | bit
        return cls(literals, stars, percents, 1 << len(text))

    def matches(self, name: str) -> bool:
        positions = self._skip(1)
        for char in name:
            stays = self.stars if char == "/" else self.stars | self.percents
            positions = self._skip((positions & stays) | (positions & self.literals.get(char, 0)) << 1)
            if not positions:
                return False
        return bool(positions & self.end)

    def _skip(self, positions: int) -> int:
        """A wildcard may stand for nothing."""
        return positions | (positions & (self.stars | self.percents)) << 1
