"""Does a service that was just restarted serve? Asked as a client would: through the public listeners, all the way.

IMAP4 and POP3 with a logon and a look into the mailbox, SMTP with a message that is submitted, delivered and read back.
Back ends are asked through their front end, since no client reaches them otherwise; transport, which a logon does not
reach, has to greet on its own listener too. A front end that is off (Manual or Disabled) leaves nothing to ask, which
is said and is not a failure. A probe is counted like any client: where clients hold every connection that the limits
allow, the answer of the limit shows that the service serves, and the report says what could not be tried. However a
listener behaves, a probe ends within PROBE_SECONDS. `apply` calls a `Verifier`
for each service that it brought onto new settings, and takes everything back when the answer is no.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any, Protocol

from reconciler.applying.deadline import Deadline
from reconciler.applying.logon import (
    Endpoint,
    Logon,
    LogonError,
    NotAdmittedError,
    Visit,
    imap_logon,
    pop_logon,
    smtp_greeting,
    smtp_logon,
)
from reconciler.applying.message import Reading, round_trip
from reconciler.applying.trust import trust_of
from reconciler.model import Present
from reconciler.targets.target import HealthMailbox, Reader, TargetError
from schemas.v1.receive_connector import ReceiveConnector

#: Seconds that the probe of one service may take in all, further attempts included.
PROBE_SECONDS = 15.0
#: A generation answers as soon as it serves; further attempts are for a machine under load. What a listener answers is
#: believed the first time.
SECONDS_BETWEEN_ATTEMPTS = 0.5
#: How often a listener at its connection limit is asked: clients come and go.
ATTEMPTS_WHEN_FULL = 4


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
    """Probes the services of one runtime. May be called from several threads at once."""

    def __init__(
        self,
        reader: Reader,
        *,
        wait: Callable[[float], None] = time.sleep,
        seconds: float = PROBE_SECONDS,
    ) -> None:
        self._reader = reader
        self._wait = wait
        self._seconds = seconds

    def __call__(self, service: str) -> ProbeResult:
        """Try until it serves, gives an answer that it would give again, or the time is up."""
        deadline = Deadline(self._seconds)
        while True:
            try:
                return self._ask(service, deadline)
            except (LogonError, TargetError) as error:
                is_final = isinstance(error, LogonError) and error.is_final
                if is_final or deadline.left <= SECONDS_BETWEEN_ATTEMPTS:
                    return ProbeResult(is_serving=False, detail=str(error))
            self._wait(SECONDS_BETWEEN_ATTEMPTS)

    def _ask(self, service: str, deadline: Deadline) -> ProbeResult:
        server, _, name = service.partition("/")
        status = self._reader.status()
        services = _services(status)
        if (known := _known_without_asking(services.get(service))) is not None:
            return known
        greetings = [
            self._unless_full(partial(smtp_greeting, at, deadline), "nothing more was tried", status)
            for at in _endpoints(services[service], "internal")
        ]
        route = _ROUTES[name]
        through = services.get(f"{server}/{route.through}", {})
        if not _takes_clients(through):
            unasked = f"running; {route.through} takes no clients, so no logon was tried"
            return ProbeResult(is_serving=True, detail="; ".join([*greetings, unasked]))
        caller = _Caller(server, status, self._reader.health_mailbox(server), deadline)
        said = self._log_on(caller, route)
        if route.protocol == "SMTP":
            said.append(
                self._unless_full(partial(self._send, caller, services), "no message was sent", status)
            )
        return ProbeResult(is_serving=True, detail="; ".join([*greetings, *said]))

    def _log_on(self, caller: _Caller, route: _Route) -> list[str]:
        """What was seen at each listener that was asked: the safest one, or every one of SMTP's connectors."""
        visits = caller.visits(route.through, route.protocol)
        chosen = visits if route.protocol == "SMTP" else visits[:1]
        return [self._said(caller, visit, route.logon) for visit in chosen]

    def _send(self, caller: _Caller, services: Mapping[str, Mapping[str, Any]]) -> str:
        """A message there and back, when there is a way for it."""
        if caller.mailbox.database is None:
            return "no message was sent: no mailbox database is on this server yet"
        if services.get(f"{caller.server}/transport", {}).get("state") != "running":
            return "no message was sent: transport does not run"
        readable = [
            Reading(visit, protocol)
            for front_end, protocol in (("imap4", "IMAP"), ("pop3", "POP"))
            if _takes_clients(services.get(f"{caller.server}/{front_end}", {}))
            for visit in caller.visits(front_end, protocol)
            if visit.endpoint.tls != "none"
        ]
        if not readable:
            return (
                "no message was sent: neither IMAP4 nor POP3 takes clients over TLS, so nobody could read it"
            )
        listeners = [
            visit
            for visit in caller.visits("frontend-transport", "SMTP")
            if not self._is_closed_to_us(caller.server, visit.endpoint)
        ]
        return round_trip(listeners, readable[0], wait=self._wait)

    def _unless_full(self, ask: Callable[[], str], untried: str, before: Mapping[str, Any]) -> str:
        """What was seen; after some attempts, that there was no place for a probe. `before`: the status until then.

        A listener that says nothing counts as full only if at each attempt the runtime has counted a refusal since the
        one before: it counts by service, so that a single one may have been another client's."""
        attempt = 1
        while True:
            try:
                return ask()
            except NotAdmittedError as error:
                now = self._reader.status()
                if not (error.is_full or _refusals(now, error.endpoint) > _refusals(before, error.endpoint)):
                    raise
                before = now
                if attempt == ATTEMPTS_WHEN_FULL:
                    return f"{error.endpoint} serves, but is at its connection limit: {untried}"
            attempt += 1
            self._wait(SECONDS_BETWEEN_ATTEMPTS)

    def _said(self, caller: _Caller, visit: Visit, logon: Logon) -> str:
        try:
            return self._unless_full(partial(logon, visit), "no logon was tried", caller.status)
        except LogonError:
            if not self._is_closed_to_us(caller.server, visit.endpoint):
                raise
            return f"{visit.endpoint} was not asked: its remoteIPRanges leave this machine out"

    def _is_closed_to_us(self, server: str, endpoint: Endpoint) -> bool:
        """True when connectors are bound there and none of them serves the address that a probe comes from."""
        keys = [
            key
            for key in self._reader.stamps().resources
            if key.kind == "ReceiveConnector" and key.name.startswith(f"{server}/")
        ]
        connectors = [
            observed.spec
            for observed in map(self._reader.read, keys)
            if isinstance(observed, Present)
            and isinstance(observed.spec, ReceiveConnector)
            and _is_bound(observed.spec, endpoint)
        ]
        here = ip_address(endpoint.host)
        ranges = [one for spec in connectors for one in spec.remote_ip_ranges]
        return bool(connectors) and not any(one.contains(here) for one in ranges)


