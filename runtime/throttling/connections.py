"""Counts open connections: in all, a client address, a user; and says when one more would be too many.

Counts belong to the host process and live on over generations, because the connections of a draining
generation are still connections. Nothing here closes a connection or writes a reply: the service does, with
its protocol's words. Called by the front ends and by the SMTP services.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Literal, TypeVar

from schemas.v1.scalar import UNLIMITED

K = TypeVar("K")
Limit = int | Literal["Unlimited"]


class Refused(StrEnum):
    """Why a connection was not admitted; the value is the name of the setting that says so."""

    MAX_CONNECTIONS = "MaxConnections"
    MAX_CONNECTION_FROM_SINGLE_IP = "MaxConnectionFromSingleIP"


def allows(limit: Limit, count: int) -> bool:
    """True when `count` things that exist leave room for one more."""
    return limit == UNLIMITED or count < int(limit)


class ConnectionTicket:
    """The place of one admitted connection in the counts. `close` gives it back; twice does no harm."""

    __slots__ = ("_counters", "_ip", "_is_open", "_scope", "_user")

    def __init__(self, counters: ConnectionCounters, scope: str, ip: str) -> None:
        self._counters = counters
        self._scope = scope
        self._ip = ip
        self._user: str | None = None
        self._is_open = True

    def try_user(self, user: str, limit: Limit) -> bool:
        """Count this connection for `user` too (MaxConnectionsPerUser). False, and not counted, when `limit` is
        reached. The user of a ticket that has one already is replaced."""
        self.forget_user()
        users = self._counters.users
        if not allows(limit, users[self._scope, user]):
            return False
        self._user = user
        users[self._scope, user] += 1
        return True

    def forget_user(self) -> None:
        """The connection goes on without a user: its logon came to nothing."""
        if self._user is not None:
            _take(self._counters.users, (self._scope, self._user))
            self._user = None

    def close(self) -> None:
        """The connection is gone."""
        if self._is_open:
            self._is_open = False
            self.forget_user()
            _take(self._counters.totals, self._scope)
            _take(self._counters.addresses, (self._scope, self._ip))


class ConnectionCounters:
    """All counts of one host process. A scope is a service's name ("imap4"), or a part of one ("transport/client").
    `refused`: connections that a limit has turned away, each time the newest, or another that made room for it."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.addresses: Counter[tuple[str, str]] = Counter()
        self.users: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter()

    def try_open(self, scope: str, ip: str, *, total: Limit, per_ip: Limit) -> ConnectionTicket | Refused:
        """Admit a connection from `ip`, or say which limit refuses it (MaxConnections before
        MaxConnectionFromSingleIP)."""
        if not allows(total, self.totals[scope]):
            return self._refuse(scope, Refused.MAX_CONNECTIONS)
        if not allows(per_ip, self.addresses[scope, ip]):
            return self._refuse(scope, Refused.MAX_CONNECTION_FROM_SINGLE_IP)
        self.totals[scope] += 1
        self.addresses[scope, ip] += 1
        return ConnectionTicket(self, scope, ip)

    def _refuse(self, scope: str, limit: Refused) -> Refused:
        self.refused[scope.partition("/")[0]] += 1
        return limit


def _take(counts: Counter[K], key: K) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]
