"""What a change of a resource costs which service of which server: shared by the planner and the runtime.

Pure. The facts of a field say what it costs and whom; here stands what depends on values: which services a certificate
is enabled for, which service opens a connector, whether a service runs at all. An effect names the fields that cause
it; no field means that the resource as a whole came or went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from schemas.v1.base import FieldImpact, Reloads, Restarts, Spec
from schemas.v1.certificate import Certificate
from schemas.v1.codec import dump_spec
from schemas.v1.facts import find
from schemas.v1.impact import Impact
from schemas.v1.kinds import KINDS
from schemas.v1.receive_connector import ReceiveConnector, TransportRole
from schemas.v1.server import Server
from schemas.v1.services import SERVICES
from schemas.v1.words import StartupType


@dataclass(frozen=True, slots=True)
class Effect:
    """One service of one server that must be reloaded or restarted; `fields` are the YAML paths that ask for it."""

    server: str
    service: str
    impact: Impact
    fields: tuple[str, ...]


def effects(kind: str, name: str, old: Spec | None, new: Spec | None) -> tuple[Effect, ...]:
    """Return what the change of the live resource `name` costs, services in the order of `SERVICES`.

    `old` None means that it is created, `new` None that it is deleted. Impacts of NONE are left out.
    """
    server = KINDS[kind].server_of(name)
    if server is None or (find_costs := _COSTS.get(kind)) is None:
        return ()
    merged: dict[str, tuple[Impact, tuple[str, ...]]] = {}
    for path, cost in find_costs(old, new):
        for service in cost.services:
            impact, paths = merged.get(service, (Impact.NONE, ()))
            merged[service] = max(impact, cost.impact), (*paths, path) if path else paths
    return tuple(Effect(server, service, *merged[service]) for service in SERVICES if service in merged)


def changed_fields(old: Spec, new: Spec) -> tuple[str, ...]:
    """Return the YAML paths whose values differ in meaning, sorted; secrets are not looked at."""
    return tuple(sorted(_differences("", dump_spec(old), dump_spec(new))))


def _differences(path: str, old: JsonValue, new: JsonValue) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _differences(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    elif old != new:
        yield path


#: (path of the field or "", what it costs).
Cost = tuple[str, FieldImpact]


def _field_costs(kind: str, old: Spec, new: Spec) -> Iterator[Cost]:
    for path in changed_fields(old, new):
        facts = find(kind, path)
        if facts is not None and facts.impact is not Impact.NONE:
            yield path, FieldImpact(facts.impact, facts.services)


def _settings(kind: str) -> Callable[[Spec | None, Spec | None], Iterator[Cost]]:
    """A server always has these settings; where none are live, its services run with the defaults."""

    def costs(old: Spec | None, new: Spec | None) -> Iterator[Cost]:
        return _field_costs(kind, old or KINDS[kind].spec(), new or KINDS[kind].spec())

    return costs


def _server(old: Spec | None, new: Spec | None) -> Iterator[Cost]:
    if isinstance(old, Server) and isinstance(new, Server):
        yield from _field_costs("Server", old, new)
        return
    server = new or old
    for service in _automatic(server) if isinstance(server, Server) else ():
        yield f"services.{service}.startupType" if new else "", Restarts(service)


def _automatic(server: Server) -> Iterator[str]:
    for attribute in type(server.services).model_fields:
        if getattr(server.services, attribute).startup_type is StartupType.AUTOMATIC:
            yield server.services.yaml_name(attribute)


#: Which services present a certificate that is enabled for this word.
_PRESENTS: Mapping[str, tuple[str, ...]] = {
    "IMAP": ("imap4",),
    "POP": ("pop3",),
    "SMTP": ("frontend-transport", "transport"),
}


def _certificate(old: Spec | None, new: Spec | None) -> Iterator[Cost]:
    before = set(old.services) if isinstance(old, Certificate) else set()
    after = set(new.services) if isinstance(new, Certificate) else set()
    for path in changed_fields(old, new) if old and new else ("",):
        touched = before ^ after if path in ("services", "") else after
        yield path, Reloads(*(service for word in sorted(touched) for service in _PRESENTS.get(word, ())))


_OPENS = {
    TransportRole.FRONTEND_TRANSPORT: "frontend-transport",
    TransportRole.HUB_TRANSPORT: "transport",
}


def _receive_connector(old: Spec | None, new: Spec | None) -> Iterator[Cost]:
    both = [connector for connector in (old, new) if isinstance(connector, ReceiveConnector)]
    open_by = {_OPENS[connector.transport_role] for connector in both if connector.enabled}
    if old is None or new is None:
        yield "", Reloads(*open_by)
        return
    for path, cost in _field_costs("ReceiveConnector", old, new):
        yield path, FieldImpact(cost.impact, open_by)


_COSTS: Mapping[str, Callable[[Spec | None, Spec | None], Iterator[Cost]]] = {
    "Certificate": _certificate,
    "ImapSettings": _settings("ImapSettings"),
    "PopSettings": _settings("PopSettings"),
    "ReceiveConnector": _receive_connector,
    "Server": _server,
}
