"""The durable queue: what was taken is there again, what was finished is not; torn ends, full disks, segments."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.transport import journal as journal_module
from runtime.transport.envelope import Envelope, EnvelopeError, Origin
from runtime.transport.journal import Journal
from runtime.transport.queue import MessageQueue, QueuedMessage
from runtime.transport.records import (
    RecordError,
    RecordKind,
    StoredMessage,
    decode_message,
    encode_message,
    encode_record,
    read_records,
)
from tests.runtime.aio import eventually, on_both_loops, run
from tests.runtime.transport.queues import ORIGIN, envelope, segments, submit

LARGE = b"Subject: large\r\n\r\n" + b"x" * 100_000


def reopened(directory: Path) -> tuple[QueuedMessage, ...]:
    """What a new process would find."""

    async def look() -> tuple[QueuedMessage, ...]:
        queue = MessageQueue(directory)
        found = queue.open()
        for message in found:
            message.content = queue.content(message)
        await queue.close()
        return found

    return run(look())


@on_both_loops
def test_a_message_is_there_after_a_restart(tmp_path: Path, loop: str) -> None:
    async def story() -> QueuedMessage:
        queue = MessageQueue(tmp_path)
        queue.open()
        # Not closed: the process ends here.
        return await submit(queue)

    message = run(story(), loop)
    (found,) = reopened(tmp_path)
    assert (found.id, found.envelope, found.marker) == (message.id, message.envelope, message.marker)
    assert found.is_recovered
    assert found.content == b"Subject: x\r\n\r\nbody\r\n"


def test_a_large_message_is_there_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        await submit(queue, LARGE)

    run(story())
    (found,) = reopened(tmp_path)
    assert found.content == LARGE


def test_a_finished_message_is_gone(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        for content in (b"small", LARGE):
            queue.finish(await submit(queue, content))
        await queue.close()
        assert len(queue) == 0

    run(story())
    assert reopened(tmp_path) == ()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_narrowed_message_keeps_the_others(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        message = await submit(queue, to=envelope("alice@contoso.example", "bob@contoso.example"))
        queue.narrow(message, frozenset({"alice@contoso.example"}))
        await queue.flush()

    run(story())
    (found,) = reopened(tmp_path)
    assert found.envelope.recipients == ("bob@contoso.example",)
    assert found.content == b"Subject: x\r\n\r\nbody\r\n"


def test_ids_and_markers_are_never_used_again(tmp_path: Path) -> None:
    async def take() -> tuple[int, str]:
        queue = MessageQueue(tmp_path)
        queue.open()
        message = await submit(queue)
        queue.finish(message)
        await queue.close()
        return message.id, message.marker

    found = [run(take()) for _ in range(3)]
    assert len({marker for _, marker in found}) == 3
    assert [message_id for message_id, _ in found] == sorted({message_id for message_id, _ in found})


def test_many_messages_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)

    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        await asyncio.gather(*(submit(queue) for _ in range(50)))
        await queue.close()

    run(story())
    assert len(syncs) < 10
    assert len(reopened(tmp_path)) == 50


def test_what_was_written_but_not_finished_is_swept(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        queue.submission().write(LARGE)
        assert len(list((tmp_path / "spool").iterdir())) == 1

    run(story())
    assert reopened(tmp_path) == ()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_discarded_submission_leaves_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        submission = queue.submission()
        submission.write(LARGE)
        submission.discard()
        submission.discard()
        await queue.close()
        assert list((tmp_path / "spool").iterdir()) == []

    run(story())


def test_a_torn_end_is_not_a_message_at_any_octet(tmp_path: Path) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        await submit(queue, b"first")
        await submit(queue, b"second")

    run(story())
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    first = next(read_records(whole)).size
    for size in range(len(whole)):
        records = list(read_records(whole[:size]))
        assert len(records) == (1 if size >= first else 0)


def test_a_restart_behind_a_torn_end_loses_nothing_later(tmp_path: Path) -> None:
    async def take(content: bytes) -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        await submit(queue, content)

    run(take(b"first"))
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes() + b"\x01torn")
    run(take(b"second"))
    assert [one.content for one in reopened(tmp_path)] == [b"first", b"second"]


def test_after_a_failed_write_the_next_one_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", _full)
            with pytest.raises(OSError, match="No space"):
                await submit(queue, b"first")
            with pytest.raises(OSError, match="No space"):
                await submit(queue, LARGE)
        await submit(queue, b"second")
        await queue.close()

    run(story())
    assert [one.content for one in reopened(tmp_path)] == [b"second"]
    assert list((tmp_path / "spool").iterdir()) == []


def _full(_fd: int) -> None:
    raise OSError(28, "No space left on device")


def test_what_nobody_waits_for_is_written_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_DELAY", 0.01)

    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        message = await submit(queue)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", _full)
            queue.finish(message)
            await queue.flush()
        await queue.close()

    run(story())
    assert reopened(tmp_path) == ()


def test_finished_segments_go_and_live_messages_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_SIZE", 1000)
    monkeypatch.setattr(Journal.__init__, "__kwdefaults__", {"segment_size": 1000})

    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        await submit(queue, b"stays")
        for _ in range(60):
            queue.finish(await submit(queue, b"y" * 600))
        await queue.flush()
        await queue.flush()
        await eventually(lambda: len(segments(tmp_path)) <= journal_module.MAX_SEGMENTS + 1)
        await queue.close()

    run(story())
    assert [one.content for one in reopened(tmp_path)] == [b"stays"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "finish", "narrow", "restart"]), st.integers(0, 9)), max_size=40
    )
)
def test_any_history_ends_in_what_is_live(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        run(_play(Path(directory), steps))


async def _play(directory: Path, steps: list[tuple[str, int]]) -> None:
    queue = MessageQueue(directory)
    queue.open()
    live: dict[int, QueuedMessage] = {}
    for step, number in steps:
        match step, sorted(live):
            case "take", _:
                message = await submit(queue, to=envelope("a@b.example", "c@d.example"))
                live[message.id] = message
            case "finish", [_, *_] as ids:
                queue.finish(live.pop(ids[number % len(ids)]))
            case "narrow", [_, *_] as ids:
                queue.narrow(live[ids[number % len(ids)]], frozenset({"a@b.example"}))
            case "restart", _:
                await queue.close()
                queue = MessageQueue(directory)
                found = {message.id: message for message in queue.open()}
                assert {key: one.envelope for key, one in found.items()} == {
                    key: one.envelope for key, one in live.items()
                }
                live = found
    await queue.close()


# Records and envelopes


@given(st.binary(max_size=200), st.integers(1, 2**63))
def test_a_record_read_is_the_record_written(payload: bytes, message_id: int) -> None:
    (record,) = read_records(encode_record(RecordKind.MESSAGE, message_id, payload))
    assert (record.kind, record.message_id, record.payload) == (RecordKind.MESSAGE, message_id, payload)


def test_any_flipped_bit_is_noticed() -> None:
    data = bytearray(encode_record(RecordKind.DONE, 7, b"payload"))
    for at in range(len(data)):
        data[at] ^= 1
        assert list(read_records(bytes(data))) == []
        data[at] ^= 1


@pytest.mark.parametrize("content", [b"\r\n\0\xff", None])
def test_a_message_read_is_the_message_written(content: bytes | None) -> None:
    stored = StoredMessage(envelope("a@b.example"), "marker", 4, content)
    assert decode_message(encode_message(stored)) == stored


@pytest.mark.parametrize("payload", [b"", b"\xff\xff\xff\xff", b"\x02\0\0\0{}", b"\x04\0\0\0null"])
def test_what_is_no_message(payload: bytes) -> None:
    with pytest.raises(RecordError):
        decode_message(payload)


def test_an_origin_read_is_the_origin_written() -> None:
    assert Origin.decode(ORIGIN.encode()) == ORIGIN


@pytest.mark.parametrize("text", ["", "e30=", "!!", "bnVsbA==", "W10="])
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(EnvelopeError):
        Origin.decode(text)


def test_an_envelope_without_some_recipients() -> None:
    left = envelope("a@b.example", "c@d.example").without(frozenset({"a@b.example"}))
    assert isinstance(left, Envelope)
    assert left.recipients == ("c@d.example",)
