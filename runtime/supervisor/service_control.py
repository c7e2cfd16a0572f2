"""One service: which generation runs, what it listens on, and how the next one takes over.

`converge` is the one way to change it, and the one place with the order that makes restarts safe: bind what
is new, start the new generation beside the old one on the same sockets, and only when it serves let the old
one drain and close what is no longer listened on. When anything fails before that, the old generation stays
as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from runtime.live import LiveConfigurationError
from runtime.supervisor.blueprint import Blueprint, ServerResources, message
from runtime.supervisor.certificates import CertificateError
from runtime.supervisor.channel import ChannelError, Message
from runtime.supervisor.events import EventBus
from runtime.supervisor.host_keeper import HostKeeper
from runtime.supervisor.host_process import HostError, HostGoneError, HostProcess
from runtime.supervisor.layout import UnsafeNameError
from runtime.supervisor.pending import Pending, pending
from runtime.supervisor.sockets import BindError, ListeningSockets

Mode = Literal["restart", "reload"]
#: What can keep a generation from starting, each with a sentence for the administrator.
StartErrors = (
    BindError,
    CertificateError,
    ChannelError,
    HostError,
    LiveConfigurationError,
    UnsafeNameError,
)
#: A drain gets this much longer than its time before it counts as over, in seconds.
_DRAIN_GRACE = 5.0


class ServiceError(Exception):
    """The service could not be brought to its live configuration; what ran before still runs."""


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """What a service works with: its server's keeper, the sockets, and how to read its configuration."""

    keeper: HostKeeper
    sockets: ListeningSockets
    events: EventBus
    live: Callable[[], ServerResources]
    draw: Callable[[ServerResources], Blueprint]


