"""What the files alone cannot tell: would this estate work on this machine and with what is live?

Looks at ports that something else holds, protocols without any certificate, and addresses in a domain that nobody
accepts. Ports are tried by binding them for a moment, except where the runtime listens already. Called by
`validate --live`; it changes nothing.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model import Desired, Diagnostic, LiveState, Present, Resource, Severity
from reconciler.targets.target import Json, Reader
from schemas.v1.accepted_domain import AcceptedDomain
from schemas.v1.addresses import Binding
from schemas.v1.base import Spec
from schemas.v1.certificate import Certificate
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.mailbox import Mailbox
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector

_PROTOCOLS: Mapping[str, str] = {"ImapSettings": "IMAP", "PopSettings": "POP"}


def preflight(desired: Desired, reader: Reader) -> tuple[Diagnostic, ...]:
    """Everything found, by resource. Raises TargetError."""
    status = reader.status()
    live = reader.observe({key: resource.spec for key, resource in desired.resources.items()})
    held = _ports_of_the_runtime(status)
    domains = frozenset(_domains(desired, live))
    secured = frozenset(_secured(desired, status))
    return tuple(
        problem
        for _, resource in sorted(desired.resources.items())
        for problem in (
            *_ports(resource, held),
            *_without_certificate(resource, secured),
            *_unknown_domain(resource, domains),
        )
    )


def _ports(resource: Resource, held: frozenset[int]) -> Iterator[Diagnostic]:
    for path, binding in _bindings(resource.spec):
        if binding.port in held:
            continue
        if (why := why_not_bindable(binding)) is not None:
            hint = "choose another address, or stop what listens there"
            yield _about(resource, path, "port", f"{binding} cannot be listened on: {why}", hint)


def _bindings(spec: Spec) -> Iterator[tuple[str, Binding]]:
    match spec:
        case ImapSettings() | PopSettings():
            yield from (("unencryptedOrTLSBindings", one) for one in spec.unencrypted_or_tls_bindings)
            yield from (("sslBindings", one) for one in spec.ssl_bindings)
            yield "proxyTargetPort", Binding("127.0.0.1", spec.proxy_target_port)
        case ReceiveConnector(enabled=True):
            yield from (("bindings", one) for one in spec.bindings)


def why_not_bindable(binding: Binding) -> str | None:
    """Why nothing could listen there now; None when something could."""
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((binding.host, binding.port))
            probe.listen(1)
        except OSError as error:
            return "something else listens there" if error.errno == errno.EADDRINUSE else str(error.strerror)
    return None


def _ports_of_the_runtime(status: Json) -> frozenset[int]:
    addresses = (
        str(listening["address"])
        for service in _services(status)
        for listening in service.get("listening") or ()
    )
    return frozenset(int(address.rpartition(":")[2]) for address in addresses)


def _services(status: Json) -> Iterator[Mapping[str, Any]]:
    servers: Any = status["servers"]
    return (service for server in servers for service in server["services"])


def _without_certificate(resource: Resource, secured: frozenset[tuple[str, str]]) -> Iterator[Diagnostic]:
    protocol = _PROTOCOLS.get(resource.key.kind)
    if protocol is not None and (resource.key.name, protocol) not in secured:
        message = f"no certificate of {resource.key.name} is enabled for {protocol}, so there is no TLS"
        yield _about(
            resource, "", "no-certificate", message, f"declare a Certificate with services: [{protocol}]"
        )


def _secured(desired: Desired, status: Json) -> Iterator[tuple[str, str]]:
    """(server, protocol) for every certificate that is declared or live."""
    for key, resource in desired.resources.items():
        if isinstance(resource.spec, Certificate):
            yield from ((key.name.partition("/")[0], str(service)) for service in resource.spec.services)
    servers: Any = status["servers"]
    for server in servers:
        for certificate in server["certificates"]:
            yield from ((server["name"], service) for service in certificate["services"])


def _unknown_domain(resource: Resource, domains: Iterable[str]) -> Iterator[Diagnostic]:
    if not isinstance(resource.spec, Mailbox):
        return
    domain = str(resource.spec.primary_smtp_address).rpartition("@")[2].lower()
    if not any(_accepts(accepted, domain) for accepted in domains):
        message = f"no AcceptedDomain covers {domain}, so nobody outside can write to this mailbox"
        yield _about(resource, "primarySmtpAddress", "unknown-domain", message, f"declare {domain}")


def _accepts(accepted: str, domain: str) -> bool:
    return domain == accepted or (accepted.startswith("*.") and domain.endswith(accepted[1:]))


def _domains(desired: Desired, live: LiveState) -> Iterator[str]:
    declared = (resource.spec for resource in desired.resources.values())
    observed = (found.spec for found in live.resources.values() if isinstance(found, Present))
    for spec in (*declared, *observed):
        if isinstance(spec, AcceptedDomain):
            yield str(spec.domain_name).lower()
            if spec.match_sub_domains:
                yield f"*.{spec.domain_name}".lower()


def _about(resource: Resource, path: str, code: str, message: str, hint: str) -> Diagnostic:
    text = f"{resource.key}: {message}"
    return Diagnostic(code, Severity.WARNING, text, resource.position(path), hint, resource.allows(code))
