"""The journal when something breaks: descriptors, damaged segments, errors that nobody foresaw."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from runtime.transport import journal as journal_module
from runtime.transport.journal import Journal, Place
from runtime.transport.queue import MessageQueue
from runtime.transport.records import Damage, RecordKind, encode_record, read_records, scan
from tests.runtime.aio import run
from tests.runtime.transport.queues import segments, submit
from tests.runtime.transport.test_queue import reopened


@pytest.fixture
def tiny_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch begins a segment."""
    monkeypatch.setattr(Journal.__init__, "__kwdefaults__", {"segment_size": 1})


@pytest.mark.usefixtures("tiny_segments")
def test_a_segment_that_cannot_be_begun_leaves_other_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a descriptor that was closed too early may by then be somebody else's file."""
    other = tmp_path / "other"
    usual = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith(".queue"):
            other_fds.append(usual(other, os.O_RDWR | os.O_CREAT))
            os.write(other_fds[-1], b"precious")
            raise OSError(24, "Too many open files")
        return usual(path, flags, mode)

    other_fds: list[int] = []

    async def story() -> None:
        queue = MessageQueue(tmp_path / "queue")
        queue.open()
        await submit(queue, b"first")
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            with pytest.raises(OSError, match="Too many"):
                await submit(queue, b"refused")
        assert os.pread(other_fds[0], 100, 0) == b"precious"
        await submit(queue, b"second")
        await queue.close()
        os.close(other_fds[0])

    run(story())
    assert [one.content for one in reopened(tmp_path / "queue")] == [b"first", b"second"]


@pytest.mark.usefixtures("tiny_segments")
def test_a_segment_whose_name_is_not_durable_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_directory: Path) -> None:
        raise OSError(5, "Input/output error")

    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        await submit(queue, b"first")
        with monkeypatch.context() as patch:
            patch.setattr(journal_module, "sync_directory", refuse)
            with pytest.raises(OSError, match="Input/output"):
                await submit(queue, b"refused")
        await submit(queue, b"second")
        await queue.close()

    run(story())
    assert [one.content for one in reopened(tmp_path)] == [b"first", b"second"]


# Damage

THREE = [encode_record(RecordKind.MESSAGE, number, b'\x02\0\0\0{"' + b"x" * number) for number in (1, 2, 3)]


@pytest.mark.parametrize("at", range(len(THREE[1])))
def test_a_damaged_record_costs_only_itself(at: int) -> None:
    damaged = bytearray(b"".join(THREE))
    damaged[len(THREE[0]) + at] ^= 0x40
    assert [one.message_id for one in read_records(bytes(damaged))] == [1, 3]


def test_damage_is_told_and_a_torn_end_is_not() -> None:
    first, second, third = THREE
    broken = second[:-1] + b"?"
    assert Damage(len(first), len(second)) in list(scan(first + broken + third))
    assert Damage(len(first), len(second)) in list(scan(first + broken))
    assert [type(one) for one in scan(first + third[:-1])] == [type(next(read_records(first)))]


def test_content_that_looks_like_a_record_is_no_record() -> None:
    forged = encode_record(RecordKind.DONE, 1, b"")
    carrier = encode_record(RecordKind.MESSAGE, 2, b"\x02\0\0\0{}" + forged + b"x")
    found = read_records(THREE[0] + carrier[:-1] + b"?" + THREE[2])
    assert [(one.kind, one.message_id) for one in found] == [(RecordKind.MESSAGE, 1), (RecordKind.MESSAGE, 3)]


def test_messages_behind_a_damaged_one_are_there_and_the_segment_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        for content in (b"first", b"second", b"third"):
            await submit(queue, content)
        await queue.close()

    async def finish() -> None:
        queue = MessageQueue(tmp_path)
        for message in queue.open():
            queue.finish(message)
        await queue.close()

    run(take())
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes().replace(b"second", b"SECOND"))
    assert [one.content for one in reopened(tmp_path)] == [b"first", b"third"]
    assert "are damaged" in caplog.text
    monkeypatch.setattr(journal_module, "KEPT_SECONDS", 0.0)
    run(finish())
    assert not segment.exists()
    assert b"SECOND" in segment.with_suffix(".damaged").read_bytes()
    assert reopened(tmp_path) == ()


# Errors that nobody foresaw


def test_any_error_in_the_thread_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_fd: int) -> None:
        raise ZeroDivisionError

    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", break_down)
            with pytest.raises(OSError, match="ZeroDivisionError"):
                await asyncio.wait_for(submit(queue, b"first"), 10)
        await asyncio.wait_for(submit(queue, b"second"), 10)
        await queue.close()

    run(story())
    assert [one.content for one in reopened(tmp_path)] == [b"second"]


@pytest.mark.usefixtures("tiny_segments")
def test_a_segment_that_cannot_be_evacuated_does_not_hold_up_a_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_self: Journal, _place: Place) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(journal_module, "MAX_SEGMENTS", 1)
    monkeypatch.setattr(Journal, "_read_raw", refuse)

    async def story() -> None:
        queue = MessageQueue(tmp_path)
        queue.open()
        for _ in range(3):
            message = await submit(queue)
        queue.finish(message)
        await asyncio.wait_for(queue.flush(), 10)
        await queue.close()

    run(story())
    assert "could not be removed" in caplog.text
