"""Builders for the queue: envelopes, messages taken and waited for."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from runtime.transport.envelope import Envelope, Origin
from runtime.transport.queue import MessageQueue, QueuedMessage

ORIGIN = Origin(
    session="0123456789abcdef",
    client="192.0.2.1",
    hello="client.example",
    user="",
    connector="open",
    is_tls=False,
)


def envelope(
    *recipients: str,
    sender: str = "carol@fabrikam.example",
    accepted: float | None = None,
    submission: str = "",
) -> Envelope:
    when = time.time() if accepted is None else accepted
    return Envelope(sender, recipients or ("alice@contoso.example",), ORIGIN, when, submission)


async def submit(
    queue: MessageQueue, content: bytes = b"Subject: x\r\n\r\nbody\r\n", *, to: Envelope | None = None
) -> QueuedMessage:
    """Take a message and wait until it is on disk. Raises OSError."""
    taken: asyncio.Future[QueuedMessage] = asyncio.get_running_loop().create_future()
    submission = queue.submission()
    submission.write(content)

    def done(message: QueuedMessage | None, error: OSError | None) -> None:
        if message is not None:
            taken.set_result(message)
        else:
            taken.set_exception(error or OSError("not taken"))

    submission.finish(to or envelope(), done)
    return await taken


def segments(directory: Path) -> list[Path]:
    return sorted((directory / "journal").glob("*.queue"))
