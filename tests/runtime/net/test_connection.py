"""The connection driver, on both event loops."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct

import pytest

from runtime.net import connection as driver
from runtime.net.connection import connect, dial
from runtime.net.tls import server_context
from tests.runtime.aio import eventually, on_both_loops, run
from tests.runtime.certificates import client_context, shared_pair
from tests.runtime.net.recording import Recording, serving


def _tls() -> ssl.SSLContext:
    pair = shared_pair()
    return server_context(pair.certificate, pair.key)


async def _open(
    port: int, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    await asyncio.sleep(0)


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end, whether it is a close or a reset."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@on_both_loops
def test_data_and_answer(loop: str) -> None:
    async def scenario() -> bytes:
        async with serving(Recording(lambda data: data.upper())) as port:
            reader, writer = await _open(port)
            writer.write(b"hello\r\n")
            answer = await reader.readline()
            await _close(writer)
            return answer

    assert run(scenario(), loop) == b"HELLO\r\n"


@on_both_loops
def test_implicit_tls(loop: str) -> None:
    session = Recording(lambda data: data.upper())

    async def scenario() -> bytes:
        async with serving(session, _tls()) as port:
            reader, writer = await _open(port, client_context())
            writer.write(b"hello\r\n")
            answer = await reader.readline()
            assert session.connection.is_tls
            await _close(writer)
            return answer

    assert run(scenario(), loop) == b"HELLO\r\n"
    assert session.events[0] == "connect"


@on_both_loops
def test_a_megabyte_each_way_over_tls(loop: str) -> None:
    payload = bytes(range(256)) * 4096
    session = Recording()

    async def scenario() -> bytes:
        async with serving(session, _tls()) as port:
            reader, writer = await _open(port, client_context())
            writer.write(payload)
            await eventually(lambda: len(session.data) == len(payload))
            session.connection.write(session.data)
            answer = await reader.readexactly(len(payload))
            await _close(writer)
            return answer

    assert run(scenario(), loop) == payload
    assert session.data == payload


@on_both_loops
def test_start_tls_begins_at_the_next_byte(loop: str) -> None:
    session = Recording()

    def reply(data: bytes) -> bytes:
        if data == b"STARTTLS\r\n":
            session.connection.write(b"go\r\n")
            session.connection.start_tls(context)
            return b""
        return data.upper()

    context = _tls()
    session._reply = reply

    async def scenario() -> bytes:
        async with serving(session) as port:
            reader, writer = await _open(port)
            writer.write(b"STARTTLS\r\n")
            assert await reader.readline() == b"go\r\n"
            await _upgrade(reader, writer)
            writer.write(b"hello\r\n")
            answer = await reader.readline()
            await _close(writer)
            return answer

    assert run(scenario(), loop) == b"HELLO\r\n"
    assert session.events[:2] == ["connect", "tls"]


async def _upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Client side STARTTLS (`StreamWriter.start_tls` is in Python 3.11)."""
    await writer.start_tls(client_context(), server_hostname="localhost")
    assert reader is not None


@on_both_loops
def test_clear_text_after_start_tls_is_never_data(loop: str) -> None:
    session = Recording()

    async def scenario() -> None:
        async with serving(session) as port:
            reader, writer = await _open(port)
            await eventually(lambda: "connect" in session.events)
            session.connection.write(b"go\r\n")
            session.connection.start_tls(_tls())
            writer.write(b"NOOP injected\r\n")
            await reader.read()
            await eventually(lambda: "disconnect" in session.events)
            await _close(writer)

    run(scenario(), loop)
    assert session.data == b""
    assert "tls" not in session.events


@on_both_loops
def test_a_failed_handshake_ends_one_connection_only(loop: str) -> None:
    session = Recording(lambda data: data)

    async def scenario() -> bytes:
        async with serving(session, _tls()) as port:
            reader, writer = await _open(port, client_context())
            bad_reader, bad_writer = await _open(port)
            bad_writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await bad_reader.read()
            await _close(bad_writer)
            writer.write(b"still here\r\n")
            answer = await reader.readline()
            await _close(writer)
            return answer

    assert run(scenario(), loop) == b"still here\r\n"


@on_both_loops
def test_handshake_has_a_time_limit(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "HANDSHAKE_TIMEOUT", 0.05)
    session = Recording()

    async def scenario() -> None:
        async with serving(session, _tls()) as port:
            reader, writer = await _open(port)
            assert await _until_closed(reader) == b""
            await _close(writer)

    run(scenario(), loop)
    assert session.events == ["disconnect"]


@on_both_loops
def test_the_last_words_arrive_though_the_client_still_sends(loop: str) -> None:
    """A plain close with unread input would be answered by a reset, and the farewell lost."""
    session = Recording()

    async def scenario() -> bytes:
        async with serving(session) as port:
            reader, writer = await _open(port)
            await eventually(lambda: "connect" in session.events)
            writer.write(b"x" * 300_000)
            session.connection.write(b"* BYE\r\n")
            session.connection.close()
            writer.write(b"y" * 300_000)
            answer = await reader.read()
            await _close(writer)
            return answer

    assert run(scenario(), loop) == b"* BYE\r\n"


@on_both_loops
def test_lingering_ends_by_itself(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "LINGER", 0.05)
    session = Recording()

    async def scenario() -> None:
        async with serving(session) as port:
            _, writer = await _open(port)
            await eventually(lambda: "connect" in session.events)
            session.connection.close()
            await eventually(lambda: "disconnect" in session.events)
            await _close(writer)

    run(scenario(), loop)


