"""A load generator for IMAP, POP3 and SMTP: many connections on one event loop, bounded in time and count.

It runs as a process of its own (`python -m benchmarks.load …`), on another core than the servers, and prints one JSON
object. It sends only to 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Account:
    """Where to connect, as whom, and whether TLS is implicit."""

    port: int
    user: str
    password: str
    tls: ssl.SSLContext | None


class Wire:
    """A connection with just enough buffering to wait for the end of an answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, account: Account) -> Wire:
        """Connect; the greeting is left to the caller."""
        reader, writer = await asyncio.open_connection(HOST, account.port, ssl=account.tls, limit=1 << 24)
        return cls(reader, writer)

    async def line(self) -> bytes:
        """One line; ConnectionError when the server has gone."""
        if line := await self._reader.readline():
            return line
        raise ConnectionError("the server closed the connection")

    async def ask(self, data: bytes, *, until: bytes) -> int:
        """Send, then read until a line starts with `until`; count the other bytes. RuntimeError when refused."""
        self._writer.write(data)
        size = 0
        while True:
            line = await self.line()
            if line.startswith(until):
                return size
            if line.startswith((b"-ERR", b"x NO", b"x BAD", b"4", b"5")) and not until.startswith(line[:1]):
                raise RuntimeError(f"refused: {line!r} after {data[:60]!r}")
            size += len(line)

    async def ask_bulk(self, data: bytes, *, until: bytes) -> int:
        """Send, then read whole chunks until they end with the line `until` introduces; cheaper for large answers."""
        self._writer.write(data)
        size, tail = 0, b""
        while True:
            chunk = await self._reader.read(1 << 18)
            if not chunk:
                raise ConnectionError("the server closed the connection")
            size += len(chunk)
            tail = (tail + chunk)[-200:]
            if tail.endswith(b"\r\n") and tail[tail.rfind(b"\r\n", 0, -2) + 2 :].startswith(until):
                return size

    def end(self) -> None:
        """Drop the connection."""
        self._writer.transport.abort()


async def imap_logon(account: Account) -> Wire:
    """Connect, read the greeting, LOGIN."""
    wire = await Wire.open(account)
    await wire.line()
    await wire.ask(f"x LOGIN {account.user} {account.password}\r\n".encode(), until=b"x OK")
    return wire


async def imap_session(account: Account) -> None:
    """One logon and logout."""
    wire = await imap_logon(account)
    await wire.ask(b"x LOGOUT\r\n", until=b"x OK")
    wire.end()


async def pop_session(account: Account) -> None:
    """One POP3 logon and QUIT."""
    wire = await Wire.open(account)
    await wire.line()
    await wire.ask(f"USER {account.user}\r\n".encode(), until=b"+OK")
    await wire.ask(f"PASS {account.password}\r\n".encode(), until=b"+OK")
    await wire.ask(b"QUIT\r\n", until=b"+OK")
    wire.end()


async def _repeat(work: Callable[[], Awaitable[None]], *, clients: int, seconds: float) -> float:
    """Run `work` in a loop in each of `clients` tasks; the rate a second over the whole time."""
    stop = time.perf_counter() + seconds
    done = 0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < stop:
            await work()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    return done / (time.perf_counter() - started)


async def imap_logons(account: Account, args: argparse.Namespace) -> float:
    """Logon + logout a second."""
    return await _repeat(lambda: imap_session(account), clients=args.clients, seconds=args.seconds)


async def pop_logons(account: Account, args: argparse.Namespace) -> float:
    """Logon + QUIT a second."""
    return await _repeat(lambda: pop_session(account), clients=args.clients, seconds=args.seconds)


async def imap_seed(account: Account, args: argparse.Namespace) -> float:
    """APPEND `--count` messages; the rate."""
    wire = await imap_logon(account)
    started = time.perf_counter()
    for number in range(args.count):
        await _append(wire, _message(number, args.size))
    wire.end()
    return float(args.count) / (time.perf_counter() - started)


async def imap_append(account: Account, args: argparse.Namespace) -> float:
    """APPEND a second over all clients, each to its own connection on one mailbox."""
    wires = [await imap_logon(account) for _ in range(args.clients)]
    message = _message(0, args.size)
    idle = iter(wires)
    stop = time.perf_counter() + args.seconds
    done = 0

    async def one(wire: Wire) -> None:
        nonlocal done
        while time.perf_counter() < stop:
            await _append(wire, message)
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(one(wire) for wire in idle))
    return done / (time.perf_counter() - started)


