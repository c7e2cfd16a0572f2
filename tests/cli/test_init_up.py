"""A repository made by `reconcile init` runs as it stands, and its encrypted password opens the mailbox."""

from __future__ import annotations

import imaplib
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.age import IDENTITY_FILE
from reconciler.authoring.scaffold import scaffold
from reconciler.secret import SecretRef, resolve
from tests.support.ports import free_port
from tests.support.waiting import eventually


def on_free_ports(estate: Path) -> dict[str, int]:
    """Other ports than those of the files, which something else on this machine may use; by the old one."""
    ports: dict[str, int] = {}
    for file in estate.glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        found = set(re.findall(r"(?<=127\.0\.0\.1:)\d+|(?<=proxyTargetPort: )\d+", text))
        for port in sorted(found):
            ports[port] = free_port()
            text = text.replace(port, str(ports[port]))
        file.write_text(text, encoding="utf-8")
    return ports


def test_up_serves_a_new_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaffold(tmp_path / "mail", ())
    ports = on_free_ports(tmp_path / "mail" / "estate")
    identity, output = tmp_path / "mail" / "identity.txt", tmp_path / "output"
    monkeypatch.setenv(IDENTITY_FILE, str(identity))
    command = [sys.executable, "-m", "reconciler.cli.main", "--state", str(tmp_path / "state")]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--identity", str(identity), "up", str(tmp_path / "mail" / "estate")],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(
            lambda: "Waiting for a change." in output.read_text(),
            within=60,
            what="the end of the first apply",
        )
        log_on(tmp_path, ports["10993"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def log_on(root: Path, port: int) -> None:
    password = resolve(SecretRef("encrypted", str(root / "mail/estate/secrets/alice.age"))).reveal()
    trust = ssl.create_default_context(cafile=root / "state/servers/ex01/certificates/development.crt")
    trust.check_hostname = False
    with imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trust) as client:
        assert client.login("alice@contoso.example", password)[0] == "OK"
