"""Generations of a service inside a host: the switch, the drain, and failures that change nothing."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from runtime.host import carrier
from runtime.host.carrier import Carrier
from runtime.services.base import Host, Listener, Snapshot

LISTENER = Listener("echo", "127.0.0.1", 0, "none")
#: What the carrier hands through without looking at it.
HOST: Host = None  # type: ignore[assignment]
SNAPSHOT: Snapshot = None  # type: ignore[assignment]


class Echo:
    """A small service: greets with its generation, and says goodbye when it drains."""

    def __init__(self, generation: int, fault: str = "") -> None:
        self.generation = generation
        self.fault = fault
        self.sessions: set[asyncio.Transport] = set()
        self.is_idle = asyncio.Event()
        self.is_closed = False

    async def start(self) -> None:
        self._fail("start")

    def protocol_factory(self, _: Listener) -> Callable[[], asyncio.BaseProtocol]:
        self._fail("listen")
        return lambda: EchoProtocol(self)

    def session_count(self) -> int:
        return len(self.sessions)

    async def drain(self, over: float) -> None:
        self._fail("drain")
        for transport in self.sessions:
            transport.write(f"bye within {over:g}\n".encode())
            transport.close()
        await self.leave()

    async def leave(self) -> None:
        if self.sessions:
            await self.is_idle.wait()

    async def close(self) -> None:
        self.is_closed = True
        for transport in self.sessions:
            transport.abort()

    def _fail(self, where: str) -> None:
        if self.fault == where:
            raise RuntimeError(f"cannot {where}")


class EchoProtocol(asyncio.Protocol):
    """One session."""

    def __init__(self, service: Echo) -> None:
        self.service = service

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.service.sessions.add(transport)
        transport.write(f"hello from {self.service.generation}\n".encode())

    def connection_lost(self, _: Exception | None) -> None:
        self.service.sessions.discard(self.transport)
        if not self.service.sessions:
            self.service.is_idle.set()


class Stage:
    """A carrier, the listening socket that a supervisor would own, and the services that were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.drained: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.carrier = Carrier(HOST, on_drained=lambda *found: self.drained.put_nowait(found))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.made: list[Echo] = []
        self.fault = ""
        monkeypatch.setattr(carrier, "factory", lambda _: self._make)

    def _make(self, _host: Host, _snapshot: Snapshot, generation: int) -> Echo:
        self.made.append(Echo(generation, self.fault))
        return self.made[-1]

    async def start(self, generation: int, *, fault: str = "") -> carrier.Generation | None:
        self.fault = fault
        # Not `socket.dup`: it would set the blocking mode that all copies share.
        copy = socket.socket(fileno=os.dup(self.listening.fileno()))
        return await self.carrier.start(
            SNAPSHOT, generation=generation, listening=[(LISTENER, copy)], service="echo"
        )

    async def connect(self) -> asyncio.StreamReader:
        reader, self.writer = await asyncio.open_connection(*self.listening.getsockname())
        return reader

    async def greeting(self) -> bytes:
        reader = await self.connect()
        line = await reader.readline()
        self.writer.close()
        return line

    async def close(self) -> None:
        await self.carrier.close()
        self.listening.close()


def play(scene: Callable[[Stage], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one scene on a stage of its own."""

    async def run() -> None:
        stage = Stage(monkeypatch)
        try:
            await asyncio.wait_for(scene(stage), 30)
        finally:
            await stage.close()

    asyncio.run(run())


def test_the_new_generation_serves_and_the_old_one_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.start(1) is None
        old = await stage.start(2)
        assert old is not None
        assert (old.number, old.servers) == (1, [])
        assert await stage.greeting() == b"hello from 2\n"

    play(scene, monkeypatch)


@pytest.mark.parametrize("fault", ["start", "listen"])
def test_a_generation_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.start(1)
        with pytest.raises(RuntimeError, match=f"cannot {fault}"):
            await stage.start(2, fault=fault)
        assert await stage.greeting() == b"hello from 1\n"
        assert stage.made[1].is_closed

    play(scene, monkeypatch)


def test_a_drain_ends_sessions_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        await stage.start(1)
        reader = await stage.connect()
        await reader.readline()
        old = await stage.start(2)
        assert old is not None
        stage.carrier.drain(old, 7)
        assert await reader.readline() == b"bye within 7\n"
        stage.writer.close()
        assert await stage.drained.get() == ("echo", 1)
        assert stage.made[0].is_closed

    play(scene, monkeypatch)


def test_a_drain_that_fails_is_over_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        await stage.start(1, fault="drain")
        old = await stage.start(2)
        assert old is not None
        stage.carrier.drain(old, 7)
        assert await stage.drained.get() == ("echo", 1)

    play(scene, monkeypatch)


def test_sessions_that_were_left_alone_can_still_be_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        await stage.start(1)
        reader = await stage.connect()
        await reader.readline()
        old = await stage.start(2)
        assert old is not None
        stage.carrier.leave(old)
        assert stage.carrier.report()["draining"] == [{"service": "echo", "generation": 1, "sessions": 1}]
        stage.carrier.drain_retired("echo", 3)
        assert await reader.readline() == b"bye within 3\n"
        stage.writer.close()
        assert await stage.drained.get() == ("echo", 1)
        assert stage.carrier.report()["draining"] == []

    play(scene, monkeypatch)


def test_a_service_that_is_taken_away_no_longer_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        await stage.start(1)
        assert stage.carrier.take_away("echo") is not None
        assert stage.carrier.take_away("echo") is None
        reader = await stage.connect()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.1)
        stage.writer.close()

    play(scene, monkeypatch)


def test_who_waited_meanwhile_is_served_by_the_next_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        reader = await stage.connect()
        await stage.start(1)
        assert await reader.readline() == b"hello from 1\n"
        stage.writer.close()

    play(scene, monkeypatch)
