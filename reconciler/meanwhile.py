"""A result that a thread of its own works out, while whoever asked for it goes on.

The thread does not keep the process from ending: an answer that never comes is left behind. Used where something that
may hang or take long is asked: by the daemon's loop, and by the embedded target for what it needs a little later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

FoundT = TypeVar("FoundT")


def _nothing() -> None:
    """Nobody waits for the end."""


class Meanwhile(Generic[FoundT]):
    """Calls `ask` from now on; `ring` is called in that thread when the result is there. `name` is the thread's."""

    def __init__(
        self, ask: Callable[[], FoundT], *, ring: Callable[[], None] = _nothing, name: str = "meanwhile"
    ) -> None:
        self._ask = ask
        self._ring = ring
        self._outcome: FoundT | Exception
        self._is_done = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """True when `result` need not wait."""
        return self._is_done

    def ends(self, *, within: float) -> bool:
        """Wait so many seconds at most; true when `result` need not wait then."""
        self._thread.join(within)
        return not self._thread.is_alive()

    def result(self) -> FoundT:
        """The result, once it is there. Raises what asking raised."""
        self._thread.join()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._ask()
        except Exception as error:  # noqa: BLE001 - raised again by `result`
            self._outcome = error
        self._is_done = True
        self._ring()