@dataclass(frozen=True, slots=True)
class _Caller:
    """Somebody who goes to the listeners of one server, with the runtime's account of them."""

    server: str
    status: Mapping[str, Any]
    mailbox: HealthMailbox
    deadline: Deadline

    def visits(self, front_end: str, protocol: str) -> tuple[Visit, ...]:
        """To each listener for clients, the safest first."""
        service = _services(self.status).get(f"{self.server}/{front_end}", {})
        trust = trust_of(self.status, server=self.server, protocol=protocol)
        endpoints = sorted(_endpoints(service, "clients"), key=_safety)
        return tuple(Visit(endpoint, trust, self.mailbox, self.deadline) for endpoint in endpoints)


def _takes_clients(service: Mapping[str, Any]) -> bool:
    return service.get("state") == "running" and any(_endpoints(service, "clients"))


def _is_bound(connector: ReceiveConnector, endpoint: Endpoint) -> bool:
    return connector.enabled and any(
        (_reachable(one.host), one.port) == (endpoint.host, endpoint.port) for one in connector.bindings
    )


def _services(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {service["id"]: service for server in status["servers"] for service in server["services"]}


def _refusals(status: Mapping[str, Any], endpoint: Endpoint) -> int:
    """Of the service that listens there."""
    listening = (one for one in _services(status).values() if endpoint in _endpoints(one, "clients"))
    return sum(int(one.get("refusedConnections") or 0) for one in listening)


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


def _safety(endpoint: Endpoint) -> int:
    return ("implicit", "starttls", "none").index(endpoint.tls)
