"""What one generation of one service is built from: the server's resources as they are now, frozen.

A blueprint is sent to the host, which makes the `Snapshot` and the `Service` of it; the supervisor keeps it,
to start the same generation again after a crash and to tell what live configuration has that the generation
has not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

from runtime.live import LiveConfigurationError, LiveStore
from runtime.live.resource import Row, resource_of
from runtime.services.base import CertificateFiles, Listener
from runtime.services.listeners import ListenerSettings, listeners
from runtime.supervisor.certificates import CERTIFICATE_SERVICE, CertificateError, prepare
from runtime.supervisor.layout import Layout
from runtime.supervisor.unreadable import Unreadable, unreadable
from schemas.v1.addresses import Binding
from schemas.v1.base import Spec
from schemas.v1.certificate import Certificate
from schemas.v1.codec import dump_spec
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector
from schemas.v1.server import Server

logger = logging.getLogger("runtime.supervisor")

S = TypeVar("S", bound=Spec)
Key = tuple[str, str]

#: Kinds of which a server has one, under its own name, and kinds of which it has many.
_ONE_A_SERVER = ("Server", "ImapSettings", "PopSettings")
_MANY_A_SERVER = ("Certificate", "ReceiveConnector")
#: What a server that says nothing else has.
DEFAULT_DRAIN_TIMEOUT: timedelta = Server.model_fields["drain_timeout"].default


@dataclass(frozen=True, slots=True)
class ServerResources:
    """One server's resources in the live configuration at `epoch`; what is not declared is not in it. `unreadable`
    are those that this version refuses."""

    epoch: int
    server: str
    specs: Mapping[Key, Spec]
    unreadable: Mapping[Key, Unreadable] = field(default_factory=dict)

    @property
    def spec(self) -> Server | None:
        """The server itself; None when it is not declared (any more)."""
        return self._one("Server", Server)

    @property
    def imap(self) -> ImapSettings:
        """Exchange makes one settings object a server: an undeclared one is all defaults."""
        return self._one("ImapSettings", ImapSettings) or ImapSettings()

    @property
    def pop(self) -> PopSettings:
        """Like `imap`."""
        return self._one("PopSettings", PopSettings) or PopSettings()

    @property
    def connectors(self) -> Mapping[str, ReceiveConnector]:
        """By name without the server."""
        return dict(self._many("ReceiveConnector", ReceiveConnector))

    @property
    def certificates(self) -> Mapping[str, Certificate]:
        """By name without the server."""
        return dict(self._many("Certificate", Certificate))

    def startup_type(self, service: str) -> str:
        """Manual, Automatic or Disabled; Disabled for a server that is not declared. As it is stored for one that
        is unreadable."""
        if refused := self.unreadable.get(("Server", self.server)):
            return refused.startup_type(service)
        if self.spec is None:
            return "Disabled"
        return str(getattr(self.spec.services, service.replace("-", "_")).startup_type)

    @property
    def drain_timeout(self) -> timedelta:
        """How long a drain may take; the default for a server that is unreadable, none for one that is gone."""
        if ("Server", self.server) in self.unreadable:
            return DEFAULT_DRAIN_TIMEOUT
        return self.spec.drain_timeout if self.spec else timedelta(0)

    def check(self, service: str) -> None:
        """Raises LiveConfigurationError when a resource that `service` is made of is unreadable."""
        for _, refused in sorted(self.unreadable.items(), key=lambda item: item[0]):
            if refused.concerns(service):
                raise LiveConfigurationError(refused.problem)

    def _one(self, kind: str, spec_type: type[S]) -> S | None:
        found = self.specs.get((kind, self.server))
        return found if isinstance(found, spec_type) else None

    def _many(self, kind: str, spec_type: type[S]) -> Iterator[tuple[str, S]]:
        for (found_kind, name), spec in sorted(self.specs.items(), key=lambda item: item[0]):
            if found_kind == kind and isinstance(spec, spec_type):
                yield name.partition("/")[2], spec


def server_resources(store: LiveStore, server: str) -> ServerResources:
    """The server's resources as they are now."""
    specs: dict[Key, Spec] = {}
    refused: dict[Key, Unreadable] = {}
    for row in _rows(store, server):
        try:
            specs[row.kind, row.name] = _spec(row)
        except LiveConfigurationError as error:
            refused[row.kind, row.name] = unreadable(row, str(error))
    return ServerResources(store.epoch, server, specs, refused)


@lru_cache(maxsize=8192)
def _spec(row: Row) -> Spec:
    """Remembered by all that is stored: every status looks at every server, and checking a spec is nearly all of what
    that costs."""
    return resource_of(row).spec


def _rows(store: LiveStore, server: str) -> Iterator[Row]:
    for kind in _ONE_A_SERVER:
        if row := store.row(kind, server):
            yield row
    for kind in _MANY_A_SERVER:
        yield from store.rows_below(kind, server)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One generation of one service, ready to be started."""

    service: str
    resources: ServerResources
    certificates: tuple[CertificateFiles, ...]
    listeners: tuple[Listener, ...]

    @property
    def addresses(self) -> tuple[Binding, ...]:
        """Where it listens."""
        return tuple(Binding(listener.host, listener.port) for listener in self.listeners)


def draw(layout: Layout, resources: ServerResources, *, service: str, internal_port: int) -> Blueprint:
    """The blueprint of a service from its server's resources, with its certificates made and checked. Raises
    CertificateError for a certificate that this service shows."""
    settings = ListenerSettings(resources.imap, resources.pop, resources.connectors, internal_port)
    return Blueprint(
        service=service,
        resources=resources,
        certificates=tuple(_certificates(layout, resources, service)),
        listeners=listeners(service, settings),
    )


def _certificates(layout: Layout, resources: ServerResources, service: str) -> Iterator[CertificateFiles]:
    """All usable ones of the server: a wildcard is chosen by name although it is not enabled for the
    service."""
    own = CERTIFICATE_SERVICE.get(service)
    if own is None or resources.spec is None:
        return
    for name, spec in resources.certificates.items():
        try:
            yield prepare(
                layout, server=resources.server, fqdn=str(resources.spec.fqdn), name=name, spec=spec
            )
        except CertificateError as error:
            if own in {str(enabled) for enabled in spec.services}:
                raise
            logger.warning("left out of %s/%s, which does not need it: %s", resources.server, service, error)


def message(blueprint: Blueprint) -> dict[str, Any]:
    """What the host is sent, but for the sockets."""
    resources = blueprint.resources
    return {
        "service": blueprint.service,
        "epoch": resources.epoch,
        "resources": [
            {"kind": kind, "name": name, "spec": dump_spec(spec)}
            for (kind, name), spec in resources.specs.items()
        ],
        "certificates": [_certificate_message(files) for files in blueprint.certificates],
        "listeners": [
            {"host": one.host, "port": one.port, "tls": one.tls, "purpose": one.purpose}
            for one in blueprint.listeners
        ],
    }


def _certificate_message(files: CertificateFiles) -> dict[str, Any]:
    return {
        "name": files.name,
        "certificateFile": str(files.certificate_file),
        "privateKeyFile": str(files.private_key_file),
        "services": sorted(files.services),
        "subjectAlternativeNames": list(files.subject_alternative_names),
    }
