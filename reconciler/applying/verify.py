"""Does a service that was just restarted serve? Asked as a client would: by logging on through a public listener.

Back ends are asked through their front end, since no client reaches them otherwise; transport, which a logon does not
reach, has to greet on its own listener too. A front end that is off (Manual or
Disabled) leaves nothing to ask, which is said and is not a failure. `apply` calls a `Verifier` for each service that
it brought onto new settings, and takes everything back when the answer is no.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Protocol

from reconciler.applying.logon import (
    Endpoint,
    Logon,
    LogonError,
    imap_logon,
    pop_logon,
    smtp_greeting,
    smtp_logon,
)
from reconciler.applying.trust import trust_of
from reconciler.model import Present
from reconciler.targets.target import Reader, TargetError
from schemas.v1.receive_connector import ReceiveConnector

#: A generation answers as soon as it serves; the further attempts are for a machine under load.
ATTEMPTS = 3
SECONDS_BETWEEN_ATTEMPTS = 0.5


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found, in words for the report."""

    is_serving: bool
    detail: str


class Verify(Protocol):
    """How `apply` asks whether "ex01/imap4" serves."""

    def __call__(self, service: str) -> ProbeResult: ...


@dataclass(frozen=True, slots=True)
class _Route:
    """Through which front end a service is asked, how, and which certificates it may show."""

    through: str
    protocol: str
    logon: Logon


_ROUTES: Mapping[str, _Route] = {
    "imap4": _Route("imap4", "IMAP", imap_logon),
    "imap4-backend": _Route("imap4", "IMAP", imap_logon),
    "pop3": _Route("pop3", "POP", pop_logon),
    "pop3-backend": _Route("pop3", "POP", pop_logon),
    "frontend-transport": _Route("frontend-transport", "SMTP", smtp_logon),
    "transport": _Route("frontend-transport", "SMTP", smtp_logon),
}


class Verifier:
    """Probes the services of one runtime."""

    def __init__(self, reader: Reader, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._reader = reader
        self._wait = wait

    def __call__(self, service: str) -> ProbeResult:
        """Try a few times; the last failure counts."""
        for _ in range(ATTEMPTS - 1):
            result = self._probe(service)
            if result.is_serving:
                return result
            self._wait(SECONDS_BETWEEN_ATTEMPTS)
        return self._probe(service)

    def _probe(self, service: str) -> ProbeResult:
        try:
            return self._ask(service)
        except (LogonError, TargetError) as error:
            return ProbeResult(is_serving=False, detail=str(error))

    def _ask(self, service: str) -> ProbeResult:
        server, _, name = service.partition("/")
        status = self._reader.status()
        services = _services(status)
        if (known := _known_without_asking(services.get(service))) is not None:
            return known
        greetings = [smtp_greeting(at) for at in _endpoints(services[service], "internal")]
        through = services.get(f"{server}/{_ROUTES[name].through}", {})
        said = self._log_on(server, _ROUTES[name], through, status)
        return ProbeResult(is_serving=True, detail="; ".join([*greetings, *said]))

    def _log_on(
        self, server: str, route: _Route, through: Mapping[str, Any], status: Mapping[str, Any]
    ) -> list[str]:
        """What was seen at each listener that was asked: the safest one, or every one of SMTP's connectors."""
        endpoints = tuple(_endpoints(through, "clients"))
        if through.get("state") != "running" or not endpoints:
            return [f"running; {route.through} takes no clients, so no logon was tried"]
        trust = trust_of(status, server=server, protocol=route.protocol)
        mailbox = self._reader.health_mailbox(server)
        chosen = endpoints if route.protocol == "SMTP" else (_safest(endpoints),)
        return [self._said(server, at, lambda at: route.logon(at, trust, mailbox)) for at in chosen]

    def _said(self, server: str, endpoint: Endpoint, logon: Callable[[Endpoint], str]) -> str:
        try:
            return logon(endpoint)
        except LogonError:
            if not self._is_closed_to_us(server, endpoint):
                raise
            return f"{endpoint} was not asked: its remoteIPRanges leave this machine out"

    def _is_closed_to_us(self, server: str, endpoint: Endpoint) -> bool:
        """True when connectors are bound there and none of them serves the address that a probe comes from."""
        live = self._reader.observe().resources.items()
        connectors = [
            observed.spec
            for key, observed in live
            if isinstance(observed, Present)
            and isinstance(observed.spec, ReceiveConnector)
            and key.name.startswith(f"{server}/")
            and _is_bound(observed.spec, endpoint)
        ]
        here = ip_address(endpoint.host)
        ranges = [one for spec in connectors for one in spec.remote_ip_ranges]
        return bool(connectors) and not any(one.contains(here) for one in ranges)


def _is_bound(connector: ReceiveConnector, endpoint: Endpoint) -> bool:
    return connector.enabled and any(
        (_reachable(one.host), one.port) == (endpoint.host, endpoint.port) for one in connector.bindings
    )


def _services(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {service["id"]: service for server in status["servers"] for service in server["services"]}


def _known_without_asking(service: Mapping[str, Any] | None) -> ProbeResult | None:
    """What the runtime's own account settles: a service that is off, or that cannot be serving."""
    if service is None:
        return ProbeResult(is_serving=False, detail="the runtime does not list it")
    if service["state"] == "running":
        return None
    if service["state"] in ("stopped", "draining") and service["startupType"] != "Automatic":
        return ProbeResult(is_serving=True, detail=f"off, its startup type is {service['startupType']}")
    reason = service.get("lastError") or "the runtime gives no reason"
    return ProbeResult(is_serving=False, detail=f"it is {service['state']}: {reason}")


def _endpoints(service: Mapping[str, Any], purpose: str) -> Iterator[Endpoint]:
    """Its listeners for "clients" or for "internal" use, wildcard addresses replaced by loopback."""
    for listening in service.get("listening") or ():
        if listening["purpose"] == purpose:
            host, _, port = str(listening["address"]).rpartition(":")
            yield Endpoint(_reachable(host.strip("[]")), int(port), listening["tls"])


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - the other way round


def _safest(endpoints: tuple[Endpoint, ...]) -> Endpoint:
    return min(endpoints, key=lambda endpoint: ("implicit", "starttls", "none").index(endpoint.tls))
