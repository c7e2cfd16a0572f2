"""What happens in the runtime, told to whoever listens at `GET /v1/events`.

Events are for people and programs that watch; nothing in the runtime depends on them. A listener that does
not keep up is cut off, never waited for.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger("runtime.supervisor")

#: How the log marks what should not happen, by the last word of its event; anything else is as it should be.
_LEVELS = {"failed": logging.ERROR, "crashed": logging.ERROR, "overdue": logging.WARNING}
#: Events that may wait for one listener.
BACKLOG = 1000


class EventBus:
    """Fans events out. Event loop only."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._is_open = True

    def emit(self, event: str, **facts: Any) -> None:
        """Tell all listeners, and the log. Facts are JSON values and never secrets."""
        # As JSON: what somebody named or gave as a reason cannot break a line of the log.
        logger.log(_level(event), "%s %s", event, json.dumps(facts))
        message = {"time": utc_now(), "event": event, **facts}
        for queue in list(self._listeners):
            if queue.full():
                self._cut_off(queue)
            else:
                queue.put_nowait(message)

    async def stream(self) -> AsyncIterator[dict[str, Any]]:
        """Events from now on, until the runtime stops or the listener falls behind."""
        with self._listening() as queue:
            while (message := await queue.get()) is not None:
                yield message

    def close(self) -> None:
        """End all streams, each after what it was told."""
        self._is_open = False
        for queue in list(self._listeners):
            self._cut_off(queue) if queue.full() else queue.put_nowait(None)

    @contextmanager
    def _listening(self) -> Iterator[asyncio.Queue[dict[str, Any] | None]]:
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(BACKLOG)
        if self._is_open:
            self._listeners.add(queue)
        else:
            queue.put_nowait(None)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def _cut_off(self, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
        self._listeners.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


def _level(event: str) -> int:
    return _LEVELS.get(event.rpartition(".")[2], logging.INFO)


def utc_now() -> str:
    """ISO 8601 with milliseconds, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
