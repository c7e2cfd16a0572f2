"""Carries out what the supervisor asks of this host, one message after another, and answers.

Requests run side by side; the supervisor sends the next one for a service only when the last is answered. A
request that fails is answered with a sentence, logged, and changes nothing. The end of the control channel
ends the host: without its supervisor nobody would ever stop it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import socket
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Literal

from runtime.directory.directory import Directory, HealthMailbox, Rename
from runtime.directory.logon import Authenticator
from runtime.host.carrier import Carrier, Generation
from runtime.host.refresher import Refresher
from runtime.host.snapshot import listeners_of, snapshot_of
from runtime.live import LiveReader
from runtime.services.back_end import end_sessions_of
from runtime.services.base import Host
from runtime.store.store import SqliteStore
from runtime.supervisor.channel import Channel, Message
from runtime.supervisor.layout import Layout
from runtime.throttling.connections import ConnectionCounters

logger = logging.getLogger("runtime.host")

#: How long services may take to close when the supervisor is gone, in seconds.
_CLOSE_TIMEOUT = 3.0

Handler = Callable[[Message, list[socket.socket]], Awaitable[Message | None]]


class Commander:
    """The host's end of the control channel, and the host's parts. `run` is the host's life."""

    def __init__(self, layout: Layout, *, server: str, role: Literal["frontend", "backend"]) -> None:
        self._layout = layout
        self._server = server
        self._role = role
        self._end = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._endpoints: dict[str, tuple[str, int]] = {}
        self._is_settled = False
        self._handlers: dict[str, Handler] = {
            "configure": self._configure,
            "start": self._start,
            "stop": self._stop,
            "changed": self._changed,
            "report": self._report,
            "shutdown": self._shutdown,
        }

    async def run(self, control: socket.socket) -> None:
        """Until the supervisor shuts us down or is gone."""
        self._channel = Channel(control, on_message=self._on_message, on_closed=self.end)
        await self._end.wait()
        try:
            await asyncio.wait_for(self._close(), _CLOSE_TIMEOUT)
        except TimeoutError:
            logger.warning("services did not close within %g s; ending all the same", _CLOSE_TIMEOUT)
        self._channel.close()

    def end(self) -> None:
        """End this host soon."""
        self._end.set()

    def _on_message(self, message: Message, descriptors: list[int]) -> None:
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        task = asyncio.create_task(self._handle(message, sockets), name=f"control {message['action']}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, message: Message, sockets: list[socket.socket]) -> None:
        try:
            answer = await self._handlers[message["action"]](message, sockets) or {}
        except Exception as error:
            # Whatever a service's start raises becomes the answer; the log has where it came from.
            logger.exception("%s failed", _what(message))
            answer = {"error": _sentence(error)}
        self._channel.send({**answer, "answer": message["request"]})

    # One method an action

    async def _configure(self, message: Message, _: list[socket.socket]) -> None:
        self._take_endpoints(message)
        self._host = self._make_host(message)
        self._refresher = Refresher(self._host.directory.refresh)
        self._carrier = Carrier(self._host, on_drained=self._on_drained)

    async def _start(self, message: Message, sockets: list[socket.socket]) -> Message:
        self._refresher.now()
        endpoints = MappingProxyType(self._endpoints)
        old = await self._carrier.start(
            snapshot_of(message, server=self._server, endpoints=endpoints),
            generation=message["generation"],
            listening=list(zip(listeners_of(message), sockets, strict=True)),
            service=message["service"],
        )
        self._settle()
        answer = _retired(old)
        if old is not None and message["retire"] == "leave":
            self._carrier.leave(old)
        elif old is not None:
            self._carrier.drain(old, message["over"])
        return answer

    async def _stop(self, message: Message, _: list[socket.socket]) -> Message:
        old = self._carrier.take_away(message["service"])
        answer = _retired(old)
        self._carrier.drain_retired(message["service"], message["over"])
        if old is not None:
            self._carrier.drain(old, message["over"])
        return answer

    async def _changed(self, message: Message, _: list[socket.socket]) -> None:
        self._take_endpoints(message)
        self._refresher.ask()

    async def _report(self, _: Message, __: list[socket.socket]) -> Message:
        return {**self._carrier.report(), "refused": self._host.counters.refused}

    async def _shutdown(self, _: Message, __: list[socket.socket]) -> None:
        await self._close()
        asyncio.get_running_loop().call_soon(self.end)

    # Parts

    def _make_host(self, message: Message) -> Host:
        store = self._make_store() if self._role == "backend" else None
        directory = Directory(
            LiveReader(self._layout.live),
            self._server,
            health_mailbox=self._health_mailbox(message),
            on_renamed=None if store is None else functools.partial(self._rename, store),
        )
        return Host(
            server=self._server,
            role=self._role,
            state=self._layout.root,
            directory=directory,
            authenticator=Authenticator(directory, key=bytes.fromhex(message["backendKey"])),
            counters=ConnectionCounters(),
            backend_key=bytes.fromhex(message["backendKey"]),
            store=store,
        )

    def _health_mailbox(self, message: Message) -> HealthMailbox | None:
        if (found := message["healthMailbox"]) is None:
            return None
        return HealthMailbox(
            name=found["name"],
            address=found["address"],
            server=self._server,
            password_hash=found["passwordHash"],
        )

    def _rename(self, store: SqliteStore, rename: Rename) -> None:
        """Also for databases of other servers, which are never opened here."""
        store.rename_mailbox(rename.database, rename.old, rename.new, revision=rename.revision)
        if hasattr(self, "_host"):
            end_sessions_of(self._host, rename.old)

    def _make_store(self) -> SqliteStore:
        root = self._layout.databases(self._server)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return SqliteStore(root)

    def _take_endpoints(self, message: Message) -> None:
        """In place: snapshots hold a view of this mapping."""
        now = {server: (host, port) for server, (host, port) in message["endpoints"].items()}
        self._endpoints.update(now)
        for gone in self._endpoints.keys() - now.keys():
            del self._endpoints[gone]

    def _settle(self) -> None:
        """What was made until the first service runs lives as long as the host: keep the collector off it."""
        if not self._is_settled:
            self._is_settled = True
            gc.collect()
            gc.freeze()

    def _on_drained(self, service: str, generation: int) -> None:
        self._channel.send({"event": "drained", "service": service, "generation": generation})

    async def _close(self) -> None:
        if (carrier := getattr(self, "_carrier", None)) is None:
            return
        await carrier.close()
        self._host.authenticator.close()
        if self._host.store is not None:
            await self._host.store.close()
            self._host.store = None


def _retired(old: Generation | None) -> Message:
    """What the supervisor is told of the generation that ends."""
    if old is None:
        return {"retired": None}
    return {"retired": {"generation": old.number, "sessions": old.service.session_count()}}


def _what(message: Message) -> str:
    return " ".join(str(message[part]) for part in ("action", "service", "generation") if part in message)


def _sentence(error: Exception) -> str:
    """The error's own words; the class too where the words alone say little."""
    is_ours = type(error).__module__.partition(".")[0] == "runtime"
    return str(error) if is_ours and str(error) else f"{type(error).__name__}: {error}"
