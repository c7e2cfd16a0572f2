"""A running engine over a real store and queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from runtime.services.transport_token import introduction
from runtime.store.store import SqliteStore
from runtime.transport.engine import Place, Surroundings, TransportEngine
from runtime.transport.retry import RetryPolicy
from tests.runtime.aio import eventually
from tests.runtime.directories import Resources, directory
from tests.runtime.directories import estate as resources
from tests.runtime.services.smtp_estate import accepted
from tests.runtime.transport.queues import envelope, submit

ALONE = Surroundings("ex01.contoso.example", {})
QUICK = RetryPolicy(mailbox=0.01, glitch=0.01)


class Running:
    """An engine with its store."""

    def __init__(self, path: Path, found: Resources, *, queue: Path | None = None) -> None:
        self.store = SqliteStore(path / "databases")
        self.directory = directory(accepted(found))
        place = Place("ex01", queue or path / "queue", partial(introduction, b"k" * 32))
        self.engine = TransportEngine(self.directory, self.store, place, retry=QUICK)

    async def submit(
        self, *recipients: str, sender: str = "alice@contoso.example", accepted: float | None = None
    ) -> None:
        to = envelope(*recipients, sender=sender, accepted=accepted)
        self.engine.take(await submit(self.engine._queue, to=to))

    async def inbox(self, user: str, database: str = "db01") -> list[bytes]:
        """After the queue has nothing left to do."""
        await eventually(lambda: not len(self.engine))
        folder = (await self.store.mailbox(database, user)).open("INBOX")
        return [folder.content(uid) or b"" for uid in folder.uids()]


@asynccontextmanager
async def engine(
    path: Path, *, found: Resources | None = None, queue: Path | None = None
) -> AsyncIterator[Running]:
    running = Running(path, found or resources(), queue=queue)
    running.engine.attach(1, ALONE)
    try:
        yield running
    finally:
        await running.engine.close()
        await running.store.close()
