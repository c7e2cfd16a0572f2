"""How many writes go in one request: enough to be quick, few enough to stop soon.

A write that carries secrets costs the target a password hash each, some 50 ms; one without costs well under a
millisecond. `SIGINT` waits for the request that is under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.applying.work import Work

#: Weight of one request, and of one secret in it; a write without secrets weighs 1.
MOST = 200
SECRET = 20


def batches(share: Sequence[Work]) -> Iterator[list[Work]]:
    """Cut into requests, in order."""
    batch: list[Work] = []
    weight = 0
    for piece in share:
        cost = 1 + SECRET * sum(value is not None for value in piece.write.secrets.values())
        if batch and weight + cost > MOST:
            yield batch
            batch, weight = [], 0
        batch.append(piece)
        weight += cost
    if batch:
        yield batch
