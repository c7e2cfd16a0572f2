"""Transport: accepts messages, makes them durable, and hands them to the engine that delivers them.

It listens for our own services (the internal listener) and for clients on Receive connectors with the role
HubTransport. Queue and delivery belong to the engine, which the host keeps over generations: a restart of
this service ends sessions, never the work on messages that were taken. Built by the host's registry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from runtime.net.connection import StreamConnection
from runtime.services.backend_hop import Nonces
from runtime.services.base import Host, Listener, Snapshot
from runtime.services.queue_sink import QueueSink
from runtime.services.smtp_intake import Sink
from runtime.services.smtp_service import SmtpFacts, SmtpService
from runtime.services.smtp_session import SmtpSession
from runtime.services.transport_intake import Door, InternalSession
from runtime.services.transport_token import introduction
from runtime.transport.engine import Place, Surroundings, TransportEngine
from runtime.transport.envelope import Envelope
from schemas.v1.receive_connector import TransportRole

FACTS = SmtpFacts("transport", TransportRole.HUB_TRANSPORT, "Hub/SmtpReceive")


class Transport:
    """One generation (`runtime.services.base.Service`)."""

    def __init__(self, host: Host, snapshot: Snapshot, generation: int) -> None:
        self._host = host
        self._snapshot = snapshot
        self._generation = generation
        self._engine = host.keep("transport-queue", partial(_make_engine, host))
        self._nonces = host.keep("transport-nonces", Nonces)
        self._service = SmtpService(host, snapshot, FACTS, new_sink=self._new_sink)

    def _new_sink(self, envelope: Envelope, flow: Callable[[bool], None]) -> Sink:
        fqdn = self._snapshot.spec.fqdn
        return QueueSink(self._engine, envelope, sender=fqdn, fqdn=fqdn)

    async def start(self) -> None:
        """Raises TlsError, and OSError when the queue cannot be opened."""
        self._service.start()
        self._engine.attach(
            self._generation, Surroundings(self._snapshot.spec.fqdn, self._snapshot.transport_endpoints)
        )

    def protocol_factory(self, listener: Listener) -> Callable[[], asyncio.BaseProtocol]:
        if listener.purpose == "internal":
            return lambda: StreamConnection(self._internal_session())
        return lambda: StreamConnection(SmtpSession(self._service, listener))

    def _internal_session(self) -> InternalSession:
        door = Door(self._host.server, self._snapshot.spec.fqdn, self._host.backend_key, self._nonces)
        return InternalSession(self._engine, self._service, door)

    def session_count(self) -> int:
        return self._service.session_count()

    async def drain(self, over: float) -> None:
        await self._service.drain(over)
        await self._engine.detach(self._generation)

    async def leave(self) -> None:
        """Clients go on; our own services move on to the next generation, else they would keep this one for ever."""
        for session in self._service.sessions:
            if isinstance(session, InternalSession):
                session.drain()
        await self._service.leave()
        await self._engine.detach(self._generation)

    async def close(self) -> None:
        await self._service.close()
        await self._engine.detach(self._generation)


def _make_engine(host: Host) -> TransportEngine:
    if host.store is None:
        raise RuntimeError("transport needs the store of a back-end host")
    place = Place(
        server=host.server,
        queue_directory=host.state / "servers" / host.server / "queue",
        introduction=partial(introduction, host.backend_key),
    )
    return TransportEngine(host.directory, host.store, place)


def create(host: Host, snapshot: Snapshot, generation: int) -> Transport:
    """A generation of the service."""
    return Transport(host, snapshot, generation)
