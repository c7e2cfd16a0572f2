"""Who has written is flushed once, at the end of the turn, and not too late in a long one."""

from __future__ import annotations

import asyncio

from runtime.net.turn import MOST_DIRTY, Turn
from tests.runtime.aio import eventually, on_both_loops, run


class Written:
    """Counts its flushes."""

    def __init__(self) -> None:
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def _written(loop: str, count: int) -> tuple[list[int], list[int]]:
    """Flushes of `count` connections before and after the end of the turn."""

    async def scenario() -> tuple[list[int], list[int]]:
        turn, connections = Turn(asyncio.get_running_loop()), [Written() for _ in range(count)]
        for connection in connections:
            turn.add(connection)
        before = [connection.flushes for connection in connections]
        await eventually(lambda: connections[-1].flushes)
        return before, [connection.flushes for connection in connections]

    return run(scenario(), loop)


@on_both_loops
def test_a_flush_waits_for_the_end_of_the_turn(loop: str) -> None:
    assert _written(loop, 2) == ([0, 0], [1, 1])


@on_both_loops
def test_in_a_long_turn_the_first_do_not_wait_for_the_last(loop: str) -> None:
    before, after = _written(loop, MOST_DIRTY + 3)
    assert before == [1] * MOST_DIRTY + [0] * 3
    assert after == [1] * (MOST_DIRTY + 3)
