"""What a change costs a service: a fact of a field, and the merged cost of many.

A module of its own, so that whoever only names it needs no models.
"""

from __future__ import annotations

from enum import StrEnum


class Impact(StrEnum):
    """What a field change costs a service; ordered, so that `max` merges: NONE < RELOAD < RESTART."""

    NONE = "none"
    RELOAD = "reload"
    RESTART = "restart"

    def __lt__(self, other: str) -> bool:
        return _ORDER[self] < _ORDER[Impact(other)]

    def __le__(self, other: str) -> bool:
        return _ORDER[self] <= _ORDER[Impact(other)]

    def __gt__(self, other: str) -> bool:
        return _ORDER[self] > _ORDER[Impact(other)]

    def __ge__(self, other: str) -> bool:
        return _ORDER[self] >= _ORDER[Impact(other)]


_ORDER = {impact: order for order, impact in enumerate(Impact)}
