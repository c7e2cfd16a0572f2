"""How many writes go in one request: as many as take a seventh of a second, so that it is quick and stops soon.

`SIGINT` waits for the request that is under way. How long one takes depends on the machine and on who else asks, so the
size follows what the last one took. A write that carries secrets costs the target a password hash each, some 20 ms; one
without costs about a millisecond.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from reconciler.applying.work import Work
from reconciler.targets.target import Write, tied

#: Seconds that one request is meant to take.
AIM = 0.15
#: Weight of the first request, and the most that one may have; the weight of one secret. A write alone weighs 1.
FIRST = 20
MOST = 200
SECRET = 20


def batches(share: Sequence[Work], *, now: Callable[[], float] = time.monotonic) -> Iterator[list[Work]]:
    """Cut into requests, in order, what is tied in one. Each is cut when the one before it is done: the time between is
    what it took."""
    batch: list[Work] = []
    weight, limit = 0, min(FIRST, MOST)
    for group in tied(share, lambda piece: piece.write.tie):
        cost = sum(_cost(piece.write) for piece in group)
        if batch and weight + cost > limit:
            began = now()
            yield batch
            limit = _next_limit(weight, now() - began)
            batch, weight = [], 0
        batch += group
        weight += cost
    if batch:
        yield batch


def _cost(write: Write) -> int:
    return 1 + SECRET * sum(value is not None for value in write.secrets.values())


def _next_limit(weight: int, seconds: float) -> int:
    """What would have taken AIM seconds; never more than four times as much as was tried."""
    fitting = weight * AIM / max(seconds, AIM / 4)
    return max(1, min(MOST, int(fitting)))
