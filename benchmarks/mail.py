"""The running mail system, both hops counted: servers on one core, the load on the other.

Every figure goes through the front end, the hop, the back end and the store, as a client sees them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import peer
from benchmarks.estates import running
from benchmarks.process import memory_kib, pin
from benchmarks.results import Figure

USER, PASSWORD = "bob@contoso.example", "battery-staple-bob"
SERVER_CORE, LOAD_CORE = 0, 1
FIRST_SESSIONS, MORE_SESSIONS = 100, 400
PORTS = {"imap": 21143, "imaps": 21993, "pop": 21110, "pops": 21995, "smtp": 21025}

_ESTATE = """\
apiVersion: reconciler/v1
kind: Server
metadata: {name: ex01}
spec:
  fqdn: ex01.contoso.example
  services:
    imap4: {startupType: Automatic}
    imap4-backend: {startupType: Automatic}
    pop3: {startupType: Automatic}
    pop3-backend: {startupType: Automatic}
---
apiVersion: reconciler/v1
kind: MailboxDatabase
metadata: {name: db01}
spec: {server: ex01}
---
apiVersion: reconciler/v1
kind: Certificate
metadata: {name: bench}
spec: {servers: [ex01], selfSigned: {}, services: [IMAP, POP, SMTP]}
---
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {name: imap}
spec:
  servers: [ex01]
  unencryptedOrTLSBindings: ["127.0.0.1:21143"]
  sslBindings: ["127.0.0.1:21993"]
  proxyTargetPort: 22993
  loginType: PlainTextLogin
  maxConnectionsPerUser: 5000
---
apiVersion: reconciler/v1
kind: PopSettings
metadata: {name: pop}
spec:
  servers: [ex01]
  unencryptedOrTLSBindings: ["127.0.0.1:21110"]
  sslBindings: ["127.0.0.1:21995"]
  proxyTargetPort: 22995
  loginType: PlainTextLogin
  maxConnectionsPerUser: 5000
---
apiVersion: reconciler/v1
kind: AcceptedDomain
metadata: {name: contoso}
spec: {domainName: contoso.example, domainType: Authoritative}
---
apiVersion: reconciler/v1
kind: ReceiveConnector
metadata: {name: anonymous}
spec:
  servers: [ex01]
  transportRole: FrontendTransport
  bindings: ["127.0.0.1:21025"]
  authMechanism: [Tls]
  permissionGroups: [AnonymousUsers]
  maxInboundConnectionPerSource: Unlimited
---
apiVersion: reconciler/v1
kind: Mailbox
metadata: {name: bob}
spec:
  database: db01
  primarySmtpAddress: bob@contoso.example
  password: {secretRef: {file: secret}}
