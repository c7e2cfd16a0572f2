"""The pump between a client and a back end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.net.connection import dial
from runtime.net.pump import join
from tests.runtime.aio import eventually, on_both_loops, run
from tests.runtime.net.recording import Recording, serving


class Pair:
    """A client and a back end with the pump between them, and what the pump reported at its end."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back_end: Recording
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.back_end = back_end
        self.ends: list[Exception | None] = []


@asynccontextmanager
async def _joined(back_end: Recording) -> AsyncIterator[Pair]:
    front = Recording()
    async with serving(back_end) as back_port, serving(front) as front_port:
        reader, writer = await asyncio.open_connection("127.0.0.1", front_port)
        link = await dial("127.0.0.1", back_port, Recording())
        await eventually(lambda: front.events and back_end.events)
        pair = Pair(reader, writer, back_end)
        join(front.connection, link, pair.ends.append)
        yield pair
        writer.transport.abort()
        back_end.connection.close()
        await eventually(lambda: pair.ends)


@on_both_loops
def test_bytes_go_both_ways(loop: str) -> None:
    async def scenario() -> bytes:
        async with _joined(Recording(lambda data: data.upper())) as pair:
            pair.writer.write(b"a noop\r\n")
            return await pair.reader.readline()

    assert run(scenario(), loop) == b"A NOOP\r\n"


@on_both_loops
def test_when_the_back_end_closes_its_last_words_arrive(loop: str) -> None:
    async def scenario() -> bytes:
        async with _joined(Recording()) as pair:
            pair.back_end.connection.write(b"* BYE\r\n")
            pair.back_end.connection.close()
            return await pair.reader.read()

    assert run(scenario(), loop) == b"* BYE\r\n"


@on_both_loops
def test_a_client_that_stops_sending_still_gets_its_answers(loop: str) -> None:
    async def scenario() -> bytes:
        async with _joined(Recording()) as pair:
            pair.writer.write(b"question")
            pair.writer.write_eof()
            await eventually(lambda: "eof" in pair.back_end.events)
            pair.back_end.connection.write(b"answer")
            pair.back_end.connection.close()
            return await pair.reader.read()

    assert run(scenario(), loop) == b"answer"


@on_both_loops
def test_a_client_that_vanishes_ends_the_back_end_session(loop: str) -> None:
    async def scenario() -> list[Exception | None]:
        async with _joined(Recording()) as pair:
            pair.writer.transport.abort()
            await eventually(lambda: "eof" in pair.back_end.events)
            pair.back_end.connection.close()
            await eventually(lambda: pair.ends)
            return pair.ends

    assert len(run(scenario(), loop)) == 1


@on_both_loops
def test_a_slow_client_slows_the_back_end(loop: str) -> None:
    """Nothing is lost, and the back end hears that it must wait: the pump does not collect in between."""

    async def scenario() -> int:
        async with _joined(Recording()) as pair:
            written = 0
            while "paused" not in pair.back_end.events:
                pair.back_end.connection.write(b"z" * 262_144)
                written += 262_144
                await asyncio.sleep(0)
            await pair.reader.readexactly(written)
            return written

    assert run(scenario(), loop) > 0