class ServiceControl:
    """One service of one server. `generation` counts from 1 in each run of the runtime; 0: never started."""

    def __init__(self, server: str, service: str, context: ServiceContext) -> None:
        self.id = f"{server}/{service}"
        self.server = server
        self.service = service
        self.context = context
        self.generation = 0
        self._error: str | None = None
        self._failed_with: ServerResources | None = None
        self.running: Blueprint | None = None
        self.draining: set[int] = set()
        self._state: Literal["running", "stopped", "starting", "failed"] = "stopped"
        self._host: HostProcess | None = None
        self._newest = 0
        self._ended: set[int] = set()
        self._lock = asyncio.Lock()
        self._is_drained = asyncio.Event()
        self._is_drained.set()

    @property
    def state(self) -> str:
        """running, stopped, starting, failed or draining (stopped, but sessions are still being ended)."""
        return "draining" if self._state == "stopped" and self.draining else self._state

    @property
    def pid(self) -> int | None:
        """The process that carries it."""
        return self._host.pid if self._host is not None and self._host.is_running and self.running else None

    def last_error(self, live: ServerResources) -> str | None:
        """Why it is not as it should be. None once it serves its live configuration, also when that is the one from
        before the failed attempt, which somebody has brought back."""
        has_moved_on = (
            self._failed_with is not None
            and self.owed(live) is None
            and self._differs(self._failed_with, live)
        )
        return None if has_moved_on else self._error

    def owed(self, live: ServerResources) -> Pending | None:
        """What it would have to do to run its live configuration."""
        built_from = self.running.resources if self.running else None
        return pending(self.service, built_from=built_from, live=live, has_process=self.pid is not None)

    async def converge(self, mode: Mode) -> dict[str, Any]:
        """Bring the service to its live configuration: a new generation when it is Automatic, else a stop.

        Returns what the control API answers. Raises ServiceError; then the old generation goes on.
        """
        async with self._lock:
            previous = self.generation
            self._failed_with = None
            try:
                live = self._failed_with = self.context.live()
                sessions = await self._unsynced_converge(live, mode)
            except StartErrors as error:
                self._fail(str(error))
                raise ServiceError(str(error)) from error
            return {
                "id": self.id,
                "state": self.state,
                "generation": self.generation,
                "previousGeneration": previous,
                "drainingSessions": sessions,
            }

    async def stop(self, over: float) -> None:
        """Stop it, whatever its startup type, and wait until its sessions are gone (at most `over`
        seconds)."""
        async with self._lock:
            await self._unsynced_stop(over)
        try:
            await asyncio.wait_for(self._is_drained.wait(), over + _DRAIN_GRACE)
        except TimeoutError:
            self._emit("service.drain.overdue", generations=sorted(self.draining))

    async def resume(self) -> None:
        """Start the generation that ran again, after its host was lost: same blueprint, same sockets."""
        async with self._lock:
            if self.running is None or (self._host is not None and self._host.is_running):
                return
            try:
                await self._unsynced_start(self.running, self.generation, "restart")
            except StartErrors as error:
                self._give_up(str(error))

    def on_lost(self, reason: str) -> None:
        """The host died, or could not be started again: nothing of this service serves or drains."""
        self.draining.clear()
        self._is_drained.set()
        if self.running is not None:
            self._state, self._error, self._failed_with = "starting", reason, None

    def on_drained(self, generation: int) -> None:
        """The host says that a retired generation has ended."""
        self._ended.add(generation)
        self.draining.discard(generation)
        if not self.draining:
            self._is_drained.set()
        self._emit("service.drained", generation=generation)

    async def _unsynced_converge(self, live: ServerResources, mode: Mode) -> int:
        live.check(self.service)
        if live.startup_type(self.service) != "Automatic":
            return await self._unsynced_stop(live.drain_timeout.total_seconds())
        if self.running is None:
            self._state = "starting"
        blueprint = self.context.draw(live)
        self._newest += 1
        return await self._unsynced_start(blueprint, self._newest, mode)

    async def _unsynced_start(self, blueprint: Blueprint, generation: int, mode: Mode) -> int:
        """Bind, start, then retire the old one. Returns the sessions that the old one had."""
        sockets = self.context.sockets
        old = self.running
        try:
            claimed = sockets.claim(self.id, blueprint.addresses)
            host = await self.context.keeper.acquire()
            answer = await host.request(
                "start",
                {
                    **message(blueprint),
                    "generation": generation,
                    "bound": [str(address) for address in claimed],
                    "retire": "leave" if mode == "reload" else "drain",
                    "over": self.context.live().drain_timeout.total_seconds(),
                },
                descriptors=[sock.fileno() for sock in claimed.values()],
            )
        except StartErrors:
            sockets.settle(self.id, old.addresses if old else ())
            raise
        sockets.settle(self.id, claimed)
        self._took_over(host, blueprint, generation)
        return self._retired(answer)

    async def _unsynced_stop(self, over: float) -> int:
        if self.running is None:
            self._state, self._error = "stopped", None
            return 0
        answer = await self._ask_to_stop(over)
        self.context.sockets.settle(self.id, ())
        self.running, self._state, self._error = None, "stopped", None
        self._emit("service.stopped", generation=self.generation)
        return self._retired(answer)

    async def _ask_to_stop(self, over: float) -> Message:
        """A host that is gone, or goes while we ask, has nothing left to stop."""
        if self._host is None or not self._host.is_running:
            return {}
        try:
            return await self._host.request("stop", {"service": self.service, "over": over})
        except HostGoneError:
            return {}

    def _took_over(self, host: HostProcess, blueprint: Blueprint, generation: int) -> None:
        self._host, self.running, self.generation = host, blueprint, generation
        self._state, self._error = "running", None
        self._emit("service.started", generation=generation, pid=host.pid)

    def _retired(self, answer: Message) -> int:
        """Note the generation that drains from now on."""
        retired = answer.get("retired")
        if not retired:
            return 0
        # The news of its end may have overtaken the answer that announced it.
        if retired["generation"] not in self._ended:
            self.draining.add(retired["generation"])
            self._is_drained.clear()
        return int(retired["sessions"])

    def _fail(self, error: str) -> None:
        self._error = error
        if self.running is None:
            self._state = "failed"
        self._emit("service.failed", error=error)

    def _differs(self, one: ServerResources, other: ServerResources) -> bool:
        return pending(self.service, built_from=one, live=other, has_process=True) is not None

    def _give_up(self, error: str) -> None:
        """What ran before the crash cannot be started again."""
        self.context.sockets.settle(self.id, ())
        self.running = None
        self._fail(error)

    def _emit(self, event: str, **facts: Any) -> None:
        self.context.events.emit(event, service=self.id, **facts)
