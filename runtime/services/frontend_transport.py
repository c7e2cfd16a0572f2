"""Front End Transport: the SMTP door of a server. Stateless: it keeps no message and has no queue.

It chooses the Receive connector, applies its limits and permissions, authenticates, and hands each message to
the server's transport service over the internal hop, parsed and sent anew; a client's raw DATA is never
relayed. The client's 250 is transport's own, given after the message is on disk. While transport cannot be
reached, messages are refused for now (451). Built by the host's registry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runtime.net.connection import StreamConnection
from runtime.services.base import Host, Listener, Snapshot
from runtime.services.smtp_intake import Sink
from runtime.services.smtp_service import SmtpFacts, SmtpService
from runtime.services.smtp_session import SmtpSession
from runtime.services.transport_token import introduction
from runtime.transport.envelope import Envelope
from runtime.transport.hop import HopPool
from schemas.v1.receive_connector import TransportRole

FACTS = SmtpFacts("frontend-transport", TransportRole.FRONTEND_TRANSPORT, "FrontEnd/SmtpReceive")


class FrontEndTransport:
    """One generation (`runtime.services.base.Service`)."""

    def __init__(self, host: Host, snapshot: Snapshot) -> None:
        address, port = snapshot.transport_endpoints[snapshot.server]
        introduce = introduction(host.backend_key, snapshot.spec.fqdn, snapshot.server)
        self._pool = HopPool(address, port, introduce)
        self._service = SmtpService(host, snapshot, FACTS, new_sink=self._new_sink)

    def _new_sink(self, envelope: Envelope, flow: Callable[[bool], None]) -> Sink:
        return self._pool.message(envelope, flow)

    async def start(self) -> None:
        self._service.start()

    def protocol_factory(self, listener: Listener) -> Callable[[], asyncio.BaseProtocol]:
        return lambda: StreamConnection(SmtpSession(self._service, listener))

    def session_count(self) -> int:
        return self._service.session_count()

    async def drain(self, over: float) -> None:
        await self._service.drain(over)
        self._pool.close()

    async def leave(self) -> None:
        await self._service.leave()
        self._pool.close()

    async def close(self) -> None:
        await self._service.close()
        self._pool.close()


def create(host: Host, snapshot: Snapshot, generation: int) -> FrontEndTransport:  # noqa: ARG001 - the registry's signature
    """A generation of the service."""
    return FrontEndTransport(host, snapshot)
