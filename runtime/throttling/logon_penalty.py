"""Makes guessing passwords slow: the more logons of one address fail, the longer its next ones wait.

Failures are counted for a network (one IPv4 address, or an IPv6 /48, which is what one customer gets), forgotten
one by one, and shared by all services of a host process. A client that repeats the same wrong credentials is a
misconfigured program and no guesser: repetitions do not count. Nothing here waits or refuses; the authenticator
does. Passwords are never seen, only keyed digests of attempts.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: Failures that cost nothing: people mistype.
FREE_FAILURES = 4
#: Seconds that the attempts after those wait, the last of them from then on.
DELAYS = (2.0, 4.0, 8.0, 15.0)
#: Seconds after which one failure is forgotten, and the next after as many more.
FORGET_AFTER = 30.0
#: Attempts of a network that are remembered so that their repetition does not count.
REMEMBERED_ATTEMPTS = 10
#: Networks in the table; the one that has not failed for longest makes room.
MAX_NETWORKS = 10_000
#: What one client can choose its address from.
IPV4_PREFIX = 32
IPV6_PREFIX = 48

_MOST = FREE_FAILURES + len(DELAYS)


def network_of(address: str) -> str:
    """The network that an address is counted in; an address that cannot be read is one of its own."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, IPV4_PREFIX), strict=False))


def is_loopback(address: str) -> bool:
    """True for an address of this machine itself."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@dataclass(slots=True)
class _Record:
    """One network: how many failures are not forgotten, and since when the next one is being forgotten."""

    failures: int = 0
    since: float = 0.0
    attempts: deque[bytes] = field(default_factory=lambda: deque(maxlen=REMEMBERED_ATTEMPTS))


class LogonPenalty:
    """Failed logons by network (`network_of`)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}

    def delay(self, network: str) -> float:
        """Seconds that an attempt from there waits before its password is looked at."""
        record = self._records.get(network)
        if record is None:
            return 0.0
        self._forget(record)
        late = record.failures - FREE_FAILURES
        return DELAYS[min(late, len(DELAYS) - 1)] if late >= 0 else 0.0

    def failed(self, network: str, attempt: bytes) -> None:
        """Count a failure; `attempt` is a digest of the name and the password."""
        record = self._records.pop(network, None) or _Record(since=self._clock())
        while len(self._records) >= MAX_NETWORKS:
            del self._records[next(iter(self._records))]
        self._records[network] = record
        self._forget(record)
        if attempt not in record.attempts:
            record.attempts.append(attempt)
            record.failures = min(record.failures + 1, _MOST)

    def _forget(self, record: _Record) -> None:
        steps = int((self._clock() - record.since) // FORGET_AFTER)
        record.failures = max(0, record.failures - steps)
        record.since = record.since + steps * FORGET_AFTER if record.failures else self._clock()


class LogonShares:
    """How many logons each network has under way: no more than `share`, so that none fills the queue of hashes."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def taken(self, network: str) -> Iterator[bool]:
        """A place for the time of a logon; False, and none taken, when the network has its share."""
        if self._under_way[network] >= self._share:
            yield False
            return
        self._under_way[network] += 1
        try:
            yield True
        finally:
            self._under_way[network] -= 1
            if not self._under_way[network]:
                del self._under_way[network]
