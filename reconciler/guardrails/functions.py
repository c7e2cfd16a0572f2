"""The functions that policies have beyond CEL's own, for values that are text in YAML.

They are pure and raise ValueError with a sentence; `cel` turns that into what a policy's author is told.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

from schemas.v1.addresses import IpRange, parse_ip_range
from schemas.v1.types import UNLIMITED, parse_duration, parse_size

_KNOWN = 4096  # an estate repeats few values ten thousand times

LARGEST = 2**63 - 1  # the largest integer of CEL


@lru_cache(maxsize=_KNOWN)
def limit(value: str | int | None) -> int:
    """The number that a limit stands for, bytes for a size; Unlimited and null are the largest number there is."""
    if value is None or value == UNLIMITED:
        return LARGEST
    if isinstance(value, int):
        return value
    try:
        return parse_size(value)
    except ValueError:
        raise ValueError(f'limit: expected a number, a size or Unlimited, got "{value}"') from None


@lru_cache(maxsize=_KNOWN)
def span(value: str) -> timedelta:
    """The duration that a text such as "00:30:00", "30s" or "30d" stands for."""
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError(f'span: expected a duration such as "00:30:00" or "30d", got "{value}"') from None


def covers(pattern: str, host: str) -> bool:
    """True when a certificate with this name is valid for the host; an asterisk stands for one label (RFC 6125)."""
    name, wanted = pattern.casefold().rstrip("."), host.casefold().rstrip(".")
    return name == wanted or (name.startswith("*.") and wanted.partition(".")[2] == name[2:])


def addresses(value: str | list[str]) -> int:
    """How many addresses a range such as "192.0.2.0/24" holds, or several ranges together, each address counted once;
    as far as an integer of CEL counts."""
    ranges = [value] if isinstance(value, str) else value
    counted, covered = 0, (0, -1)  # IP version and number of the last address that is counted
    for one in sorted(map(_range, ranges), key=lambda found: (found.first.version, int(found.first))):
        version, last = one.first.version, int(one.last)
        start = max(int(one.first), covered[1] + 1) if version == covered[0] else int(one.first)
        if last >= start:
            counted, covered = counted + last - start + 1, (version, last)
    return min(counted, LARGEST)


@lru_cache(maxsize=_KNOWN)
def _range(value: object) -> IpRange:
    try:
        return parse_ip_range(value)
    except ValueError:
        raise ValueError(f'addresses: expected a range such as "192.0.2.0/24", got "{value}"') from None
