"""Where the services of one server would listen, started or not, and who would get in whose way.

`declared` refuses a clash of services that start by themselves. This looks at those too that do not start yet: their
clash shows only on the day somebody starts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from reconciler.model import Resource
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector, TransportRole
from schemas.v1.types import Binding

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not bound
_LOOPBACK = "127.0.0.1"
_FRONTENDS = {"ImapSettings": "imap4", "PopSettings": "pop3"}


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that a service takes, the resource and the field that say so."""

    binding: Binding
    service: str
    owner: str
    path: str

    def json(self) -> dict[str, JsonValue]:
        """As policies see it."""
        return {
            "host": self.binding.host,
            "port": self.binding.port,
            "service": self.service,
            "owner": self.owner,
            "path": self.path,
        }

    def collides(self, other: Listener) -> bool:
        """True when both cannot be bound; connectors of one service may share an address (see remoteIPRanges)."""
        if self.binding.port != other.binding.port or not _overlap(self.binding.host, other.binding.host):
            return False
        is_shared = self.service == other.service and self.binding == other.binding
        return not (is_shared and self.path == other.path == "bindings")


def listeners(resource: Resource) -> Iterator[Listener]:
    """What a resource asks to listen on; nothing for most kinds."""
    owner, spec = str(resource.key), resource.spec
    if isinstance(spec, ImapSettings | PopSettings):
        service = _FRONTENDS[resource.key.kind]
        for binding in spec.unencrypted_or_tls_bindings:
            yield Listener(binding, service, owner, "unencryptedOrTLSBindings")
        for binding in spec.ssl_bindings:
            yield Listener(binding, service, owner, "sslBindings")
        yield Listener(
            Binding(_LOOPBACK, spec.proxy_target_port), f"{service}-backend", owner, "proxyTargetPort"
        )
    elif isinstance(spec, ReceiveConnector) and spec.enabled:
        is_front = spec.transport_role is TransportRole.FRONTEND_TRANSPORT
        for binding in spec.bindings:
            yield Listener(binding, "frontend-transport" if is_front else "transport", owner, "bindings")


def clashes(resource: Resource, members: Iterable[Resource]) -> Iterator[str]:
    """What of this resource gets in the way of another of its server, as sentences' ends."""
    others = [other for one in members if one.key != resource.key for other in listeners(one)]
    mine = list(listeners(resource))
    for number, listener in enumerate(mine):
        for other in (*others, *mine[number + 1 :]):
            if listener.collides(other):
                yield f"{listener.path} {listener.binding} and {other.owner} {other.path} {other.binding}"


def _overlap(one: str, other: str) -> bool:
    """A wildcard takes every address of its own family."""
    if (":" in one) != (":" in other):
        return False
    return one == other or one in _WILDCARDS or other in _WILDCARDS
