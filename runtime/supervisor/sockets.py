"""The listening sockets: bound once by the supervisor, kept over restarts and crashes of hosts.

A service *claims* the addresses it wants: missing ones are bound, and nothing is given up. When its new
generation serves, `settle` closes what is no longer wanted; when it failed, `settle` with the old addresses
closes what was bound for nothing. While a host is down the kernel keeps clients waiting in the backlog.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.v1.addresses import Binding

logger = logging.getLogger("runtime.supervisor")

#: Clients that may wait to be accepted; the kernel caps it at net.core.somaxconn.
BACKLOG = 4096
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class BindError(Exception):
    """An address cannot be listened on; the text says which, for which service, and why."""


@dataclass(slots=True)
class _Bound:
    socket: socket.socket
    owner: str


@dataclass(slots=True)
class ListeningSockets:
    """All listening sockets of the runtime, by address, each owned by one service (its id)."""

    _bound: dict[Binding, _Bound] = field(default_factory=dict)
    _internal: dict[str, tuple[Binding, socket.socket]] = field(default_factory=dict)

    def claim(self, owner: str, addresses: Iterable[Binding]) -> dict[Binding, socket.socket]:
        """The listening sockets of `owner` for these addresses, bound where they are not yet.

        An IPv6 wildcard is left out, with a warning, where the machine has no IPv6. Raises BindError, and
        then nothing was bound.
        """
        claimed: dict[Binding, socket.socket] = {}
        fresh: list[Binding] = []
        try:
            for address in addresses:
                fresh += [address] if address not in self._bound else []
                if (sock := self._claim(owner, address)) is not None:
                    claimed[address] = sock
        except BindError:
            self._close(address for address in fresh if address in self._bound)
            raise
        return claimed

    def settle(self, owner: str, addresses: Iterable[Binding]) -> None:
        """Close what `owner` holds beyond `addresses`."""
        kept = set(addresses)
        held = [address for address, bound in self._bound.items() if bound.owner == owner]
        self._close(address for address in held if address not in kept)

    def held(self, owner: str) -> frozenset[Binding]:
        """What `owner` listens on."""
        return frozenset(address for address, bound in self._bound.items() if bound.owner == owner)

    def internal(self, server: str) -> Binding:
        """Where the internal listener of the server's transport is or will be: a free loopback port, bound at
        once so that nobody else takes it, listening once the service claims it."""
        if server not in self._internal:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.bind(("127.0.0.1", 0))
            self._internal[server] = (Binding(*sock.getsockname()), sock)
        return self._internal[server][0]

    def close(self) -> None:
        """Close everything."""
        self._close(list(self._bound))
        for _, sock in self._internal.values():
            sock.close()
        self._internal.clear()

    def _claim(self, owner: str, address: Binding) -> socket.socket | None:
        if (bound := self._bound.get(address)) is None:
            return self._bind(owner, address)
        if bound.owner != owner:
            raise BindError(
                f"{address} cannot be bound for {owner}: {bound.owner} listens there; change one of the two, and "
                f"restart {bound.owner} first when its own bindings changed"
            )
        return bound.socket

    def _bind(self, owner: str, address: Binding) -> socket.socket | None:
        sock = self._unbound_or_internal(address)
        try:
            if sock.getsockname()[1] != address.port:
                sock.bind((address.host, address.port))
            sock.listen(BACKLOG)
            # The flag belongs to the open socket, which every host's copy shares: set before any copy is made.
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            if address.host == "::" and error.errno in _NO_IPV6:
                logger.warning("%s is not listened on for %s: this machine has no IPv6", address, owner)
                return None
            raise BindError(_explain(owner, address, error)) from error
        self._bound[address] = _Bound(sock, owner)
        return sock

    def _unbound_or_internal(self, address: Binding) -> socket.socket:
        for known, sock in self._internal.values():
            if known == address:
                return sock
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return sock

    def _close(self, addresses: Iterable[Binding]) -> None:
        """An internal listener that is closed gives up its port; `internal` finds another."""
        for address in list(addresses):
            self._bound.pop(address).socket.close()
            self._internal = {server: one for server, one in self._internal.items() if one[0] != address}


def _explain(owner: str, address: Binding, error: OSError) -> str:
    reason = error.strerror or str(error)
    remedy = {
        errno.EADDRINUSE: "another program listens there; stop it or change the binding",
        errno.EACCES: "ports below 1024 need the capability net_bind_service; grant it or change the binding",
        errno.EADDRNOTAVAIL: "no interface of this machine has that address; change the binding",
    }.get(error.errno or 0, "change the binding")
    return f"{address} cannot be bound for {owner}: {reason}; {remedy}"
