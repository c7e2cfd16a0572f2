"""What the supervisor does now and then so that nothing of its own grows without end: its log, and old versions of
resources. A failure is logged, and the next time tries again. Called by `main`."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from runtime.live import LiveStore
from runtime.supervisor.log import RuntimeLog

logger = logging.getLogger("runtime.supervisor")

#: Seconds between two looks at the log.
LOG_INTERVAL = 30.0
#: Between two searches for old versions.
FORGET_INTERVAL = timedelta(days=1)


async def keep_house(store: LiveStore, log: RuntimeLog) -> None:
    """Until it is cancelled."""
    due = datetime.now(UTC)
    while True:
        now = datetime.now(UTC)
        try:
            log.look()
            if now >= due:
                due = now + FORGET_INTERVAL
                forget(store, now)
        except Exception:
            logger.exception("the runtime could not tidy up after itself; it tries again")
        await asyncio.sleep(LOG_INTERVAL)


def forget(store: LiveStore, now: datetime) -> None:
    """Let go of old versions, and say so."""
    if count := store.forget(now):
        logger.info("%d versions that nobody can go back to any more were forgotten", count)
