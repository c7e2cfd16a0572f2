"""The rule that one quota is not above another, for the kinds that have quotas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from schemas.v1.base import Model
from schemas.v1.types import UNLIMITED, format_size

#: Exchange's highest quota, one KB below 2 TB.
MAX_QUOTA: Final = "2147483647KB"


def at_most(spec: Model, low: str, high: str) -> Iterator[tuple[str, str]]:
    """Yield the broken rule, at the attribute `low`, when its quota is above that of `high`. Unlimited is no quota."""
    lower, upper = getattr(spec, low), getattr(spec, high)
    if UNLIMITED not in (lower, upper) and lower > upper:
        above = f"{format_size(lower)} is above {spec.yaml_name(high)}, {format_size(upper)}"
        yield low, f"{above}; lower it, or raise the other"
