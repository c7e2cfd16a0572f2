"""A restart of imap4 under 50 clients that connect, log on and fetch in a loop.

Nothing may be refused, no logon may fail, and no session may end without `* BYE` before it. The counts are asserted.
"""

from __future__ import annotations

import asyncio
import collections
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support import clients
from tests.support.estate import DOMAIN, PASSWORDS, Runtime

CLIENTS = 50
CYCLES_BEFORE, CYCLES_AFTER = 2, 2
FETCHES = 5


class Tally(collections.Counter[str]):
    """Outcomes by name: refused, logon failed, cut, announced, cycles."""

    def __init__(self) -> None:
        super().__init__()
        self.surprises: list[str] = []
        self.at_work = asyncio.Event()

    def cycle(self) -> None:
        """Count a whole session; `at_work` is set once there were enough of them to call it load."""
        self["cycles"] += 1
        if self["cycles"] >= CYCLES_BEFORE * CLIENTS:
            self.at_work.set()

    def surprise(self, kind: str, what: object) -> None:
        """Count an outcome that must not happen and remember what was seen."""
        self[kind] += 1
        self.surprises.append(f"{kind}: {what!r}")


class AnnouncedError(Exception):
    """The server said BYE before it ended the session."""


class CutError(Exception):
    """The session ended with nothing said."""


async def _answer(reader: asyncio.StreamReader, tag: bytes) -> bytes:
    """Read up to the tagged line and return it."""
    while line := await reader.readline():
        if line.startswith(b"* BYE"):
            raise AnnouncedError(line)
        if line.startswith(tag + b" "):
            return line
    raise CutError(tag)


async def _command(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tag: bytes, text: bytes
) -> bytes:
    try:
        writer.write(tag + b" " + text + b"\r\n")
        return await _answer(reader, tag)
    except ConnectionError as error:
        raise CutError(error) from error


@asynccontextmanager
async def _connection(
    runtime: Runtime, context: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("localhost", runtime.ports.imaps, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _cycle(runtime: Runtime, context: ssl.SSLContext, user: str, tally: Tally) -> None:
    """Connect, log on, fetch a few times, log out; whatever happens is counted."""
    logged_on = False
    try:
        async with _connection(runtime, context) as (reader, writer):
            greeting = await reader.readline()
            if not greeting.startswith(b"* OK"):
                tally.surprise("logon failed", greeting)
                return
            answer = await _command(reader, writer, b"l", f"LOGIN {user}@{DOMAIN} {PASSWORDS[user]}".encode())
            if not answer.startswith(b"l OK"):
                tally.surprise("logon failed", answer)
                return
            logged_on = True
            await _command(reader, writer, b"s", b"SELECT INBOX")
            for _ in range(FETCHES):
                answer = await _command(reader, writer, b"f", b"FETCH 1:* (UID FLAGS ENVELOPE)")
                assert answer.startswith(b"f OK"), answer
            tally.cycle()
    except AnnouncedError as announced:
        if logged_on:
            tally["announced"] += 1
        else:
            tally.surprise("logon failed", announced)
    except CutError as cut:
        tally.surprise("cut", cut)
    except OSError as error:
        tally.surprise("refused", error)


async def _client(
    runtime: Runtime, context: ssl.SSLContext, number: int, tally: Tally, restarted: asyncio.Event
) -> None:
    user = ("alice", "bob")[number % 2]
    cycles_after = 0
    while cycles_after < CYCLES_AFTER:
        after = restarted.is_set()
        await _cycle(runtime, context, user, tally)
        cycles_after += after


async def _restart(runtime: Runtime, tally: Tally, restarted: asyncio.Event) -> None:
    """Once the clients are at work, apply a changed limit: the plan asks for a restart of imap4 and its back end."""
    await tally.at_work.wait()
    await asyncio.to_thread(runtime.apply, max_connections_per_user=201, drain_timeout="3s")
    restarted.set()


async def _run(runtime: Runtime) -> Tally:
    tally, restarted, context = Tally(), asyncio.Event(), runtime.tls()
    await asyncio.gather(
        _restart(runtime, tally, restarted),
        *(_client(runtime, context, number, tally, restarted) for number in range(CLIENTS)),
    )
    return tally


def test_no_client_is_refused_or_cut(own: Runtime) -> None:
    own.apply(max_connections_per_user=200, drain_timeout="3s")
    with clients.imap(own, "alice") as client:
        client.append("INBOX", "", "", b"Subject: something to fetch\r\n\r\n")
    before = {name: own.service(name)["generation"] for name in ("imap4", "imap4-backend")}

    tally = asyncio.run(_run(own))

    assert (tally["refused"], tally["logon failed"], tally["cut"]) == (0, 0, 0), tally.surprises
    assert tally["cycles"] >= CLIENTS * (CYCLES_BEFORE + CYCLES_AFTER) - tally["announced"]
    after = {name: own.service(name)["generation"] for name in before}
    assert all(after[name] > before[name] for name in before), (before, after)


def test_a_connected_client_hears_bye_before_the_end(own: Runtime) -> None:
    client = clients.imap(own, "alice")
    try:
        client.select("INBOX")
        own.apply(max_connections_per_user=17, drain_timeout="1s")
        assert client.readline().startswith(b"* BYE")
        assert client.readline() == b""
    finally:
        client.shutdown()
