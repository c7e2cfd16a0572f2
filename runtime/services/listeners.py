"""Which addresses a service listens on, as its settings declare them. Pure: nothing is bound here.

The supervisor binds what this says, and hands each socket to the host with the `Listener` it belongs to. Back
ends and the internal transport listener are on loopback only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from runtime.services.base import Listener, Tls
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """What decides where a server's services listen. `internal_port` is the port of its transport's own
    listener."""

    imap: ImapSettings
    pop: PopSettings
    connectors: Mapping[str, ReceiveConnector]
    internal_port: int


def listeners(service: str, settings: ListenerSettings) -> tuple[Listener, ...]:
    """All listeners of `service`, in the order declared, each address once. Raises KeyError for an unknown
    service."""
    found: dict[tuple[str, int], Listener] = {}
    for listener in _RULES[service](settings):
        found.setdefault((listener.host, listener.port), listener)
    return tuple(found.values())


def _client_listeners(service: str, settings: ImapSettings | PopSettings) -> Iterable[Listener]:
    for binding in settings.unencrypted_or_tls_bindings:
        yield Listener(service, binding.host, binding.port, "starttls")
    for binding in settings.ssl_bindings:
        yield Listener(service, binding.host, binding.port, "implicit")


def _backend_listener(service: str, port: int) -> Iterable[Listener]:
    yield Listener(service, LOOPBACK, port, "none", purpose="backend")


def _connector_listeners(service: str, role: str, settings: ListenerSettings) -> Iterable[Listener]:
    for _, connector in sorted(settings.connectors.items()):
        if connector.enabled and connector.transport_role == role:
            yield from (Listener(service, one.host, one.port, _tls(connector)) for one in connector.bindings)


def _tls(connector: ReceiveConnector) -> Tls:
    """Exchange offers STARTTLS on a connector whose AuthMechanism has Tls."""
    return "starttls" if "Tls" in connector.auth_mechanism else "none"


def _transport_listeners(settings: ListenerSettings) -> Iterable[Listener]:
    yield Listener("transport", LOOPBACK, settings.internal_port, "none", purpose="internal")
    yield from _connector_listeners("transport", "HubTransport", settings)


_RULES: Mapping[str, Callable[[ListenerSettings], Iterable[Listener]]] = {
    "imap4": lambda settings: _client_listeners("imap4", settings.imap),
    "imap4-backend": lambda settings: _backend_listener("imap4-backend", settings.imap.proxy_target_port),
    "pop3": lambda settings: _client_listeners("pop3", settings.pop),
    "pop3-backend": lambda settings: _backend_listener("pop3-backend", settings.pop.proxy_target_port),
    "frontend-transport": lambda settings: _connector_listeners(
        "frontend-transport", "FrontendTransport", settings
    ),
    "transport": _transport_listeners,
}
