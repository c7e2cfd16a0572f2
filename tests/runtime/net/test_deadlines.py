"""Deadlines of many connections on one timer, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from runtime.net.deadlines import Deadlines
from tests.runtime.aio import eventually, on_both_loops, run


class Waiting:
    """Writes down when it was told."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.told: list[float] = []
        self._then = then

    def expire(self) -> None:
        self.told.append(asyncio.get_running_loop().time())
        self._then()


def _on(loop: str, scenario: Callable[[Deadlines, float], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        running = asyncio.get_running_loop()
        await scenario(Deadlines(running), running.time())

    run(main(), loop)


@on_both_loops
def test_nobody_is_told_early_and_the_sooner_is_told_first(loop: str) -> None:
    async def scenario(deadlines: Deadlines, now: float) -> None:
        late, soon = Waiting(), Waiting()
        deadlines.add(deadlines.slot(now + 0.3), late)
        deadlines.add(deadlines.slot(now + 0.05), soon)
        await eventually(lambda: late.told)
        assert now + 0.05 <= soon.told[0] < late.told[0]
        assert late.told[0] >= now + 0.3 - 0.001  # the loop's clock counts milliseconds

    _on(loop, scenario)


@on_both_loops
def test_one_that_was_dropped_is_not_told(loop: str) -> None:
    async def scenario(deadlines: Deadlines, now: float) -> None:
        gone, other, later = Waiting(), Waiting(), Waiting()
        slot = deadlines.slot(now + 0.05)
        for waiting in (gone, other):
            deadlines.add(slot, waiting)
        deadlines.add(deadlines.slot(now + 0.2), later)
        deadlines.drop(slot, gone)
        await eventually(lambda: later.told)
        assert not gone.told
        assert len(other.told) == 1

    _on(loop, scenario)


@on_both_loops
def test_the_timer_of_an_emptied_slot_goes_on_to_the_next(loop: str) -> None:
    async def scenario(deadlines: Deadlines, now: float) -> None:
        gone, later = Waiting(), Waiting()
        slot = deadlines.slot(now + 0.01)
        deadlines.add(slot, gone)
        deadlines.add(deadlines.slot(now + 0.2), later)
        deadlines.drop(slot, gone)
        await eventually(lambda: later.told)

    _on(loop, scenario)


@on_both_loops
def test_one_that_is_told_may_wait_again(loop: str) -> None:
    async def scenario(deadlines: Deadlines, now: float) -> None:
        again = Waiting()
        first = Waiting(lambda: deadlines.add(deadlines.slot(now + 0.2), again))
        deadlines.add(deadlines.slot(now), first)
        await eventually(lambda: again.told)
        assert len(first.told) == 1

    _on(loop, scenario)
