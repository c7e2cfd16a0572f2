"""Estates of a given size, and a runtime of their own to hold them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RECONCILE = (sys.executable, "-m", "reconciler.cli.main")

_HEAD = "---\napiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"

_SERVER = """\
  fqdn: {server}.contoso.example
  site: dublin
  services:
    frontend-transport: {{startupType: Manual}}
    transport: {{startupType: Manual}}
"""

_SETTINGS = """\
  servers: [{server}]
  unencryptedOrTLSBindings: ["{address}:{plain}"]
  sslBindings: ["{address}:{tls}"]
  proxyTargetPort: {backend}
  loginType: SecureLogin
  maxConnectionsPerUser: 32
  maxConnections: 5000
  maxConnectionFromSingleIP: 200
  authenticatedConnectionTimeout: "00:20:00"
  preAuthenticatedConnectionTimeout: "00:00:45"
  protocolLogEnabled: true
  banner: The mail service of {server} is ready.
"""

_CONNECTOR = """\
  servers: [{server}]
  transportRole: FrontendTransport
  bindings: ["{address}:25"]
  authMechanism: [Tls]
  permissionGroups: [AnonymousUsers]
  maxMessageSize: 25MB
  maxRecipientsPerMessage: 100
  protocolLoggingLevel: Verbose
"""

_POLICY = """\
  popMaxConcurrency: 20
  popMaxBurst: 3600000
  popRechargeRate: 600000
  imapMaxConcurrency: 40
  imapMaxBurst: 3600000
  imapRechargeRate: 600000
  messageRateLimit: 30
"""

_MAILBOX = """\
  database: {database}
  primarySmtpAddress: {name}@contoso.example
  emailAddresses: ["SMTP:{name}@contoso.example", "smtp:{name}.two@contoso.example"]
  throttlingPolicy: {policy}
  imapEnabled: true
  popEnabled: false
  maxSendSize: 25MB
  maxReceiveSize: 36MB
"""


def _document(kind: str, name: str, body: str, **values: object) -> str:
    return _HEAD.format(kind=kind, name=name) + body.format(name=name, **values)


def _server(number: int) -> str:
    server = f"ex{number:03d}"
    # Every server has an address of its own in the loopback network; back ends share 127.0.0.1.
    address = f"127.{number // 250 + 1}.0.{number % 250 + 1}"
    return (
        _document("Server", server, _SERVER, server=server)
        + _document("MailboxDatabase", f"db{number:03d}", "  server: {server}\n", server=server)
        + _document(
            "ImapSettings", f"imap-{server}", _SETTINGS,
            server=server, address=address, plain=143, tls=993, backend=20000 + number,
        )
        + _document(
            "PopSettings", f"pop-{server}", _SETTINGS,
            server=server, address=address, plain=110, tls=995, backend=24000 + number,
        )
        + _document("ReceiveConnector", f"inbound-{server}", _CONNECTOR, server=server, address=address)
    )  # fmt: skip


def write_estate(directory: Path, size: int) -> None:
    """Write `size` resources: a server with its five for every fifty, policies, and mailboxes for the rest."""
    directory.mkdir(parents=True)
    servers = max(1, size // 50)
    policies = max(1, size // 100)
    for number in range(servers):
        (directory / f"ex{number:03d}.yaml").write_text(_server(number), encoding="utf-8")
    _write_many(directory / "policies.yaml", (
        _document("ThrottlingPolicy", f"policy{number:03d}", _POLICY) for number in range(policies)
    ))  # fmt: skip
    mailboxes = size - 5 * servers - policies
    for start in range(0, mailboxes, 100):
        _write_many(directory / f"mailboxes-{start:05d}.yaml", (
            _document(
                "Mailbox", f"user{number:05d}", _MAILBOX,
                database=f"db{number % servers:03d}", policy=f"policy{number % policies:03d}",
            )
            for number in range(start, min(start + 100, mailboxes))
        ))  # fmt: skip


def _write_many(path: Path, documents: Iterator[str]) -> None:
    path.write_text("".join(documents), encoding="utf-8")


@dataclass(frozen=True)
class Work:
    """A working directory with a state directory in it."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a `reconcile` subprocess needs to use this state."""
        return {"RECONCILE_STATE": str(self.root / "state")}

    def reconcile(self, *arguments: str, expect: int = 0) -> str:
        """Run a command to its end and return its output; RuntimeError with both outputs otherwise."""
        done = subprocess.run(
            [*RECONCILE, *arguments],
            cwd=self.root,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != expect:
            raise RuntimeError(
                f"reconcile {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout


@contextmanager
def running(root: Path) -> Iterator[Work]:
    """A runtime in the background, stopped at the end."""
    work = Work(root)
    work.reconcile("runtime", "start")
    try:
        yield work
    finally:
        work.reconcile("runtime", "stop")
