"""The deadlines of all connections of one event loop, kept by time slot, with one timer of the loop for the next.

A connection moves its deadline many times in its life and almost never meets it, so putting one in and taking it out
is a set operation. What is due is told up to GRAIN late, never early. It knows nothing of what a deadline means.
Called by `connection` only, through `turn`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

#: Seconds a slot: how late a deadline may be told.
GRAIN = 0.1


class Expiring(Protocol):
    def expire(self) -> None:
        """The deadline has passed; it is no longer kept."""


class Deadlines:
    """Shared by the connections of one loop; the loop's thread only."""

    __slots__ = ("_loop", "_next", "_slots", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Expiring]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0

    @staticmethod
    def slot(at: float) -> int:
        """The slot of a moment of the loop's clock; slots count from 1."""
        return int(at / GRAIN) + 1

    def add(self, slot: int, connection: Expiring) -> None:
        """Tell `connection` when this slot is over. It must be in no slot."""
        waiting = self._slots.get(slot)
        if waiting is not None:
            waiting.add(connection)
            return
        self._slots[slot] = {connection}
        if self._timer is None or slot < self._next:
            self._schedule(slot)

    def drop(self, slot: int, connection: Expiring) -> None:
        """Tell it nothing any more. The loop's timer stays: it will look for the next slot."""
        waiting = self._slots[slot]
        waiting.discard(connection)
        if not waiting:
            del self._slots[slot]

    def _schedule(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = slot
        self._timer = self._loop.call_at(slot * GRAIN, self._tick)

    def _tick(self) -> None:
        """Tell everybody whose slot is over. What they do may fill other slots."""
        self._timer = None
        due = [slot for slot in self._slots if slot <= self._next]
        expired = [connection for slot in sorted(due) for connection in self._slots.pop(slot)]
        for connection in expired:
            connection.expire()
        if self._slots and self._timer is None:
            self._schedule(min(self._slots))
