"""A POP3 front end and back end of one server on real sockets, and a line-by-line client for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.directory.directory import Directory
from runtime.directory.logon import Authenticator
from runtime.services import pop3, pop3_backend
from runtime.services.back_end import BackEnd
from runtime.services.base import CertificateFiles, Host, Listener, Snapshot, Tls
from runtime.services.front_end import FrontEnd
from runtime.store.store import SqliteStore
from runtime.throttling.connections import ConnectionCounters
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings
from tests.runtime.aio import eventually
from tests.runtime.certificates import client_context, shared_pair
from tests.runtime.directories import SERVER, Resources, estate

MESSAGE = b"Subject: hello\r\n\r\nline one\r\n.line two\r\n"


@dataclass
class Client:
    """A raw client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def line(self) -> str:
        return (await self.reader.readline()).decode().removesuffix("\r\n")

    async def ask(self, command: str) -> str:
        """Send one line, read one."""
        self.writer.write(command.encode() + b"\r\n")
        return await self.line()

    async def ask_lines(self, command: str) -> list[str]:
        """Send one line, read a multi-line reply, without its status line and its end."""
        await self.ask(command)
        return (await self.body()).decode().splitlines()

    async def body(self) -> bytes:
        """What is left of a multi-line reply, unstuffed."""
        rows = []
        while (row := await self.reader.readline()) not in (b".\r\n", b""):
            rows.append(row.removeprefix(b".") if row.startswith(b".") else row)
        return b"".join(rows)

    async def start_tls(self) -> None:
        await self.writer.start_tls(client_context(), server_hostname="localhost")

    async def log_on(self, name: str = "alice", password: str = "secret") -> str:
        """USER and PASS; the answer to PASS."""
        await self.ask(f"USER {name}")
        return await self.ask(f"PASS {password}")

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        return await self.reader.read()

    def abort(self) -> None:
        self.writer.transport.abort()


@dataclass
class Lab:
    """What a test may look at and change."""

    state: Path
    resources: Resources
    directory: Directory
    settings: PopSettings
    front_host: Host
    back_host: Host
    store: SqliteStore
    front: FrontEnd
    back: BackEnd
    ports: dict[Tls, int] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)

    async def connect(self, tls: Tls = "implicit") -> Client:
        """A client that has not read the greeting."""
        context = client_context() if tls == "implicit" and self.front.tls else None
        name = "localhost" if context else None
        opened = await asyncio.open_connection(
            "127.0.0.1", self.ports[tls], ssl=context, server_hostname=name
        )
        self.clients.append(Client(*opened))
        return self.clients[-1]

    async def greeted(self, tls: Tls = "implicit") -> Client:
        client = await self.connect(tls)
        await client.line()
        return client

    async def logged_on(self, name: str = "alice") -> Client:
        client = await self.greeted()
        answer = await client.log_on(name)
        assert answer.startswith("+OK"), answer
        return client

    async def deliver(self, *messages: bytes, mailbox: str = "alice") -> None:
        folder = (await self.store.mailbox("db01", mailbox)).open("INBOX")
        for message in messages:
            await folder.append(message)

    async def uids(self, mailbox: str = "alice") -> list[int]:
        return list((await self.store.mailbox("db01", mailbox)).open("INBOX").uids())


@asynccontextmanager
async def pop_lab(
    state: Path, *, resources: Resources | None = None, has_certificate: bool = True, **settings: Any
) -> AsyncIterator[Lab]:
    """Front end and back end with `settings` (of PopSettings), running; ended when the block is left."""
    factories: list[Callable[[], asyncio.BaseProtocol]] = []
    back_server = await asyncio.get_running_loop().create_server(lambda: factories[-1](), "127.0.0.1", 0)  # noqa: PLW0108 - it is filled below
    port = back_server.sockets[0].getsockname()[1]
    spec = PopSettings.model_validate({"proxy_target_port": port, **settings})
    found = (resources or estate()).put("PopSettings", "ex01", spec)
    directory = Directory(found, "ex01")
    store = SqliteStore(state / "servers" / "ex01" / "databases")
    front_host, back_host = make_host(state, directory, None), make_host(state, directory, store)
    snapshot = make_snapshot(spec, has_certificate=has_certificate)
    front = pop3.create(front_host, snapshot, 1)
    back = pop3_backend.create(back_host, snapshot, 1)
    assert isinstance(front, FrontEnd)
    assert isinstance(back, BackEnd)
    lab = Lab(state, found, directory, spec, front_host, back_host, store, front, back)
    await back.start()
    await front.start()
    factories.append(back.protocol_factory(Listener("pop3-backend", "127.0.0.1", port, "none", "backend")))
    servers = [back_server]
    kinds: tuple[Tls, ...] = ("starttls", "implicit")
    for tls in kinds:
        factory = front.protocol_factory(Listener("pop3", "127.0.0.1", 0, tls))
        servers.append(await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0))
        lab.ports[tls] = servers[-1].sockets[0].getsockname()[1]
    try:
        yield lab
    finally:
        for client in lab.clients:
            client.abort()
        for server in servers:
            server.close()
        await front.close()
        await back.close()
        await store.close()
        front_host.authenticator.close()
        back_host.authenticator.close()


async def emptied(lab: Lab) -> None:
    """Until no session is left on either side."""
    await eventually(lambda: not lab.front.session_count() and not lab.back.session_count())


def make_host(state: Path, directory: Directory, store: SqliteStore | None) -> Host:
    """A host of ex01: back end with a store, front end without."""
    return Host(
        server="ex01",
        role="backend" if store else "frontend",
        state=state,
        directory=directory,
        authenticator=Authenticator(directory),
        counters=ConnectionCounters(),
        backend_key=b"k" * 32,
        store=store,
    )


def make_snapshot(spec: PopSettings, *, has_certificate: bool = True) -> Snapshot:
    """A snapshot of ex01 with the shared certificate."""
    pair = shared_pair()
    certificate = CertificateFiles("test", pair.certificate, pair.key, frozenset({"POP"}), ("localhost",))
    return Snapshot(
        epoch=1,
        server="ex01",
        spec=SERVER,
        imap=ImapSettings(),
        pop=spec,
        connectors={},
        certificates=(certificate,) if has_certificate else (),
        transport_endpoints={},
    )
