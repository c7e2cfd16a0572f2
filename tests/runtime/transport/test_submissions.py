"""A submission that comes twice is taken once: at once, while the first is being written, after a crash."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from runtime.transport import journal as journal_module
from runtime.transport.envelope import Envelope
from runtime.transport.journal import Journal
from runtime.transport.queue import MessageQueue, QueuedMessage
from tests.runtime.aio import run
from tests.runtime.transport.queues import envelope, submit

ONCE = "0123456789abcdef"


async def hand_in(queue: MessageQueue, to: Envelope, content: bytes = b"x") -> QueuedMessage | None:
    """None when the queue has the submission already. Raises OSError."""
    taken: asyncio.Future[QueuedMessage | None] = asyncio.get_running_loop().create_future()
    submission = queue.submission()
    submission.write(content)
    submission.finish(
        to,
        lambda message, error: taken.set_exception(error) if error is not None else taken.set_result(message),
    )
    return await taken


def test_a_submission_is_taken_once(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        first = await hand_in(queue, envelope(submission=ONCE))
        assert first is not None
        assert await hand_in(queue, envelope(submission=ONCE)) is None
        assert queue.held(ONCE) == first.id
        queue.finish(first)
        assert await hand_in(queue, envelope(submission=ONCE)) is None
        assert len(queue) == 0
        await queue.close()

    run(story())


def test_both_copies_at_once_are_one(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        large = b"x" * 100_000
        found = await asyncio.gather(*(hand_in(queue, envelope(submission=ONCE), large) for _ in range(3)))
        assert [one is not None for one in found] == [True, False, False]
        assert len(queue) == 1
        assert len(list((tmp_path / "spool").iterdir())) == 1
        await queue.close()

    run(story())


def test_messages_without_a_submission_are_all_taken(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        assert None not in [await hand_in(queue, envelope()) for _ in range(2)]
        await queue.close()

    run(story())


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_later_process_knows_the_submission(tmp_path: Path, *, is_finished: bool) -> None:
    async def take() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        message = await hand_in(queue, envelope(submission=ONCE))
        if is_finished and message is not None:
            queue.finish(message)
            await queue.flush()

    async def again() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        assert await hand_in(queue, envelope(submission=ONCE)) is None
        assert len(queue) == (0 if is_finished else 1)
        await queue.close()

    run(take())
    run(again())
    run(again())


def test_a_finished_segment_is_kept_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal.__init__, "__kwdefaults__", {"segment_size": 1})

    async def take() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        message = await hand_in(queue, envelope(submission=ONCE))
        assert message is not None
        queue.finish(message)
        await queue.flush()
        await submit(queue)

    async def again() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        assert await hand_in(queue, envelope(submission=ONCE)) is None
        await queue.close()

    run(take())
    run(again())


def test_a_submission_that_could_not_be_written_may_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", full)
            with pytest.raises(OSError, match="No space"):
                await hand_in(queue, envelope(submission=ONCE))
        assert await hand_in(queue, envelope(submission=ONCE)) is not None
        await queue.close()

    monkeypatch.setattr(journal_module, "RETRY_DELAY", 0.01)
    run(story())
