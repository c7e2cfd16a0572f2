"""How often the directory is refreshed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from runtime.host.refresher import Refresher


class Clock:
    """A loop's clock and timer, driven by hand; each refresh takes `cost` seconds of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cost: float) -> None:
        self.now = 0.0
        self.cost = cost
        self.refreshes = 0
        self.due: tuple[float, Callable[[], None]] | None = None
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Clock:
        self.due = (when, callback)
        return self

    @property
    def has_timer(self) -> bool:
        return self.due is not None

    def cancel(self) -> None:
        self.due = None

    def refresh(self) -> None:
        self.refreshes += 1
        self.now += self.cost


def test_a_cheap_refresh_is_never_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, cost=0.001)
    refresher = Refresher(clock.refresh)
    for _ in range(3):
        refresher.ask()
    assert clock.refreshes == 3
    assert not clock.has_timer


def test_a_costly_refresh_rests_and_many_asks_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, cost=0.1)
    refresher = Refresher(clock.refresh)
    for _ in range(5):
        refresher.ask()
    assert clock.refreshes == 1
    assert clock.due is not None
    when, fire = clock.due
    assert when == pytest.approx(0.5)
    fire()
    assert clock.refreshes == 2
    assert not clock.has_timer


def test_now_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, cost=0.1)
    refresher = Refresher(clock.refresh)
    refresher.ask()
    refresher.ask()
    refresher.now()
    assert clock.refreshes == 2
    assert not clock.has_timer
