"""How long to wait before something is tried again: twice as long each time up to a cap, with jitter.

Only what may pass by itself is tried again: a lost answer, a busy runtime. Jitter keeps several that wait for the same
runtime from coming back at the same moment.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

ATTEMPTS = 5
#: Seconds before the second attempt, and the longest pause.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 3.0


def pauses() -> Iterator[float]:
    """Seconds to wait after each attempt but the last."""
    pause = FIRST_PAUSE
    for _ in range(ATTEMPTS - 1):
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
        pause = min(LONGEST_PAUSE, pause * 2)
