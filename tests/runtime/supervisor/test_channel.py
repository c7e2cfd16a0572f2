"""The control channel: frames, descriptors, and the end of the other side."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from runtime.supervisor.channel import Channel, ChannelError, FrameBuffer, Message, frame

MESSAGE = {"action": "start", "service": "imap4", "text": "ä" * 300}


def test_a_whole_frame_is_one_message() -> None:
    assert FrameBuffer().feed(frame(MESSAGE)) == [(MESSAGE, [])]


def test_a_frame_may_come_byte_by_byte() -> None:
    buffer = FrameBuffer()
    data = frame(MESSAGE)
    found = [message for index in range(len(data)) for message in buffer.feed(data[index : index + 1])]
    assert found == [(MESSAGE, [])]


def test_frames_may_come_together() -> None:
    second: Message = {"action": "stop"}
    assert FrameBuffer().feed(frame(MESSAGE) + frame(second)) == [(MESSAGE, []), (second, [])]


def test_descriptors_belong_to_the_frame_that_announced_them() -> None:
    buffer = FrameBuffer()
    assert buffer.feed(frame(MESSAGE, 2) + frame({"n": 2}, 1), [7, 8, 9]) == [
        (MESSAGE, [7, 8]),
        ({"n": 2}, [9]),
    ]


def test_a_frame_without_its_descriptors_is_refused() -> None:
    with pytest.raises(ChannelError, match="1 descriptors were announced, 0 came"):
        FrameBuffer().feed(frame(MESSAGE, 1))


def test_an_enormous_frame_is_refused_before_it_is_read() -> None:
    with pytest.raises(ChannelError, match="at most"):
        FrameBuffer().feed(b"\xff\xff\xff\xff\x00\x00")


class End:
    """One end of a channel, and what it received."""

    def __init__(self, sock: socket.socket) -> None:
        self.received: asyncio.Queue[tuple[Message, list[int]]] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.channel = Channel(
            sock, on_message=lambda *found: self.received.put_nowait(found), on_closed=self.closed.set
        )


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


async def two_ends() -> tuple[End, End]:
    ours, theirs = socket.socketpair()
    return End(ours), End(theirs)


def test_a_descriptor_crosses(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        ours, theirs = await two_ends()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours.channel.send(MESSAGE, [listening.fileno()])
            message, (descriptor,) = await theirs.received.get()
            with socket.socket(fileno=descriptor) as received:
                assert received.getsockname() == listening.getsockname()
                assert not os.get_inheritable(descriptor)
        assert message == MESSAGE
        ours.channel.close()
        await theirs.closed.wait()

    runner.run(scenario())


def test_more_than_the_socket_takes_waits_and_arrives_in_order(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        ours, theirs = await two_ends()
        for number in range(50):
            ours.channel.send({"number": number, "text": "x" * 100_000})
        numbers = [(await theirs.received.get())[0]["number"] for _ in range(50)]
        assert numbers == list(range(50))
        ours.channel.close()
        theirs.channel.close()

    runner.run(scenario())


def test_the_end_of_the_other_side_is_told_once_and_after_what_it_said(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        ours, theirs = await two_ends()
        ours.channel.send(MESSAGE)
        ours.channel.close()
        await theirs.closed.wait()
        assert theirs.received.get_nowait() == (MESSAGE, [])
        theirs.channel.send(MESSAGE)

    runner.run(scenario())


def test_too_many_descriptors_are_refused(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        ours, theirs = await two_ends()
        with pytest.raises(ChannelError, match="at most 253"):
            ours.channel.send(MESSAGE, [0] * 254)
        ours.channel.close()
        theirs.channel.close()

    runner.run(scenario())
