"""Work that is serial within a lane and goes on in several lanes at once.

A lane is a server: its writes and restarts follow one another, those of other servers go on beside them. When one lane
fails, the others end after their current step, and the first error is raised. With one lane, or a parallelism of one,
everything happens in the caller's thread. Used by the transaction.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
#: One lane's work. It is given a question to ask before each step: true means end now.
Lane = Callable[[Callable[[], bool]], None]


def run_lanes(lanes: Sequence[Lane], *, parallelism: int) -> None:
    """Run all lanes, so many at once. Raises the first error when all have ended; a KeyboardInterrupt of the caller is
    raised at once and leaves the others behind."""
    if parallelism <= 1 or len(lanes) <= 1:
        for lane in lanes:
            lane(lambda: False)
        return
    runner = _Runner(lanes)
    threads = [
        threading.Thread(target=runner.run, name=f"lane {number}", daemon=True)
        for number in range(min(parallelism, len(lanes)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if runner.error is not None:
        raise runner.error


def by_lane(items: Iterable[T], lane_of: Callable[[T], Hashable]) -> list[list[T]]:
    """Items of one lane together, in the order they came."""
    found: dict[Hashable, list[T]] = {}
    for item in items:
        found.setdefault(lane_of(item), []).append(item)
    return list(found.values())


def shared_out(lanes: Iterable[list[T]], *, parallelism: int) -> list[list[T]]:
    """At most so many lists, each with whole lanes one after the other and about as long as the others: many short
    lanes then cost no more requests than a few long ones."""
    shares: list[list[T]] = [[] for _ in range(max(1, parallelism))]
    for lane in sorted(lanes, key=len, reverse=True):
        min(shares, key=len).extend(lane)
    return [share for share in shares if share]


class _Runner:
    def __init__(self, lanes: Iterable[Lane]) -> None:
        self.error: BaseException | None = None
        self._waiting = deque(lanes)

    def run(self) -> None:
        """One thread's part: lane after lane until there is none, or one has failed."""
        while self.error is None:
            try:
                lane = self._waiting.popleft()
            except IndexError:
                return
            try:
                lane(self._is_halted)
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error

    def _is_halted(self) -> bool:
        return self.error is not None
