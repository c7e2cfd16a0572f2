"""What a service is, and what a host gives it.

A host process carries services; a *generation* is one `Service` object, built from a frozen `Snapshot`. Things that
must outlive a generation (connection counters, the store, the queue) belong to the `Host`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from runtime.directory.directory import Directory
from runtime.directory.logon import Authenticator
from runtime.store.interface import Store
from runtime.throttling.connections import ConnectionCounters
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector
from schemas.v1.server import Server

T = TypeVar("T")
Tls = Literal["none", "starttls", "implicit"]


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening address of one service. `purpose` is "clients", "backend" or "internal"."""

    service: str
    host: str
    port: int
    tls: Tls
    purpose: str = "clients"


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate of this server as PEM files that exist and may be read."""

    name: str
    certificate_file: Path
    private_key_file: Path
    services: frozenset[str]
    subject_alternative_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The settings of one server as they were when a generation was built. Frozen: a session never sees a change."""

    epoch: int
    server: str
    spec: Server
    imap: ImapSettings
    pop: PopSettings
    connectors: Mapping[str, ReceiveConnector]
    certificates: tuple[CertificateFiles, ...]
    #: Loopback address of each server's internal transport listener: server name → (host, port).
    transport_endpoints: Mapping[str, tuple[str, int]]


@dataclass
class Host:
    """What one host process shares between its services and their generations."""

    server: str
    role: Literal["frontend", "backend"]
    state: Path
    directory: Directory
    authenticator: Authenticator
    counters: ConnectionCounters
    backend_key: bytes
    store: Store | None
    kept: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str, make: Callable[[], T]) -> T:
        """Return the object kept under `name`, making it the first time: for what outlives a generation."""
        if name not in self.kept:
            self.kept[name] = make()
        kept: T = self.kept[name]
        return kept


class Service(Protocol):
    """One generation of one service.

    Each service module offers `create(host: Host, snapshot: Snapshot, generation: int) -> Service`.
    """

    async def start(self) -> None:
        """Everything that can fail, before a client is taken. An error here keeps the old generation."""

    def protocol_factory(self, listener: Listener) -> Callable[[], asyncio.BaseProtocol]:
        """What the host hands to `loop.create_server` for this listener."""

    def session_count(self) -> int: ...

    async def drain(self, over: float) -> None:
        """Announce the end to every session, spread over `over` seconds, and return when all are gone or the time is
        up and the rest has been closed. Sessions before logon may finish theirs first."""

    async def leave(self) -> None:
        """Let the sessions go on until they end by themselves (a reload); return when none is left."""

    async def close(self) -> None:
        """The host stops: end sessions now, flush, release."""