async def _append(wire: Wire, message: bytes) -> None:
    head = b"x APPEND INBOX {%d+}\r\n" % len(message)
    await wire.ask(head + message + b"\r\n", until=b"x OK")


async def imap_fetch(account: Account, args: argparse.Namespace) -> float:
    """Messages a second with FETCH 1:N (FLAGS UID RFC822.SIZE ENVELOPE), one client."""
    wire = await imap_logon(account)
    await wire.ask(b"x SELECT INBOX\r\n", until=b"x OK")
    command = f"x FETCH 1:{args.count} (FLAGS UID RFC822.SIZE ENVELOPE)\r\n".encode()
    await wire.ask_bulk(command, until=b"x OK")
    rate = await _repeat(
        lambda: _discard(wire.ask_bulk(command, until=b"x OK")), clients=1, seconds=args.seconds
    )
    wire.end()
    return rate * float(args.count)


async def _discard(work: Awaitable[int]) -> None:
    await work


async def imap_idle(account: Account, args: argparse.Namespace) -> float:
    """Open `--clients` sessions in IDLE, say so on standard output, and hold them until standard input ends."""
    wires = []
    for _ in range(args.clients):
        wire = await imap_logon(account)
        await wire.ask(b"x SELECT INBOX\r\n", until=b"x OK")
        await wire.ask(b"x IDLE\r\n", until=b"+ ")
        wires.append(wire)
    print("holding", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for wire in wires:
        wire.end()
    return float(args.clients)


async def smtp_messages(account: Account, args: argparse.Namespace) -> float:
    """Messages accepted a second over `--clients` sessions, many messages a session."""
    stop = time.perf_counter() + args.seconds
    done = 0
    message = _message(0, args.size)

    async def one() -> None:
        nonlocal done
        wire = await Wire.open(account)
        await wire.line()
        await wire.ask(b"EHLO load.contoso.example\r\n", until=b"250 ")
        while time.perf_counter() < stop:
            await wire.ask(b"MAIL FROM:<sender@fabrikam.example>\r\n", until=b"250")
            await wire.ask(f"RCPT TO:<{account.user}>\r\n".encode(), until=b"250")
            await wire.ask(b"DATA\r\n", until=b"354")
            await wire.ask(message + b".\r\n", until=b"250")
            done += 1
        wire.end()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(args.clients)))
    return done / (time.perf_counter() - started)


def _message(number: int, size: int) -> bytes:
    head = (
        f"From: Alice <alice@contoso.example>\r\nTo: Bob <bob@contoso.example>\r\nSubject: Message {number}\r\n"
        f"Date: Sat, 21 Nov 2026 08:00:00 +0000\r\nMessage-ID: <{number}.load@contoso.example>\r\n\r\n"
    ).encode()
    line = b"The quick brown fox jumps over the lazy dog, and does it once more.\r\n"
    return head + line * max(1, (size - len(head)) // len(line))


MODES: dict[str, Callable[[Account, argparse.Namespace], Coroutine[Any, Any, float]]] = {
    "imap-logons": imap_logons,
    "pop-logons": pop_logons,
    "imap-seed": imap_seed,
    "imap-append": imap_append,
    "imap-fetch": imap_fetch,
    "imap-idle": imap_idle,
    "smtp": smtp_messages,
}


def main(argv: list[str]) -> int:
    """Run one mode and print {"rate": …}."""
    parser = argparse.ArgumentParser(description="Load for one protocol; loopback only.")
    parser.add_argument("mode", choices=sorted(MODES))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", default="")
    parser.add_argument("--ca", type=Path, help="use implicit TLS and trust this PEM file")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--core", type=int, help="run on this core only")
    args = parser.parse_args(argv)
    if args.core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {args.core})
    tls = ssl.create_default_context(cafile=str(args.ca)) if args.ca else None
    if tls:
        tls.check_hostname = False  # the certificate names the server; we connect to its address
    account = Account(args.port, args.user, args.password, tls)
    rate = uvloop.run(MODES[args.mode](account, args))
    print(json.dumps({"rate": rate}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
