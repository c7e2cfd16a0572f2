"""What the supervisor does now and then so that nothing of its own grows without end: its log, old versions of
resources, and the certificates that only these named. A failure is logged, and the next time tries again. Called by
`main`."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from runtime.live import LiveStore, old_versions
from runtime.supervisor.certificate_store import forget_pairs
from runtime.supervisor.layout import Layout
from runtime.supervisor.log import RuntimeLog

logger = logging.getLogger("runtime.supervisor")

#: Seconds between two looks at the log.
LOG_INTERVAL = 30.0
#: Between two searches for old versions.
FORGET_INTERVAL = timedelta(days=1)
#: Old versions that are deleted in one transaction: some milliseconds.
FORGET_TOGETHER = 200


async def keep_house(layout: Layout, store: LiveStore, log: RuntimeLog) -> None:
    """Until it is cancelled."""
    due = datetime.now(UTC)
    while True:
        now = datetime.now(UTC)
        try:
            log.look()
            if now >= due:
                due = now + FORGET_INTERVAL
                await forget(layout, store, now)
        except Exception:
            logger.exception("the runtime could not tidy up after itself; it tries again")
        await asyncio.sleep(LOG_INTERVAL)


async def forget(layout: Layout, store: LiveStore, now: datetime) -> None:
    """Let go of old versions and what they alone named, and say so. There may be hundreds of thousands: others have
    their turn while they are looked for, and after each few that are deleted."""
    old = await asyncio.to_thread(old_versions, store.path, now=now)
    for start in range(0, len(old), FORGET_TOGETHER):
        store.forget(old[start : start + FORGET_TOGETHER])
        await asyncio.sleep(0)
    if old:
        logger.info("%d versions that nobody can go back to any more were forgotten", len(old))
    if count := forget_pairs(layout, store, now):
        logger.info("%d files of certificates that nobody can go back to any more were deleted", count)
