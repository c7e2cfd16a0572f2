"""A keeper whose hosts cannot be started, and one that is told to end meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runtime.live import LiveStore
from runtime.supervisor import host_keeper
from runtime.supervisor.channel import Message
from runtime.supervisor.events import EventBus
from runtime.supervisor.host_keeper import HostKeeper, KeeperHooks
from runtime.supervisor.host_process import HostCommand, HostError
from tests.runtime.aio import eventually, run


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory with a live configuration, as a host wants to read it; short pauses."""
    monkeypatch.setattr(host_keeper, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(host_keeper, "LONGEST_PAUSE", 0.01)
    (tmp_path / "runtime").mkdir()
    LiveStore(tmp_path / "runtime" / "live.sqlite").close()
    return tmp_path


class Estate:
    """The hosts of ex01, and what the supervisor hears of them. `refusal` keeps the next from being configured."""

    def __init__(self, state: Path, lock: int) -> None:
        self.refusal: Exception | None = None
        self.reasons: list[str] = []
        self.is_resumed = asyncio.Event()
        self.loses_cancellation = False
        command = HostCommand("ex01", "frontend", state, state / "log", lock)
        hooks = KeeperHooks(self._configuration, lambda _: None, self.reasons.append, self._resume)
        self.keeper = HostKeeper(command, hooks=hooks, events=EventBus())

    async def lose_host(self) -> None:
        """Kill it, and go on when the keeper has tried in vain to start the next one."""
        self.refusal = KeyError("no words")
        os.kill((await self.keeper.acquire()).pid, signal.SIGKILL)
        await eventually(lambda: any("cannot be configured" in one for one in self.reasons))

    async def _configuration(self) -> Message:
        if self.loses_cancellation:
            await _until_cancelled()
        if self.refusal is not None:
            raise self.refusal
        return {"backendKey": "", "endpoints": {}, "healthMailbox": None}

    async def _resume(self) -> None:
        self.is_resumed.set()


async def _until_cancelled() -> None:
    """And go on, as `asyncio.wait_for` does when what it waits for ends at that moment; it may have done so before, and
    no second cancellation comes."""
    try:
        await asyncio.sleep(1)
    except asyncio.CancelledError:
        return


@asynccontextmanager
async def estate(state: Path) -> AsyncIterator[Estate]:
    """An estate whose host runs."""
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT)
    found = Estate(state, lock)
    try:
        await found.keeper.acquire()
        yield found
    finally:
        await found.keeper.stop()
        os.close(lock)


def test_a_host_comes_back_whatever_kept_it_from_starting(state: Path) -> None:
    async def situation() -> None:
        async with estate(state) as found:
            await found.lose_host()
            found.refusal = None
            async with asyncio.timeout(60):
                await found.is_resumed.wait()
            assert found.keeper.state == "running"

    run(situation())


def test_a_keeper_that_was_stopped_brings_no_host_back(state: Path) -> None:
    async def situation() -> None:
        async with estate(state) as found:
            await found.lose_host()
            await found.keeper.stop()
            attempts, found.refusal = len(found.reasons), None
            with pytest.raises(HostError, match="ended for good"):
                await found.keeper.acquire()
            assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("watch")]
            assert (len(found.reasons), found.keeper.state) == (attempts, "stopped")

    run(situation())


def test_a_stop_ends_a_host_that_is_just_being_started(state: Path) -> None:
    async def situation() -> None:
        async with estate(state) as found:
            before = await found.keeper.acquire()
            os.kill(before.pid, signal.SIGKILL)
            await eventually(lambda: found.keeper.state == "starting")
            await found.keeper.stop()
            assert found.keeper.state == "stopped"
            assert not found.is_resumed.is_set()

    run(situation())


def test_a_stop_ends_although_its_cancellation_is_lost(state: Path) -> None:
    async def situation() -> None:
        async with estate(state) as found:
            await found.lose_host()
            found.loses_cancellation = True
            await eventually(lambda: found.keeper.state == "starting")
            await found.keeper.stop()
            assert found.keeper.state == "stopped"
            assert not found.is_resumed.is_set()

    run(situation())