"""


@dataclass(frozen=True)
class _Side:
    """One server under load: where it listens, whom to trust, and the processes whose memory counts."""

    ports: dict[str, int]
    certificate: str
    pids: Callable[[], list[int]]


@dataclass(frozen=True)
class _Rate:
    """One load: its name, mode, port, what we want to reach, and the arguments of the generator."""

    work: str
    mode: str
    port: str
    target: float
    arguments: tuple[str, ...] = ()


_TEN = ("--clients", "10")
_LOGONS = (
    _Rate("IMAP logon + logout, 10 clients", "imap-logons", "imap", 6000, _TEN),
    _Rate("IMAP logon + logout, TLS, 10 clients", "imap-logons", "imaps", 1500, _TEN),
    _Rate("POP3 logon + quit, 10 clients", "pop-logons", "pop", 6000, _TEN),
)
_MESSAGES = (
    _Rate("FETCH 1:1000 (FLAGS UID RFC822.SIZE ENVELOPE), messages", "imap-fetch", "imap", 400_000),
    _Rate("APPEND 4 KiB, synced, 1 client", "imap-append", "imap", 2500),
    _Rate("APPEND 4 KiB, synced, 8 clients", "imap-append", "imap", 8000, ("--clients", "8")),
)
_SMTP = (
    _Rate("SMTP 4 KiB accepted, 1 session", "smtp", "smtp", 2500),
    _Rate("SMTP 4 KiB accepted, 20 sessions", "smtp", "smtp", 8000, ("--clients", "20")),
)


def run(*, seconds: float = 5.0) -> Iterator[Figure]:
    """Start a runtime, load it, measure it, stop it; the same against Dovecot where it is installed."""
    with _sides() as (ours, theirs):
        yield from _figures(ours, theirs, seconds)
    # Memory that was used and freed would be used again and hide the cost of a session: a fresh start for each figure.
    for name, port, target in (("plain", "imap", 25.0), ("TLS", "imaps", 45.0)):
        with _sides() as (ours, theirs):
            work = f"idle IMAP session, {name}, both hops"
            value, other = _idle(ours, port), _idle(theirs, port) if theirs else None
            yield Figure("memory", work, value, "KiB", target, lower_is_better=True, peer=other)


@contextmanager
def _sides() -> Iterator[tuple[_Side, _Side | None]]:
    """Our runtime with the benchmark's estate, and Dovecot with the same certificate when it is installed."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work = stack.enter_context(running(root))
        (root / "estate").mkdir()
        (root / "estate" / "estate.yaml").write_text(_ESTATE, encoding="utf-8")
        (root / "estate" / "secret").write_text(PASSWORD, encoding="utf-8")
        work.reconcile("apply", "estate", "--yes")
        pids = _host_pids(json.loads(work.reconcile("status", "--format", "json")))
        pin(pids, SERVER_CORE)
        certificate = root / "state" / "servers" / "ex01" / "certificates" / "bench.crt"
        ours = _Side(PORTS, str(certificate), lambda: pids)
        if not peer.is_available():
            yield ours, None
            return
        key = str(certificate.with_suffix(".key"))
        dovecot = stack.enter_context(
            peer.running(certificate=ours.certificate, key=key, password=PASSWORD, core=SERVER_CORE)
        )
        yield ours, _Side(dovecot.ports, dovecot.certificate, dovecot.pids)


def _figures(ours: _Side, theirs: _Side | None, seconds: float) -> Iterator[Figure]:
    for rate in _LOGONS:
        yield _compared(rate, ours, theirs, seconds)
    for side in filter(None, (ours, theirs)):
        _load(side, "imap-seed", "imap", "--count", "1000")
    for rate in _MESSAGES:
        yield _compared(rate, ours, theirs, seconds)
    for rate in _SMTP:
        yield _compared(rate, ours, None, seconds)


def _compared(rate: _Rate, ours: _Side, theirs: _Side | None, seconds: float) -> Figure:
    arguments = ("--seconds", str(seconds), *rate.arguments)
    other = _load(theirs, rate.mode, rate.port, *arguments) if theirs else None
    return Figure(
        "mail", rate.work, _load(ours, rate.mode, rate.port, *arguments), "/s", rate.target, peer=other
    )


def _load(side: _Side, mode: str, port: str, *arguments: str) -> float:
    done = subprocess.run(
        _command(side, mode, port, *arguments), check=True, stdout=subprocess.PIPE, text=True
    )
    return float(json.loads(done.stdout)["rate"])


def _idle(side: _Side, port: str) -> float:
    """Memory that one more idle session costs in all processes together, in KiB (PSS): some sessions are there already
    and have paid what is paid once; more come, and the difference is theirs."""
    with _holding(side, port, FIRST_SESSIONS):
        before = memory_kib(side.pids())
        with _holding(side, port, MORE_SESSIONS):
            return (memory_kib(side.pids()) - before) / MORE_SESSIONS


@contextmanager
def _holding(side: _Side, port: str, sessions: int) -> Iterator[None]:
    """Hold this many sessions in IDLE."""
    command = _command(side, "imap-idle", port, "--clients", str(sessions))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        if load.stdout is None or load.stdout.readline().strip() != "holding":
            raise RuntimeError("the load generator could not open its sessions")
        yield
        load.communicate(input="")


def _command(side: _Side, mode: str, port: str, *arguments: str) -> list[str]:
    load = [sys.executable, "-m", "benchmarks.load", mode, "--port", str(side.ports[port])]
    trust = ["--ca", side.certificate] if port == "imaps" else []
    return [*load, "--core", str(LOAD_CORE), "--user", USER, "--password", PASSWORD, *trust, *arguments]


def _host_pids(status: dict[str, Any]) -> list[int]:
    return [int(host["pid"]) for server in status["servers"] for host in server["hosts"]]
