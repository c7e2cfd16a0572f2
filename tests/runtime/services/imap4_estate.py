"""A server with its IMAP4 front end and back end in this process, on free ports: real sockets, store, directory."""

from __future__ import annotations

import asyncio
import imaplib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from argon2 import PasswordHasher

from runtime.directory.directory import Directory, Rename
from runtime.directory.logon import Authenticator
from runtime.net.connection import bound_socket
from runtime.services import imap4, imap4_backend
from runtime.services.base import CertificateFiles, Host, Listener, Service, Snapshot, Tls
from runtime.store.interface import Folder
from runtime.store.store import SqliteStore
from runtime.throttling.connections import ConnectionCounters
from schemas.v1.base import Spec
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.pop_settings import PopSettings
from schemas.v1.server import PasswordHashing, Server
from tests.runtime.aio import LOOPS
from tests.runtime.certificates import client_context, shared_pair

T = TypeVar("T")

PASSWORDS = {"alice": 'alice\'s "pass\\word"', "bob": "bob-secret"}
_CHEAP = PasswordHashing(memory_cost=8, time_cost=1, parallelism=1)


@dataclass(frozen=True)
class Live:
    """A live resource."""

    kind: str
    name: str
    spec: Spec
    revision: int = 1
    credentials: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    epoch: int
    present: Sequence[Live]
    deleted: Sequence[tuple[str, str]] = ()
    renames: Sequence[Rename] = ()


@dataclass
class Reader:
    """A live configuration that does not change."""

    resources: Sequence[Live]

    def changes_since(self, epoch: int) -> Changes:
        return Changes(1, self.resources if not epoch else ())


def server_spec() -> Server:
    return Server.model_validate({"fqdn": "localhost", "passwordHashing": _CHEAP.model_dump(by_alias=True)})


def resources(settings: ImapSettings) -> list[Live]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    mailboxes = [
        Live(
            "Mailbox",
            name,
            Mailbox(database="db01", primary_smtp_address=f"{name}@contoso.example"),
            credentials={"password": cheap.hash(password)},
        )
        for name, password in PASSWORDS.items()
    ]
    return [
        Live("Server", "ex01", server_spec()),
        Live("MailboxDatabase", "db01", MailboxDatabase(server="ex01")),
        Live("ImapSettings", "ex01", settings),
        *mailboxes,
    ]


@dataclass
class Estate:
    """What a test talks to. `clear` and `tls` are the ports of the two listeners, `hop` that of the back end."""

    directory: Directory
    front: Service
    back: Service
    store: SqliteStore
    clear: int = 0
    tls: int = 0
    hop: int = 0

    async def folder(self, name: str = "INBOX", user: str = "alice") -> Folder:
        return (await self.store.mailbox("db01", user)).open(name)

    async def deliver(self, *messages: bytes, user: str = "alice") -> None:
        folder = await self.folder(user=user)
        for message in messages:
            await folder.append(message)


