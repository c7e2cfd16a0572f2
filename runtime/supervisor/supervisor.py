"""The supervisor's parts put together: services, their hosts and sockets, and the live configuration they run
from.

It starts every Automatic service when the runtime starts. After that a service changes only when somebody
asks for it (`converge`); a write of a resource is told to the hosts, whose directories follow at once, and
nothing is restarted.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable
from typing import Any

from runtime.live import LiveConfigurationError, LiveStore
from runtime.live.resource import Row, resource_of
from runtime.supervisor.blueprint import ServerResources, draw, server_resources
from runtime.supervisor.channel import Message
from runtime.supervisor.events import EventBus, utc_now
from runtime.supervisor.health_mailbox import HealthAccount, make
from runtime.supervisor.host_keeper import HostKeeper, KeeperHooks
from runtime.supervisor.host_process import HostCommand, HostError
from runtime.supervisor.layout import Layout
from runtime.supervisor.passwords import SecretHasher
from runtime.supervisor.service_control import Mode, ServiceContext, ServiceControl, ServiceError
from runtime.supervisor.sockets import ListeningSockets
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.services import SERVICES

#: Back ends first when starting, last when stopping: a front end without its back end can only refuse.
ROLES = ("backend", "frontend")


class UnknownServiceError(Exception):
    """No such service on a declared server."""

    def __init__(self, service: str) -> None:
        super().__init__(f"there is no service {service}; GET /v1/status lists them as <server>/<service>")


class Supervisor:
    """Everything that runs on one state directory. Event loop only."""

    def __init__(self, layout: Layout, store: LiveStore, *, lock: int) -> None:
        self.layout = layout
        self.store = store
        self.events = EventBus()
        self.hasher = SecretHasher(store)
        self.sockets = ListeningSockets()
        self.started_at = utc_now()
        self.state = "starting"
        self.stop_requested = asyncio.Event()
        self.keepers: dict[tuple[str, str], HostKeeper] = {}
        self._services: dict[str, ServiceControl] = {}
        self._accounts: dict[str, HealthAccount] = {}
        self._lock = lock
        self._reapers: set[asyncio.Task[None]] = set()

    # What there is

    def servers(self) -> list[str]:
        """Names of the declared servers."""
        return [row.name for row in self.store.rows("Server")]

    def services(self) -> list[ServiceControl]:
        """All services of declared servers, and those that still run on servers that are gone, by server."""
        for server in self.servers():
            for service in SERVICES:
                self._service(server, service)
        return sorted(
            self._services.values(), key=lambda one: (one.server, list(SERVICES).index(one.service))
        )

    def service(self, server: str, service: str) -> ServiceControl:
        """One service. Raises UnknownServiceError."""
        known = self._services.get(f"{server}/{service}")
        if known is None and (service not in SERVICES or self.store.row("Server", server) is None):
            raise UnknownServiceError(f"{server}/{service}")
        return known or self._service(server, service)

    def keeper(self, server: str, role: str) -> HostKeeper:
        """The keeper of one host, running or not."""
        if (server, role) not in self.keepers:
            command = HostCommand(server, role, self.layout.root, self.layout.log, self._lock)
            self.keepers[server, role] = HostKeeper(
                command, hooks=self._hooks(server, role), events=self.events
            )
        return self.keepers[server, role]

    def resources(self, server: str) -> ServerResources:
        """A server's resources as they are now."""
        return server_resources(self.store, server)

    async def account(self, server: str) -> HealthAccount | None:
        """The server's health mailbox; None when it is not declared. A server that has become unreadable keeps the
        one that it has."""
        resources = self.resources(server)
        if resources.spec is None:
            return self._accounts.get(server) if ("Server", server) in resources.unreadable else None
        if server not in self._accounts:
            account = await asyncio.to_thread(make, server, resources.spec)
            self._accounts.setdefault(server, account)
        return self._accounts[server]

    def health_database(self, server: str) -> str | None:
        """The first mailbox database of the server, by name: where its health mailbox lies."""
        owned = (row.name for row in self.store.rows("MailboxDatabase") if _belongs(row, server))
        return next(owned, None)

    # What it does

    async def start(self) -> None:
        """Start every Automatic service. One that cannot start is reported and left failed; the others
        run."""
        for role in ROLES:
            automatic = [one for one in self._in_role(role) if self._is_automatic(one)]
            await asyncio.gather(*(self._try_converge(one) for one in automatic))
        self.state = "running"
        self.events.emit("runtime.started", services=sum(one.running is not None for one in self.services()))

    async def converge(self, server: str, service: str, mode: Mode) -> dict[str, Any]:
        """Bring one service to its live configuration. Raises UnknownServiceError, ServiceError."""
        control = self.service(server, service)
        if self.state == "stopping":
            raise ServiceError(f"the runtime is stopping; start it again before you ask for {control.id}")
        before = self.endpoints()
        result = await control.converge(mode)
        if self.endpoints() != before:
            await self.tell_hosts()
        self._reap(server)
        return result

    async def tell_hosts(self) -> None:
        """The live configuration changed: return when every host's directory has followed."""
        message = {"epoch": self.store.epoch, "endpoints": self.endpoints()}
        answers = await asyncio.gather(
            *(keeper.ask_all("changed", message) for keeper in self.keepers.values()), return_exceptions=True
        )
        for error in answers:
            if isinstance(error, HostError):
                self.events.emit("host.failed", error=str(error))
            elif error is not None:
                raise error

    def endpoints(self) -> dict[str, list[str | int]]:
        """Host and port of each declared server's internal transport listener, as the hosts are told."""
        found = {server: self.sockets.internal(server) for server in self.servers()}
        return {server: [binding.host, binding.port] for server, binding in found.items()}

    async def stop(self) -> None:
        """Drain and stop everything, front ends first, then end the hosts."""
        self.state = "stopping"
        self.events.emit("runtime.stopping")
        for role in reversed(ROLES):
            await asyncio.gather(*(one.stop(self._drain_seconds(one)) for one in self._in_role(role)))
        await self.cut_short()
        self.hasher.close()
        self.events.emit("runtime.stopped")
        self.events.close()

    async def cut_short(self) -> None:
        """End the hosts now; sessions that still drain are cut."""
        self.state = "stopping"
        await asyncio.gather(*(keeper.stop() for keeper in self.keepers.values()))
        self.sockets.close()

    def _service(self, server: str, service: str) -> ServiceControl:
        name = f"{server}/{service}"
        if name not in self._services:
            self._services[name] = ServiceControl(server, service, self._context(server, service))
        return self._services[name]

    def _context(self, server: str, service: str) -> ServiceContext:
        return ServiceContext(
            keeper=self.keeper(server, SERVICES[service].host_role),
            sockets=self.sockets,
            events=self.events,
            live=lambda: self.resources(server),
            draw=lambda resources: draw(
                self.layout, resources, service=service, internal_port=self.sockets.internal(server).port
            ),
        )

    def _hooks(self, server: str, role: str) -> KeeperHooks:
        return KeeperHooks(
            configuration=functools.partial(self._configuration, server),
            on_event=functools.partial(self._on_host_event, server),
            on_lost=functools.partial(self._on_lost, server, role),
            resume=functools.partial(self._resume, server, role),
        )

    async def _configuration(self, server: str) -> Message:
        """What a new host must know before its first service."""
        account = await self.account(server)
        return {
            "backendKey": self.store.backend_key.hex(),
            "endpoints": self.endpoints(),
            "healthMailbox": account
            and {
                "name": account.name,
                "address": account.address,
                "passwordHash": account.password_hash,
            },
        }

    def _on_host_event(self, server: str, message: Message) -> None:
        if message["event"] == "drained":
            self._services[f"{server}/{message['service']}"].on_drained(message["generation"])
            self._reap(server)

    def _on_lost(self, server: str, role: str, reason: str) -> None:
        """What drained there is gone, so that a server that is no longer declared may need no host now."""
        for service in self._of_host(server, role):
            service.on_lost(reason)
        self._reap(server)

    async def _resume(self, server: str, role: str) -> None:
        if self.state != "stopping":
            await asyncio.gather(*(service.resume() for service in self._of_host(server, role)))

    def _reap(self, server: str) -> None:
        """End the hosts of a server that is no longer declared once they carry nothing."""
        mine = [one for one in self._services.values() if one.server == server]
        if self.store.row("Server", server) or any(one.running or one.draining for one in mine):
            return
        for one in mine:
            del self._services[one.id]
        for role in ROLES:
            if keeper := self.keepers.pop((server, role), None):
                task = asyncio.create_task(keeper.stop())
                self._reapers.add(task)
                task.add_done_callback(self._reapers.discard)

    async def _try_converge(self, control: ServiceControl) -> None:
        try:
            await control.converge("restart")
        except ServiceError:
            # `converge` has reported it and keeps it as the service's last error; the other services go on.
            return

    def _of_host(self, server: str, role: str) -> list[ServiceControl]:
        return [one for one in self._in_role(role) if one.server == server]

    def _in_role(self, role: str) -> Iterable[ServiceControl]:
        return [one for one in self.services() if SERVICES[one.service].host_role == role]

    def _is_automatic(self, control: ServiceControl) -> bool:
        return self.resources(control.server).startup_type(control.service) == "Automatic"

    def _drain_seconds(self, control: ServiceControl) -> float:
        return self.resources(control.server).drain_timeout.total_seconds()


def _belongs(database: Row, server: str) -> bool:
    """False also for one that this version refuses: the hosts, which log it, leave it out too."""
    try:
        spec = resource_of(database).spec
    except LiveConfigurationError:
        return False
    return isinstance(spec, MailboxDatabase) and spec.server == server
