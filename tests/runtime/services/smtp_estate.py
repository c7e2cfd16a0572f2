"""A server with its two SMTP services in this process, on free ports: real sockets, queue, store, directory."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from runtime.directory.directory import Directory
from runtime.directory.logon import Authenticator
from runtime.net.connection import bound_socket
from runtime.services import frontend_transport, transport
from runtime.services.base import CertificateFiles, Host, Listener, Service, Snapshot
from runtime.store.store import SqliteStore
from runtime.throttling.connections import ConnectionCounters
from runtime.transport.engine import TransportEngine
from schemas.v1.accepted_domain import AcceptedDomain
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings
from schemas.v1.receive_connector import ReceiveConnector
from tests.runtime.aio import eventually
from tests.runtime.certificates import client_context, shared_pair
from tests.runtime.directories import SERVER, Resources, directory
from tests.runtime.directories import estate as resources

T = TypeVar("T")

ANONYMOUS = {"usage": "Internet", "transportRole": "FrontendTransport", "tarpitInterval": 0}
CLIENT = {
    "usage": "Client",
    "transportRole": "FrontendTransport",
    "tarpitInterval": 0,
    "authTarpitInterval": 0,
}
HUB = {"usage": "Internet", "transportRole": "HubTransport", "tarpitInterval": 0}

MESSAGE = b"From: carol@fabrikam.example\r\nSubject: hello\r\n\r\nbody\r\n"


@dataclass
class Estate:
    """What a test talks to; `ports` by connector name."""

    state: Path
    directory: Directory
    store: SqliteStore
    frontend_host: Host
    backend_host: Host
    snapshot: Snapshot
    frontend: Service
    backend: Service
    ports: dict[str, int]
    listening: list[asyncio.Server] = field(default_factory=list)

    @property
    def engine(self) -> TransportEngine:
        engine = self.backend_host.kept["transport-queue"]
        assert isinstance(engine, TransportEngine)
        return engine

    async def inbox(self, user: str = "alice", *, count: int = 1) -> list[bytes]:
        """The contents of an INBOX once it has `count` messages."""
        folder = (await self.store.mailbox("db01", user)).open("INBOX")
        await eventually(lambda: len(folder.uids()) >= count)
        return [folder.content(uid) or b"" for uid in folder.uids()]

    async def count(self, user: str = "alice") -> int:
        """Messages in an INBOX after the queue has nothing left to do."""
        await eventually(lambda: not len(self.engine))
        return len((await self.store.mailbox("db01", user)).open("INBOX").uids())

    def smtp(self, connector: str = "anonymous") -> smtplib.SMTP:
        return smtplib.SMTP("localhost", self.ports[connector], local_hostname="client.example", timeout=10)

    def raw(self, connector: str = "anonymous") -> Raw:
        """A connection that has read the banner."""
        return Raw(socket.create_connection(("127.0.0.1", self.ports[connector]), timeout=10))

    def log_on(self, user: str = "alice", password: str = "secret") -> smtplib.SMTP:
        """smtplib on the client connector, inside TLS, logged on."""
        client = self.smtp("client")
        try:
            client.starttls(context=client_context())
            client.login(f"{user}@contoso.example", password)
        except BaseException:
            client.close()
            raise
        return client


class Raw:
    """A socket with replies."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.file = sock.makefile("rb")
        self.banner = self.reply()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self) -> bytes:
        """All lines of the next reply; b"" at the end of the stream."""
        lines = [self.file.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self.file.readline())
        return b"".join(lines)

    def ask(self, line: bytes) -> bytes:
        self.send(line + b"\r\n")
        return self.reply()

    def replies(self, *lines: bytes) -> list[bytes]:
        return [self.ask(line) for line in lines]

    def hello(self) -> Raw:
        assert self.ask(b"EHLO client.example").startswith(b"250")
        return self

    def submit(self, content: bytes, *, recipient: bytes = b"alice@contoso.example") -> bytes:
        """Send `content` (the terminating dot included) as it is; the reply to it."""
        self.replies(b"MAIL FROM:<carol@fabrikam.example>", b"RCPT TO:<" + recipient + b">", b"DATA")
        self.send(content)
        return self.reply()

    def start_tls(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        return (context or client_context()).wrap_socket(self.socket, server_hostname="localhost")


def make_host(
    role: Literal["frontend", "backend"], state: Path, found: Directory, store: SqliteStore | None
) -> Host:
    return Host(
        server=found.server,
        role=role,
        state=state,
        directory=found,
        authenticator=Authenticator(found),
        counters=ConnectionCounters(),
        backend_key=b"k" * 32,
        store=store,
    )


def make_connector(port: int, fields: Mapping[str, Any]) -> ReceiveConnector:
    return ReceiveConnector.model_validate({"bindings": [f"127.0.0.1:{port}"], **fields})


def make_snapshot(
    connectors: Mapping[str, ReceiveConnector],
    endpoints: Mapping[str, tuple[str, int]],
    *,
    server: str = "ex01",
    has_certificate: bool = True,
) -> Snapshot:
    pair = shared_pair()
    certificate = CertificateFiles("c", pair.certificate, pair.key, frozenset({"SMTP"}), ("localhost",))
    return Snapshot(
        epoch=1,
        server=server,
        spec=SERVER,
        imap=ImapSettings(),
        pop=PopSettings(),
        connectors=connectors,
        certificates=(certificate,) if has_certificate else (),
        transport_endpoints=endpoints,
    )


def accepted(found: Resources) -> Resources:
    """contoso.example is ours, sub.example is relayed."""
    found.put("AcceptedDomain", "contoso", AcceptedDomain(domain_name="contoso.example"))
    relayed = AcceptedDomain.model_validate({"domainName": "relay.example", "domainType": "InternalRelay"})
    return found.put("AcceptedDomain", "relay", relayed)


async def listen(service: Service, sock: socket.socket, purpose: str = "clients") -> asyncio.Server:
    host, port = sock.getsockname()
    listener = Listener("smtp", host, port, "starttls", purpose)
    loop = asyncio.get_running_loop()
    return await loop.create_server(service.protocol_factory(listener), sock=sock)


@asynccontextmanager
async def estate(
    state: Path,
    connectors: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    found: Resources | None = None,
    has_certificate: bool = True,
    has_transport: bool = True,
) -> AsyncIterator[Estate]:
    """A running estate; `connectors` are fields of ReceiveConnector by YAML name, the usual two when not given."""
    declared = connectors or {"anonymous": ANONYMOUS, "client": CLIENT}
    sockets = {name: bound_socket("127.0.0.1", 0) for name in (*declared, "internal")}
    ports = {name: sock.getsockname()[1] for name, sock in sockets.items()}
    specs = {name: make_connector(ports[name], fields) for name, fields in declared.items()}
    view = directory(accepted(found or resources()))
    store = SqliteStore(state / "databases")
    frontend_host, backend_host = (
        make_host("frontend", state, view, None),
        make_host("backend", state, view, store),
    )
    endpoint = ("127.0.0.1", ports["internal"])
    snapshot = make_snapshot(specs, {"ex01": endpoint}, has_certificate=has_certificate)
    frontend = frontend_transport.create(frontend_host, snapshot, 1)
    backend = transport.create(backend_host, snapshot, 1)
    running = Estate(state, view, store, frontend_host, backend_host, snapshot, frontend, backend, ports)
    await backend.start()
    await frontend.start()
    if has_transport:
        running.listening.append(await listen(backend, sockets["internal"], "internal"))
    else:
        sockets["internal"].close()
    for name, spec in specs.items():
        service = frontend if spec.transport_role == "FrontendTransport" else backend
        running.listening.append(await listen(service, sockets[name]))
    try:
        yield running
    finally:
        for server in running.listening:
            server.close()
        await running.frontend.close()
        await running.backend.close()
        await running.engine.close()
        frontend_host.authenticator.close()
        backend_host.authenticator.close()
        await store.close()


async def using(test: Callable[[], T]) -> T:
    """Run blocking client code beside the estate."""
    return await asyncio.to_thread(test)
