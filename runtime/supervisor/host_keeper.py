"""Keeps one host of one server alive for as long as it carries services.

Starts it when the first service needs it. When it dies by itself it is started again, at once the first time
and with growing pauses when it keeps dying or cannot be started, and its services are told to come back.
Listening sockets are not touched: clients wait in the backlog meanwhile. After `stop` it never starts a host again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from runtime.supervisor.channel import Message
from runtime.supervisor.events import EventBus
from runtime.supervisor.host_process import HostCommand, HostError, HostGoneError, HostProcess

logger = logging.getLogger("runtime.supervisor")

#: Pauses before a host is started again, in seconds: the first, and the longest.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
#: A host that lived this long is taken for healthy: the next pause is the first again. Seconds.
HEALTHY_AFTER = 60.0
#: How long a host may take to hear of a write, in seconds: whoever writes waits for it.
TELL_TIMEOUT = 5.0
#: How long a host may take to end when it is asked to, in seconds.
END_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class KeeperHooks:
    """What the keeper needs from the supervisor: what a new host is configured with, whom to tell a host's
    events and why there is none, and who brings services back after a crash."""

    configuration: Callable[[], Awaitable[Message]]
    on_event: Callable[[Message], None]
    on_lost: Callable[[str], None]
    resume: Callable[[], Awaitable[None]]


class HostKeeper:
    """The host of one server and role, whether it runs now or not."""

    def __init__(self, command: HostCommand, *, hooks: KeeperHooks, events: EventBus) -> None:
        self.command = command
        self.restarts = 0
        self.host: HostProcess | None = None
        self.state = "stopped"
        self._hooks = hooks
        self._events = events
        self._lock = asyncio.Lock()
        self._pause = FIRST_PAUSE
        self._watchers: set[asyncio.Task[None]] = set()
        self._is_ended = False

    async def acquire(self) -> HostProcess:
        """The running host, started when there is none. Raises HostError."""
        async with self._lock:
            if self.host is None or not self.host.is_running:
                self.host = await self._start()
            return self.host

    async def stop(self) -> None:
        """Ask the host to end, and end it if it does not. Its services have been drained before. For good: one
        that is being brought back is given up, and `acquire` fails from now on."""
        self._is_ended = True
        await self._stop_watching()
        async with self._lock:
            if self.host is not None:
                if self.host.is_running:
                    await self._end(self.host)
                self._hooks.on_lost("its host process was ended")
            self.host = None
            self.state = "stopped"

    async def ask_all(self, action: str, facts: Message) -> None:
        """Ask the host if it runs; one that is just ending needs no answer."""
        if self.host is None or not self.host.is_running:
            return
        try:
            await self.host.request(action, facts, timeout=TELL_TIMEOUT)
        except HostGoneError:
            return

    async def _start(self) -> HostProcess:
        if self._is_ended:
            raise HostError(f"the {self.command.role} host of {self.command.server} was ended for good")
        self.state = "starting"
        await self._bury()
        try:
            host = await HostProcess.start(
                self.command, await self._configuration(), on_event=self._hooks.on_event
            )
        except HostError:
            self.state = "failed"
            raise
        self.state = "running"
        self._emit("host.started", host)
        watcher = asyncio.create_task(self._watch(host), name=f"watch {self.command.role} host")
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return host

    async def _configuration(self) -> Message:
        """Whatever keeps a host from being configured keeps it from starting, and is told as such."""
        try:
            return await self._hooks.configuration()
        except Exception as error:
            name = f"the {self.command.role} host of {self.command.server}"
            raise HostError(f"{name} cannot be configured: {error}") from error

    async def _stop_watching(self) -> None:
        """The watcher of a host that lives only waits; another one is in the middle of bringing a host back."""
        watchers = set(self._watchers)
        for watcher in watchers:
            watcher.cancel()
        if watchers:
            await asyncio.wait(watchers)

    async def _bury(self) -> None:
        """One whose control channel ended is about to end, and may still own mailbox databases: never two at
        once."""
        if self.host is None:
            return
        try:
            await asyncio.wait_for(self.host.wait(), END_TIMEOUT)
        except TimeoutError:
            self.host.process.kill()
            await self.host.wait()

    async def _end(self, host: HostProcess) -> None:
        host.is_expected_to_end = True
        try:
            await host.request("shutdown", timeout=END_TIMEOUT)
            await asyncio.wait_for(host.wait(), END_TIMEOUT)
        except (HostError, TimeoutError):
            host.kill()
            await host.wait()
        self._emit("host.stopped", host)

    async def _watch(self, host: HostProcess) -> None:
        born = time.monotonic()
        status = await host.wait()
        if host.is_expected_to_end:
            return
        self.state = "restarting"
        self.restarts += 1
        self._emit("host.crashed", host, status=status)
        self._hooks.on_lost(f"its host process {host.pid} ended with status {status}; it is started again")
        if time.monotonic() - born >= HEALTHY_AFTER:
            self._pause = FIRST_PAUSE
        await self._bring_back()

    async def _bring_back(self) -> None:
        """Until a host is there again, or none shall be: a cancellation that meets the end of what it should end is
        lost, as asyncio has it. A crash of the new one is the next watcher's to handle."""
        while not await self._is_back():
            if self._is_ended:
                return
        await self._hooks.resume()

    async def _is_back(self) -> bool:
        """One attempt, after the pause that is due. Whatever goes wrong in it, the next one may go well."""
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        try:
            await self.acquire()
        except Exception as error:
            if not isinstance(error, HostError):
                logger.exception("the %s host of %s was not started", self.command.role, self.command.server)
            self._events.emit(
                "host.failed", server=self.command.server, role=self.command.role, error=str(error)
            )
            self._hooks.on_lost(str(error))
            return False
        return True

    def _emit(self, event: str, host: HostProcess, **facts: int) -> None:
        self._events.emit(event, server=self.command.server, role=self.command.role, pid=host.pid, **facts)
