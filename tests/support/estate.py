"""A small estate on free ports, and the real runtime that runs it.

`write_estate` is a builder: it writes the YAML of one server. `Runtime` drives the installed command in subprocesses,
as a user would.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

PASSWORDS = {"alice": "correct-horse-alice", "bob": "battery-staple-bob"}
DOMAIN = "contoso.example"

_ESTATE = """\
apiVersion: reconciler/v1
kind: Server
metadata: {{name: ex01, labels: {{site: dublin}}}}
spec:
  fqdn: ex01.contoso.example
  drainTimeout: {drain_timeout}
  services:
    imap4: {{startupType: Automatic}}
    imap4-backend: {{startupType: Automatic}}
    pop3: {{startupType: Automatic}}
    pop3-backend: {{startupType: Automatic}}
---
apiVersion: reconciler/v1
kind: MailboxDatabase
metadata: {{name: db01}}
spec: {{server: ex01}}
---
apiVersion: reconciler/v1
kind: Certificate
metadata: {{name: development}}
spec: {{servers: [ex01], selfSigned: {{}}, services: [IMAP, POP, SMTP]}}
---
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {{name: imap}}
spec:
  servers: [ex01]
  unencryptedOrTLSBindings: ["127.0.0.1:{imap}"]
  sslBindings: ["127.0.0.1:{imaps}"]
  proxyTargetPort: {imap_backend}
  maxConnectionsPerUser: {max_connections_per_user}
  protocolLogEnabled: true
---
apiVersion: reconciler/v1
kind: PopSettings
metadata: {{name: pop}}
spec:
  servers: [ex01]
  unencryptedOrTLSBindings: ["127.0.0.1:{pop}"]
  sslBindings: ["127.0.0.1:{pops}"]
  proxyTargetPort: {pop_backend}
  maxConnectionsPerUser: {max_connections_per_user}
  protocolLogEnabled: true
---
apiVersion: reconciler/v1
kind: AcceptedDomain
metadata: {{name: contoso}}
spec: {{domainName: contoso.example, domainType: Authoritative}}
---
apiVersion: reconciler/v1
kind: ReceiveConnector
metadata: {{name: client}}
spec:
  servers: [ex01]
  transportRole: FrontendTransport
  bindings: ["127.0.0.1:{submission}"]
  authMechanism: [Tls, BasicAuth, BasicAuthRequireTLS]
  permissionGroups: [ExchangeUsers]
---
apiVersion: reconciler/v1
kind: ReceiveConnector
metadata: {{name: anonymous}}
spec:
  servers: [ex01]
  transportRole: FrontendTransport
  bindings: ["127.0.0.1:{smtp}"]
  authMechanism: [Tls]
  permissionGroups: [AnonymousUsers]
  tarpitInterval: "00:00:00"
"""

_MAILBOX = """\
---
apiVersion: reconciler/v1
kind: Mailbox
metadata: {{name: {name}}}
spec:
  database: db01
  primarySmtpAddress: {name}@contoso.example
  password: {{secretRef: {{file: secrets/{name}}}}}
"""


@dataclass(frozen=True)
class Ports:
    """Where the estate listens, all on 127.0.0.1."""

    imap: int = field(default_factory=free_port)
    imaps: int = field(default_factory=free_port)
    imap_backend: int = field(default_factory=free_port)
    pop: int = field(default_factory=free_port)
    pops: int = field(default_factory=free_port)
    pop_backend: int = field(default_factory=free_port)
    smtp: int = field(default_factory=free_port)
    submission: int = field(default_factory=free_port)


def write_estate(
    directory: Path, ports: Ports, *, max_connections_per_user: int = 16, drain_timeout: str = "5s"
) -> None:
    """Write one server with alice and bob into `directory`; writing again changes what differs."""
    (directory / "secrets").mkdir(parents=True, exist_ok=True)
    text = _ESTATE.format(
        **vars(ports), max_connections_per_user=max_connections_per_user, drain_timeout=drain_timeout
    )
    for name, password in PASSWORDS.items():
        text += _MAILBOX.format(name=name)
        (directory / "secrets" / name).write_text(password + "\n", encoding="utf-8")
    (directory / "estate.yaml").write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Runtime:
    """An estate directory, a state directory, and the command that joins them."""

    directory: Path
    state: Path
    ports: Ports

    def reconcile(self, *arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `reconcile ARGUMENTS`; AssertionError with all output when the exit code is not `expect`."""
        done = subprocess.run(
            [sys.executable, "-m", "reconciler.cli.main", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.directory.parent,
            env=os.environ | {"RECONCILE_STATE": str(self.state)},
            stdin=subprocess.DEVNULL,
        )
        assert expect is None or done.returncode == expect, (
            f"reconcile {' '.join(arguments)} exited {done.returncode}, expected {expect}\n"
            f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}\n--- log\n{self.log()}"
        )
        return done

    def apply(self, **changes: Any) -> subprocess.CompletedProcess[str]:
        """Write the estate with `changes` (see `write_estate`) and apply it."""
        write_estate(self.directory, self.ports, **changes)
        return self.reconcile("apply", str(self.directory), "--yes")

    def status(self) -> dict[str, Any]:
        """`reconcile status --format json`, parsed."""
        status: dict[str, Any] = json.loads(self.reconcile("status", "--format", "json").stdout)
        return status

    def service(self, name: str) -> dict[str, Any]:
        """The status of one service of ex01."""
        services: list[dict[str, Any]] = self.status()["servers"][0]["services"]
        return next(row for row in services if row["service"] == name)

    def host_pid(self, role: str) -> int:
        """Process id of the "frontend" or "backend" host of ex01."""
        return next(int(row["pid"]) for row in self.status()["servers"][0]["hosts"] if row["role"] == role)

    def log(self) -> str:
        """What the runtime wrote to its log so far."""
        path = self.state / "runtime" / "supervisor.log"
        return path.read_text(encoding="utf-8", errors="replace")[-8000:] if path.exists() else "(no log)"

    @property
    def certificate(self) -> Path:
        """The PEM file that clients trust."""
        return self.state / "servers" / "ex01" / "certificates" / "development.crt"

    def tls(self) -> ssl.SSLContext:
        """A client context that verifies the certificate and the host name."""
        return ssl.create_default_context(cafile=str(self.certificate))


def start_runtime(root: Path) -> Runtime:
    """Start a runtime in the background under `root` with nothing applied; the caller stops it."""
    directory = root / "estate"
    runtime = Runtime(directory, root / "state", Ports())
    write_estate(directory, runtime.ports)
    runtime.reconcile("runtime", "start")
    return runtime
