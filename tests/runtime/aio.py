"""Running coroutines on both event loops, and waiting without sleeping blindly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
import uvloop

T = TypeVar("T")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}

#: Seconds after which a test that waits has failed.
DEADLINE = 20.0

on_both_loops = pytest.mark.parametrize("loop", list(LOOPS))


def run(coroutine: Coroutine[Any, Any, T], loop: str = "asyncio") -> T:
    """Run to the end, on the named loop, within DEADLINE."""

    async def bounded() -> T:
        return await asyncio.wait_for(coroutine, DEADLINE)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(bounded())


async def eventually(condition: Callable[[], object]) -> None:
    """Let the loop work until `condition` is true; `run` sets the deadline."""
    while not condition():  # noqa: ASYNC110 - conditions of other people's objects have no event
        await asyncio.sleep(0.005)