@on_both_loops
def test_nothing_reaches_the_session_after_close(loop: str) -> None:
    session = Recording()

    async def scenario() -> None:
        async with serving(session) as port:
            _, writer = await _open(port)
            await eventually(lambda: "connect" in session.events)
            session.connection.close()
            writer.write(b"late\r\n")
            writer.write_eof()
            await eventually(lambda: "disconnect" in session.events)
            await _close(writer)

    run(scenario(), loop)
    assert session.data == b""
    assert session.events.count("disconnect") == 1


@on_both_loops
def test_a_slow_reader_pauses_and_resumes_the_session(loop: str) -> None:
    session = Recording()

    async def scenario() -> int:
        async with serving(session) as port:
            reader, writer = await _open(port)
            await eventually(lambda: "connect" in session.events)
            written = 0
            while "paused" not in session.events:
                session.connection.write(b"z" * 262_144)
                written += 262_144
                await asyncio.sleep(0)
            await reader.readexactly(written)
            await eventually(lambda: "resumed" in session.events)
            await _close(writer)
            return written

    assert run(scenario(), loop) > 0


@on_both_loops
def test_eof_leaves_the_other_direction_open(loop: str) -> None:
    session = Recording()

    async def scenario() -> bytes:
        async with serving(session) as port:
            reader, writer = await _open(port)
            writer.write(b"question")
            writer.write_eof()
            await eventually(lambda: "eof" in session.events)
            session.connection.write(b"answer")
            session.connection.close()
            answer = await reader.read()
            await _close(writer)
            return answer

    assert run(scenario(), loop) == b"answer"


@on_both_loops
def test_writes_of_one_turn_leave_in_order(loop: str) -> None:
    session = Recording()

    async def scenario() -> bytes:
        async with serving(session) as port:
            reader, writer = await _open(port)
            await eventually(lambda: "connect" in session.events)
            for part in (b"one ", b"two ", b"x" * 70_000, b" three\r\n"):
                session.connection.write(part)
            session.connection.close()
            answer = await reader.read()
            await _close(writer)
            return answer

    assert run(scenario(), loop) == b"one two " + b"x" * 70_000 + b" three\r\n"


@on_both_loops
def test_timeout_fires_once_and_moves(loop: str) -> None:
    session = Recording()

    async def scenario() -> None:
        async with serving(session) as port:
            _, writer = await _open(port)
            await eventually(lambda: "connect" in session.events)
            session.connection.set_timeout(60)
            session.connection.set_timeout(0.01)
            await eventually(lambda: "timeout" in session.events)
            await _close(writer)

    run(scenario(), loop)
    assert session.events.count("timeout") == 1


@on_both_loops
def test_a_connection_that_is_not_admitted_is_dropped_before_tls(loop: str) -> None:
    session = Recording()

    async def scenario() -> None:
        async with serving(session, _tls(), admit=False) as port:
            reader, writer = await _open(port)
            assert await _until_closed(reader) == b""
            await _close(writer)

    run(scenario(), loop)
    assert session.events == ["disconnect"]


@on_both_loops
def test_dial(loop: str) -> None:
    server, client = Recording(lambda data: data), Recording()

    async def scenario() -> None:
        async with serving(server) as port:
            connection = await dial("127.0.0.1", port, client)
            connection.write(b"ping")
            await eventually(lambda: client.data == b"ping")
            connection.close()
            server.connection.close()
            await eventually(lambda: "disconnect" in client.events)

    run(scenario(), loop)


@on_both_loops
def test_connect_tells_the_session_that_nobody_listens(loop: str) -> None:
    client = Recording()

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        connect("127.0.0.1", port, client)
        await eventually(lambda: client.events)

    run(scenario(), loop)
    assert client.events == ["disconnect"]
    assert isinstance(client.error, OSError)


@on_both_loops
def test_abort_while_connecting(loop: str) -> None:
    client = Recording()

    async def scenario() -> None:
        async with serving(Recording()) as port:
            connect("127.0.0.1", port, client).abort()
            await eventually(lambda: client.events)

    run(scenario(), loop)
    assert client.events == ["disconnect"]


@on_both_loops
def test_a_reset_is_told_once(loop: str) -> None:
    session = Recording()

    async def scenario() -> None:
        async with serving(session) as port:
            client = socket.create_connection(("127.0.0.1", port))
            await eventually(lambda: "connect" in session.events)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            await eventually(lambda: "disconnect" in session.events)

    run(scenario(), loop)
    assert session.events.count("disconnect") == 1


@on_both_loops
def test_a_closed_connection_does_not_wait_for_ever_for_a_peer_that_takes_nothing(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer has sent its FIN and reads no more: what was written can never leave."""
    monkeypatch.setattr(driver, "LINGER", 0.02)
    session = Recording()

    async def scenario() -> None:
        async with serving(session) as port:
            client = socket.create_connection(("127.0.0.1", port))
            client.shutdown(socket.SHUT_WR)
            await eventually(lambda: "eof" in session.events)
            while "paused" not in session.events:
                session.connection.write(b"z" * 262_144)
                await asyncio.sleep(0)
            session.connection.close()
            await eventually(lambda: "disconnect" in session.events)
            client.close()

    run(scenario(), loop)


@on_both_loops
def test_an_error_in_one_session_leaves_the_others_alone(loop: str) -> None:
    good = Recording(lambda data: data)

    def explode(_: bytes) -> bytes:
        raise ValueError("a bug in a session")

    async def scenario() -> bytes:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with serving(good) as good_port, serving(Recording(explode)) as bad_port:
            reader, writer = await _open(good_port)
            bad_reader, bad_writer = await _open(bad_port)
            bad_writer.write(b"boom")
            assert await _until_closed(bad_reader) == b""
            writer.write(b"fine\r\n")
            answer = await reader.readline()
            await _close(writer)
            await _close(bad_writer)
            return answer

    assert run(scenario(), loop) == b"fine\r\n"
