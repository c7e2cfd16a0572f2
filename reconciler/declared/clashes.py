"""What only all resources together show: two that want one port, one address, one logon name, one domain.

All declared servers run on one machine, so their services share its ports. A service that does not start by itself does
not listen and clashes with nobody. Receive connectors of one service may share an address as long as their
remoteIPRanges differ, as in Exchange. A server without declared settings listens where the defaults say, unless a
document that is broken may declare other ones. A mailbox is opened by its name, its alias, its user principal name and
each of its addresses, in any case, so each of these opens one mailbox only. Called by `load`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from reconciler.declared.positions import Positions
from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Key, Position, Resource
from schemas.v1.accepted_domain import AcceptedDomain
from schemas.v1.addresses import parse_binding
from schemas.v1.base import Spec
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.kinds import KINDS
from schemas.v1.logon_names import logon_names
from schemas.v1.mailbox import Mailbox
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector, TransportRole
from schemas.v1.server import Server
from schemas.v1.types import Binding
from schemas.v1.words import StartupType

Resources = Mapping[Key, Resource]

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not bound
_LOOPBACK = "127.0.0.1"
_CONNECTOR_SERVICE = {
    TransportRole.FRONTEND_TRANSPORT: "frontend-transport",
    TransportRole.HUB_TRANSPORT: "transport",
}


@dataclass(frozen=True, slots=True)
class Clash:
    """Two resources want the same. `what` names it, after the field of `later` that asks for it."""

    later: Key
    earlier: Key
    what: str
    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True)
class _Claim:
    """One service wants one address; `key` is what says so, or would if it were declared. `sharing` is what may differ
    between two connectors that share it."""

    key: Key
    binding: Binding
    service: str
    resource: Resource | None
    path: str
    position: Position
    sharing: object = None

    @property
    def subject(self) -> str:
        owner = f"{self.resource.key} {self.path}" if self.resource else "its default"
        return f"{self.service} ({owner})"


def clashes(resources: Resources, *, unsure: Container[str] = ()) -> Iterator[Diagnostic]:
    """Every clash, placed at the later claim, with the position of the earlier one in its text. `unsure`: kinds that
    may have more resources than these, so that the defaults of none that is missing count."""
    return (clash.diagnostic for clash in found_clashes(resources, unsure=unsure))


def found_clashes(resources: Resources, *, unsure: Container[str] = ()) -> Iterator[Clash]:
    """The same with the two that clash."""
    yield from _port_clashes(resources, unsure)
    yield from _logon_name_clashes(resources)
    yield from _domain_clashes(resources)


# Ports


def _port_clashes(resources: Resources, unsure: Container[str]) -> Iterator[Clash]:
    by_port: dict[int, list[_Claim]] = defaultdict(list)
    for claim in _claims(resources, unsure):
        earlier = next((other for other in by_port[claim.binding.port] if _clash(other, claim)), None)
        if earlier is not None:
            yield _port_clash(earlier, claim)
        by_port[claim.binding.port].append(claim)


def _port_clash(earlier: _Claim, later: _Claim) -> Clash:
    first = f"{earlier.binding} for {earlier.subject} at {earlier.position}"
    message = f"{later.binding} for {later.subject} clashes with {first}"
    hint = "all servers share this machine; choose another port or address"
    found = error("port-clash", message, later.position, hint)
    return Clash(later.key, earlier.key, f"{later.path}: {later.binding}", found)


def _clash(one: _Claim, other: _Claim) -> bool:
    if not _overlap(one.binding.host, other.binding.host):
        return False
    may_share = (
        one.service == other.service and one.binding == other.binding and one.resource is not other.resource
    )
    return not (may_share and one.sharing is not None and one.sharing != other.sharing)


def _overlap(one: str, other: str) -> bool:
    """True when both cannot be bound; a wildcard takes every address of its own family."""
    if (":" in one) != (":" in other):
        return False
    return one == other or one in _WILDCARDS or other in _WILDCARDS


def _claims(resources: Resources, unsure: Container[str]) -> Iterator[_Claim]:
    for key, server in resources.items():
        if isinstance(server.spec, Server):
            yield from _client_claims(key.name, server, resources, unsure=unsure)
    for key, resource in resources.items():
        if isinstance(resource.spec, ReceiveConnector):
            yield from _connector_claims(key, resource, resources)


def _client_claims(
    name: str, server: Resource, resources: Resources, *, unsure: Container[str]
) -> Iterator[_Claim]:
    for kind, service, backend in (
        ("ImapSettings", "imap4", "imap4_backend"),
        ("PopSettings", "pop3", "pop3_backend"),
    ):
        key = Key(kind, name)
        declared = resources.get(key)
        if declared is None and kind in unsure:
            continue
        settings = declared.spec if declared else KINDS[kind].spec()
        if not isinstance(settings, ImapSettings | PopSettings):
            continue
        where = declared or server
        if _starts(server.spec, service):
            for path, binding in _listening(settings):
                position = _item_position(where, path, binding)
                yield _Claim(key, binding, f"{name}/{service}", declared, path, position)
        if _starts(server.spec, backend):
            binding, path = Binding(_LOOPBACK, settings.proxy_target_port), "proxyTargetPort"
            yield _Claim(key, binding, f"{name}/{service}-backend", declared, path, where.position(path))


def _listening(settings: ImapSettings | PopSettings) -> Iterator[tuple[str, Binding]]:
    yield from (("unencryptedOrTLSBindings", binding) for binding in settings.unencrypted_or_tls_bindings)
    yield from (("sslBindings", binding) for binding in settings.ssl_bindings)


def _connector_claims(key: Key, resource: Resource, resources: Resources) -> Iterator[_Claim]:
    connector = resource.spec
    server = key.name.partition("/")[0]
    owner = resources.get(Key("Server", server))
    if not isinstance(connector, ReceiveConnector) or not connector.enabled or owner is None:
        return
    service = _CONNECTOR_SERVICE[connector.transport_role]
    if _starts(owner.spec, service.replace("-", "_")):
        for binding in connector.bindings:
            position = _item_position(resource, "bindings", binding)
            sharing = connector.remote_ip_ranges
            yield _Claim(key, binding, f"{server}/{service}", resource, "bindings", position, sharing)


def _starts(server: Spec, service_attribute: str) -> bool:
    startup: StartupType = attrgetter(f"services.{service_attribute}.startup_type")(server)
    return startup is StartupType.AUTOMATIC


def _item_position(resource: Resource, path: str, binding: Binding) -> Position:
    """Where a binding is written: at its list item, else at the list."""
    positions = resource.positions
    found = (
        positions.item(path, lambda raw: _means(raw, binding)) if isinstance(positions, Positions) else None
    )
    return found or resource.position(path)


def _means(raw: object, binding: Binding) -> bool:
    try:
        return parse_binding(raw) == binding
    except ValueError:
        return False


# Addresses, logon names and domains

_ONE_ONLY = "it can belong to one resource only; remove one of the two"
_CLASH_HINTS = {
    "duplicate-logon-name": "a logon name opens one mailbox only, in any case; change one of the two",
}


@dataclass(frozen=True, slots=True)
class _Owned:
    """A text that belongs to one resource, and the field that says so."""

    resource: Resource
    path: str


def _logon_name_clashes(resources: Resources) -> Iterator[Clash]:
    owners: dict[str, _Owned] = {}
    for resource in resources.values():
        if isinstance(resource.spec, Mailbox):
            for path, name in logon_names(resource.key.name, resource.spec):
                code = "duplicate-address" if "@" in name else "duplicate-logon-name"
                yield from _claim(code, name, _Owned(resource, path), owners)


def _domain_clashes(resources: Resources) -> Iterator[Clash]:
    owners: dict[str, _Owned] = {}
    for resource in resources.values():
        if isinstance(resource.spec, AcceptedDomain):
            claim = _Owned(resource, "domainName")
            yield from _claim("duplicate-domain", resource.spec.domain_name, claim, owners)


def _claim(code: str, what: str, claim: _Owned, owners: dict[str, _Owned]) -> Iterator[Clash]:
    owner = owners.setdefault(what, claim)
    if owner.resource is not claim.resource:
        place = _owned_position(owner, what)
        message = f"{claim.path}: {what} belongs to {owner.resource.key} already, at {place}"
        found = error(code, message, _owned_position(claim, what), _CLASH_HINTS.get(code, _ONE_ONLY))
        yield Clash(claim.resource.key, owner.resource.key, f"{claim.path}: {what}", found)


def _owned_position(owned: _Owned, what: str) -> Position:
    positions = owned.resource.positions
    found = (
        positions.item(owned.path, lambda raw: str(raw).casefold() == what)
        if isinstance(positions, Positions)
        else None
    )
    return found or owned.resource.position(owned.path)
