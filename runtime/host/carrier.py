"""The services of this host and their generations.

A generation that serves and generations that drain live side by side on the same sockets' successors. The
switch is here: the new generation is started and listens before the old one stops listening, and a failure
leaves the old one alone.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.services.base import Host, Listener, Service, Snapshot
from runtime.services.registry import factory

logger = logging.getLogger("runtime.host")

#: Kept at what the supervisor asked for when it bound: listening again with less would shrink the queue.
BACKLOG = 4096
#: Connections that were accepted just before the old generation stopped listening reach it within this time
#: (seconds): the event loop takes a few turns to make a session of an accepted socket.
_SETTLE = 0.05


@dataclass(eq=False)
class Generation:
    """One generation of one service."""

    name: str
    number: int
    service: Service
    servers: list[asyncio.Server] = field(default_factory=list)
    ending: asyncio.Task[None] | None = None

    async def stop_accepting(self) -> None:
        """Take no more connections, and keep those that were taken. asyncio's own loop makes the transport of an
        accepted connection a turn later and drops it when its server was closed in between, so it stops watching first
        and closes after that turn; uvloop accepts and makes the transport at once."""
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.SelectorEventLoop):
            for sock in [sock for server in self.servers for sock in server.sockets]:
                loop.remove_reader(sock.fileno())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.stop_listening()

    def stop_listening(self) -> None:
        """Close this process's copies of the listening sockets; the supervisor's stay open."""
        for server in self.servers:
            server.close()
        self.servers.clear()


class Carrier:
    """What runs in this host. `on_drained(service, generation)` tells when a retired generation has ended."""

    def __init__(self, host: Host, *, on_drained: Callable[[str, int], None]) -> None:
        self._host = host
        self._on_drained = on_drained
        self._current: dict[str, Generation] = {}
        self._retired: set[Generation] = set()

    async def start(
        self,
        snapshot: Snapshot,
        *,
        generation: int,
        listening: Sequence[tuple[Listener, socket.socket]],
        service: str,
    ) -> Generation | None:
        """Start a generation on these sockets (owned from here on) and make it the current one. Returns the
        one that it replaces, which no longer listens. Whatever the service raises is raised; then nothing has
        changed."""
        try:
            new = Generation(service, generation, factory(service)(self._host, snapshot, generation))
            await _start(new, listening)
        except BaseException:
            for _, sock in listening:
                sock.close()
            raise
        old = self._current.get(service)
        self._current[service] = new
        if old is not None:
            await old.stop_accepting()
        return old

    def take_away(self, service: str) -> Generation | None:
        """The current generation of a service that is to stop; it no longer listens."""
        if old := self._current.pop(service, None):
            old.stop_listening()
        return old

    def drain(self, old: Generation, over: float) -> None:
        """End its sessions over `over` seconds, in the background."""
        self._retire(old, lambda: old.service.drain(over))

    def leave(self, old: Generation) -> None:
        """Let its sessions end by themselves."""
        self._retire(old, old.service.leave)

    def drain_retired(self, service: str, over: float) -> None:
        """Also end the sessions that a reload had left alone."""
        for old in [one for one in self._retired if one.name == service]:
            if old.ending is not None:
                old.ending.cancel()
            self.drain(old, over)

    def report(self) -> dict[str, Any]:
        """Sessions of each service, and of each generation that drains."""
        current = {name: one.service.session_count() for name, one in self._current.items()}
        draining = [
            {"service": one.name, "generation": one.number, "sessions": one.service.session_count()}
            for one in self._retired
        ]
        return {"services": current, "draining": draining}

    async def close(self) -> None:
        """End everything now."""
        everything = [*self._current.values(), *self._retired]
        for one in everything:
            one.stop_listening()
            if one.ending is not None:
                one.ending.cancel()
        outcomes = await asyncio.gather(*(one.service.close() for one in everything), return_exceptions=True)
        for one, outcome in zip(everything, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                logger.error("%s generation %d did not close cleanly", one.name, one.number, exc_info=outcome)

    def _retire(self, old: Generation, end: Callable[[], Any]) -> None:
        self._retired.add(old)
        old.ending = asyncio.create_task(self._end(old, end), name=f"end of {old.name} {old.number}")

    async def _end(self, old: Generation, end: Callable[[], Any]) -> None:
        await asyncio.sleep(_SETTLE)
        try:
            await end()
            await old.service.close()
        except Exception:
            # The generation is over either way; what went wrong in it must not keep the service from going
            # on.
            logger.exception("%s generation %d did not end cleanly", old.name, old.number)
        self._retired.discard(old)
        self._on_drained(old.name, old.number)


async def _start(new: Generation, listening: Sequence[tuple[Listener, socket.socket]]) -> None:
    try:
        await new.service.start()
        await _listen(new, listening)
    except BaseException:
        new.stop_listening()
        await _close_failed(new)
        raise


async def _close_failed(new: Generation) -> None:
    """Let go of what it had begun with; why it did not start is the error that counts."""
    try:
        await new.service.close()
    except Exception:
        logger.exception("%s generation %d, which did not start, did not close cleanly", new.name, new.number)


async def _listen(new: Generation, listening: Sequence[tuple[Listener, socket.socket]]) -> None:
    """Make all factories first: nothing is accepted by a generation that then turns out to be broken."""
    loop = asyncio.get_running_loop()
    ready = [(new.service.protocol_factory(listener), sock) for listener, sock in listening]
    for protocol_factory, sock in ready:
        sock.setblocking(False)
        new.servers.append(await loop.create_server(protocol_factory, sock=sock, backlog=BACKLOG))
