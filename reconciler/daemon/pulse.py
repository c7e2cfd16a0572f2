"""Signs of life of the round that goes on, so that one that hangs is noticed.

The round gives them: at its begin, and before each write, restart and probe. The loop asks while the round goes on. It
is about time alone, and ends nothing itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds without a sign after which a round hangs. Each question to the runtime is given up after two minutes at most,
#: a probe much sooner, and a large estate is read within a few minutes.
LONGEST_SILENCE = 600.0


class RoundHangsError(Exception):
    """The round shows no sign of life, and nobody can end it but with the process."""


class Pulse:
    """Of one loop, or of no loop at all: signs that nobody asks about harm nothing."""

    def __init__(
        self, *, longest: float = LONGEST_SILENCE, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._longest = longest
        self._now = monotonic
        self._at = monotonic()

    def sign(self) -> None:
        """The round goes on."""
        self._at = self._now()

    def beside(self, act: Callable[P, T]) -> Callable[P, T]:
        """`act`, after a sign."""

        def both(*arguments: P.args, **options: P.kwargs) -> T:
            self.sign()
            return act(*arguments, **options)

        return both

    def check(self) -> None:
        """Raise RoundHangsError when the last sign is too long ago; asked only while a round goes on."""
        if self._now() - self._at > self._longest:
            raise RoundHangsError(
                f"a round has made no progress for {self._longest / 60:g} minutes; "
                "see what the disk, the runtime or git waits for, and start again"
            )
