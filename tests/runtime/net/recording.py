"""A session that writes down what it is told, and a server for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from runtime.net.connection import StreamConnection
from runtime.net.session import Connection


class Recording:
    """Keeps events as words, data apart; answers with what `reply` makes of the data."""

    def __init__(self, reply: Callable[[bytes], bytes] = lambda _: b"") -> None:
        self.events: list[str] = []
        self.data = b""
        self.error: Exception | None = None
        self.connection: StreamConnection
        self._reply = reply

    def on_connect(self, connection: Connection) -> None:
        assert isinstance(connection, StreamConnection)
        self.connection = connection
        self.events.append("connect")

    def on_data(self, data: bytes) -> None:
        self.data += data
        if answer := self._reply(data):
            self.connection.write(answer)

    def on_tls(self) -> None:
        self.events.append("tls")

    def on_eof(self) -> None:
        self.events.append("eof")

    def on_disconnect(self, error: Exception | None) -> None:
        self.error = error
        self.events.append("disconnect")

    def on_write_paused(self) -> None:
        self.events.append("paused")

    def on_write_resumed(self) -> None:
        self.events.append("resumed")

    def on_timeout(self) -> None:
        self.events.append("timeout")


@asynccontextmanager
async def serving(
    session: Recording, tls: ssl.SSLContext | None = None, *, admit: bool = True
) -> AsyncIterator[int]:
    """A server on a free port whose connections all belong to `session`; yields the port."""
    made: list[StreamConnection] = []

    def accept() -> StreamConnection:
        made.append(StreamConnection(session, tls, admit=lambda _: admit))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in made:
            connection.abort()
        await asyncio.sleep(0)
        await server.wait_closed()