class Raw:
    """A socket with lines."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._file = sock.makefile("rb")

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        return self._file.readline()

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def until(self, start: bytes) -> list[bytes]:
        """Lines up to the one that starts so, or to the end of the stream."""
        lines = [self.line()]
        while lines[-1] and not lines[-1].startswith(start):
            lines.append(self.line())
        return lines

    def ask(self, command: bytes) -> list[bytes]:
        """Send "x command" and return all lines up to the tagged one."""
        self.send(b"x " + command + b"\r\n")
        return self.until(b"x ")

    def log_on(self, user: str = "bob") -> Raw:
        self.line()
        assert self.ask(f"LOGIN {user} {PASSWORDS[user]}".encode()) == [b"x OK LOGIN completed.\r\n"]
        return self

    def select(self, user: str = "bob", folder: bytes = b"INBOX") -> Raw:
        assert self.log_on(user).ask(b"SELECT " + folder)[-1].startswith(b"x OK")
        return self

    def start_tls(self, context: ssl.SSLContext) -> Raw:
        return Raw(context.wrap_socket(self.socket, server_hostname="localhost"))


def _host(role: Any, state: Path, directory: Directory, store: SqliteStore | None) -> Host:
    return Host(
        server="ex01",
        role=role,
        state=state,
        directory=directory,
        authenticator=Authenticator(directory),
        counters=ConnectionCounters(),
        backend_key=b"k" * 32,
        store=store,
    )


def _snapshot(settings: ImapSettings, *, has_certificate: bool) -> Snapshot:
    pair = shared_pair()
    certificate = CertificateFiles("c", pair.certificate, pair.key, frozenset({"IMAP"}), ("localhost",))
    return Snapshot(
        epoch=1,
        server="ex01",
        spec=server_spec(),
        imap=settings,
        pop=PopSettings(),
        connectors={},
        certificates=(certificate,) if has_certificate else (),
        transport_endpoints={},
    )


async def _listen(
    service: Service, sock: socket.socket, tls: Tls, purpose: str = "clients"
) -> asyncio.Server:
    host, port = sock.getsockname()
    factory = service.protocol_factory(Listener("imap", host, port, tls, purpose))
    return await asyncio.get_running_loop().create_server(factory, sock=sock)


@asynccontextmanager
async def estate(
    state: Path, *, has_certificate: bool = True, unchecked: Mapping[str, Any] | None = None, **imap: Any
) -> AsyncIterator[Estate]:
    """A running estate; `imap` are fields of ImapSettings, by attribute name, and `unchecked` those that a test wants
    outside of their range."""
    sockets = [bound_socket("127.0.0.1", 0) for _ in range(3)]
    clear, tls, hop = (sock.getsockname()[1] for sock in sockets)
    given = {"x509_certificate_name": "localhost", "login_type": "PlainTextLogin", **imap}
    settings = ImapSettings.model_validate(
        {ImapSettings.model_fields[name].alias or name: value for name, value in given.items()}
        | {"proxyTargetPort": hop}
    ).model_copy(update=unchecked or {})
    directory = Directory(Reader(resources(settings)), "ex01")
    store = SqliteStore(state / "databases")
    front_host, back_host = (
        _host("frontend", state, directory, None),
        _host("backend", state, directory, store),
    )
    snapshot = _snapshot(settings, has_certificate=has_certificate)
    front, back = imap4.create(front_host, snapshot, 1), imap4_backend.create(back_host, snapshot, 1)
    await back.start()
    await front.start()
    listening = [
        await _listen(back, sockets[2], "none", "backend"),
        await _listen(front, sockets[0], "starttls"),
        await _listen(front, sockets[1], "implicit"),
    ]
    try:
        yield Estate(directory, front, back, store, clear, tls, hop)
    finally:
        for server in listening:
            server.close()
        await front.close()
        await back.close()
        front_host.authenticator.close()
        back_host.authenticator.close()
        await store.close()


class Served:
    """A running estate on a loop in a thread of its own, for tests that block on sockets."""

    def __init__(self, running: Estate, loop: asyncio.AbstractEventLoop) -> None:
        self.estate = running
        self.loop = loop

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the estate's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def deliver(self, *messages: bytes, user: str = "bob") -> None:
        self.call(self.estate.deliver(*messages, user=user))

    def raw(self) -> Raw:
        """A client in clear."""
        return Raw(socket.create_connection(("127.0.0.1", self.estate.clear), timeout=10))

    def raw_tls(self) -> Raw:
        plain = socket.create_connection(("127.0.0.1", self.estate.tls), timeout=10)
        return Raw(client_context().wrap_socket(plain, server_hostname="localhost"))

    def imaplib(self, user: str = "alice", *, select: str | None = "INBOX") -> imaplib.IMAP4_SSL:
        """A logged-on imaplib client over TLS, the certificate verified."""
        client = imaplib.IMAP4_SSL("localhost", self.estate.tls, ssl_context=client_context(), timeout=10)
        client.login(f"{user}@contoso.example", PASSWORDS[user])
        if select:
            client.select(select)
        return client


@contextmanager
def serving(state: Path, *messages: bytes, loop: str = "asyncio", **imap: Any) -> Iterator[Served]:
    """An estate with these messages in bob's INBOX."""
    started: Future[Served] = Future()
    stop = threading.Event()

    async def main() -> None:
        async with estate(state, **imap) as running:
            await running.deliver(*messages, user="bob")
            started.set_result(Served(running, asyncio.get_running_loop()))
            await asyncio.to_thread(stop.wait)

    def serve() -> None:
        try:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(main())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=serve, name="estate")
    thread.start()
    try:
        yield started.result(20)
    finally:
        stop.set()
        thread.join(20)
