"""`reconcile up` as a process: it serves, follows its files, survives broken ones, and ends with its runtime."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.up import tell
from reconciler.daemon import notices
from reconciler.daemon.process import health_of
from reconciler.guardrails.files import SHIPPED
from reconciler.model import Diagnostic, Severity
from reconciler.state import StateDirectory
from tests.support import clients
from tests.support.estate import Ports, Runtime, write_estate
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Up:
    """A running `reconcile up` and the file that takes all it says."""

    process: subprocess.Popen[bytes]
    runtime: Runtime
    output: Path

    def said(self, text: str, *, times: int = 1) -> None:
        """Wait until it has said `text` so often."""
        eventually(
            lambda: self.output.read_text().count(text) >= times, within=60, what=f"{text!r} in the output"
        )

    def declare(self, limit: int) -> None:
        write_estate(self.runtime.directory, self.runtime.ports, max_connections_per_user=limit)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    runtime = Runtime(tmp_path / "estate", tmp_path / "state", Ports())
    write_estate(runtime.directory, runtime.ports)
    with running(runtime, tmp_path / "output", str(runtime.directory)) as found:
        yield found


@contextmanager
def running(runtime: Runtime, output: Path, *arguments: str) -> Iterator[Up]:
    """`reconcile up` with these arguments."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler.cli.main", "up", *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"RECONCILE_STATE": str(runtime.state)},
        )
    try:
        yield Up(process, runtime, output)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_up_serves_what_is_declared_and_says_where(up: Up) -> None:
    up.said("Waiting for a change.")
    text = up.output.read_text()
    assert f"127.0.0.1:{up.runtime.ports.imaps}" in text
    assert f"trust {up.runtime.certificate}" in text
    client = clients.imap(up.runtime, "alice")
    assert client.select("INBOX")[0] == "OK"
    client.logout()


def test_up_applies_when_a_file_changes(up: Up) -> None:
    up.said("Waiting for a change.")
    up.declare(32)
    up.said("Waiting for a change.", times=2)
    assert "maxConnectionsPerUser  16 -> 32" in up.output.read_text()
    up.runtime.reconcile("plan", str(up.runtime.directory), expect=0)


def test_up_survives_a_broken_file_and_keeps_the_last_good_configuration(up: Up) -> None:
    up.said("Waiting for a change.")
    (up.runtime.directory / "broken.yaml").write_text("kind: [\n")
    up.said("The files are broken: the last good configuration stays live.")
    assert "broken.yaml:" in up.output.read_text()
    clients.imap(up.runtime, "alice").logout()
    (up.runtime.directory / "broken.yaml").unlink()
    up.declare(32)
    up.said("Applied (", times=2)


def test_up_goes_on_after_an_apply_that_was_rolled_back(up: Up) -> None:
    up.said("Waiting for a change.")
    file = up.runtime.directory / "estate.yaml"
    good = file.read_text()
    file.write_text(good.replace(f"127.0.0.1:{up.runtime.ports.imaps}", "192.0.2.1:993"))
    up.said("everything was rolled back")
    file.write_text(good)
    up.said("Live is what the files declare.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_with_its_runtime(number: signal.Signals, up: Up) -> None:
    up.said("Waiting for a change.")
    up.process.send_signal(number)
    assert up.process.wait(60) == 0
    assert health_of(StateDirectory(up.runtime.state)) is None


def test_sessions_are_told_when_up_ends(up: Up) -> None:
    up.said("Waiting for a change.")
    client = clients.imap(up.runtime, "alice")
    up.process.send_signal(signal.SIGINT)
    assert client.file.readline().startswith(b"* BYE")
    client.shutdown()
    assert up.process.wait(60) == 0


def test_up_ends_when_its_runtime_dies(up: Up) -> None:
    up.said("Waiting for a change.")
    health = health_of(StateDirectory(up.runtime.state))
    assert health is not None
    os.kill(int(str(health["pid"])), signal.SIGKILL)
    assert up.process.wait(60) == 1
    assert "The runtime ended by itself" in up.output.read_text()


LAYER = """\
apiVersion: reconciler/v1
kind: Variables
metadata: {name: limits}
spec: {limit: {type: integer}}
---
apiVersion: reconciler/v1
kind: ThrottlingPolicy
metadata: {name: few}
spec: {imapMaxConcurrency: "${limit}"}
"""


def test_up_follows_the_base_and_the_chosen_overlay(tmp_path: Path) -> None:
    estate = tmp_path / "estate"
    runtime = Runtime(estate / "base", tmp_path / "state", Ports())
    write_estate(runtime.directory, runtime.ports)
    overlay = estate / "overlays" / "production"
    overlay.mkdir(parents=True)
    (overlay / "layer.yaml").write_text(LAYER)
    with running(runtime, tmp_path / "output", str(overlay), "--set", "limit=7") as up:
        up.said("Waiting for a change.")
        assert live(up, "ThrottlingPolicy/few")["imapMaxConcurrency"] == 7
        (overlay / "layer.yaml").write_text(LAYER.replace('}"}', '}", popMaxConcurrency: 5}'))
        up.said("Waiting for a change.", times=2)
        assert live(up, "ThrottlingPolicy/few")["popMaxConcurrency"] == 5
        up.declare(32)
        up.said("Waiting for a change.", times=3)
        assert live(up, "ImapSettings/ex01")["maxConnectionsPerUser"] == 32


def test_up_does_not_apply_what_a_guardrail_stands_against(up: Up) -> None:
    up.said("Waiting for a change.")
    policies = up.runtime.directory / "policies"
    policies.mkdir()
    shutil.copy(SHIPPED / "open-relay.yaml", policies)
    open_a_relay(up.runtime)
    up.said("Guardrails stand against the plan: nothing was changed.")
    assert "open-relay" in up.output.read_text()
    assert "ExternalAuthoritative" not in live(up, "ReceiveConnector/ex01/anonymous")["authMechanism"]


def test_up_asks_the_policies_that_it_is_given(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "estate", tmp_path / "state", Ports())
    write_estate(runtime.directory, runtime.ports)
    open_a_relay(runtime)
    with running(runtime, tmp_path / "output", "--policies", "shipped", str(runtime.directory)) as up:
        up.said("Guardrails stand against the plan: nothing was changed.")
        assert "open-relay" in up.output.read_text()


def open_a_relay(runtime: Runtime) -> None:
    """In the files."""
    file = runtime.directory / "estate.yaml"
    relay = "authMechanism: [Tls, ExternalAuthoritative]\n  permissionGroups: [ExchangeServers]"
    text = file.read_text().replace("authMechanism: [Tls]\n  permissionGroups: [AnonymousUsers]", relay)
    assert relay in text
    file.write_text(text)


def test_up_says_that_the_state_is_another_environments(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Diagnostic("other-environment", Severity.ERROR, "it was applied from production")
    tell(notices.Blocked((problem,), {}))
    told = capsys.readouterr().err
    assert "it was applied from production" in told
    assert told.endswith("The state belongs to another environment: nothing was changed.\n")


def test_up_waits_for_no_change_after_its_last_round(capsys: pytest.CaptureFixture[str]) -> None:
    tell(notices.Failed("the disk is full", None, is_last=True))
    assert capsys.readouterr().err == "Error: the disk is full\n"


def live(up: Up, name: str) -> dict[str, Any]:
    shown = up.runtime.reconcile("live", "get", name, "--format", "json")
    spec: dict[str, Any] = json.loads(shown.stdout)["spec"]
    return spec
