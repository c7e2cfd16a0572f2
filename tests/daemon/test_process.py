"""`reconcile daemon` as processes on a real runtime: it heals, hands over, listens to signals, and does not die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.estate import Runtime, start_runtime, write_estate
from tests.support.waiting import eventually

DAEMON = (sys.executable, "-m", "reconciler.cli.main", "daemon", "--log-format", "ndjson")


@dataclass(frozen=True)
class Daemon:
    """A running daemon and the file that takes its events."""

    process: subprocess.Popen[bytes]
    output: Path

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.output.read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def said(self, name: str, *, times: int = 1) -> dict[str, Any]:
        """Wait until it has told of this event so often; the last of them."""
        eventually(lambda: len(self.events(name)) >= times, within=60, what=f"{times} times {name}")
        return self.events(name)[-1]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    found = start_runtime(tmp_path_factory.mktemp("daemon"))
    found.reconcile("apply", str(found.directory), "--yes")
    try:
        yield found
    finally:
        found.reconcile("runtime", "stop", expect=None)


@pytest.fixture
def start(runtime: Runtime, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons on the runtime's state; all are gone at the end, and the estate is as it was."""
    daemons: list[Daemon] = []

    def run(*options: str) -> Daemon:
        output = tmp_path / f"events-{len(daemons)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*DAEMON, str(runtime.directory), *options],
                stdout=file,
                env=os.environ | {"RECONCILE_STATE": str(runtime.state)},
            )
        daemons.append(Daemon(process, output))
        return daemons[-1]

    yield run
    for daemon in daemons:
        daemon.process.kill()
        daemon.process.wait()
    runtime.apply()


def limit(runtime: Runtime) -> object:
    shown = json.loads(runtime.reconcile("live", "get", "ImapSettings/ex01", "--format", "json").stdout)
    return shown["spec"]["maxConnectionsPerUser"]


def change_by_hand(runtime: Runtime, value: int) -> None:
    runtime.reconcile("live", "set", "ImapSettings/ex01", f"maxConnectionsPerUser={value}")


def test_a_saved_file_is_told_and_nothing_is_changed(start: Callable[..., Daemon], runtime: Runtime) -> None:
    daemon = start()
    daemon.said("in-sync")
    write_estate(runtime.directory, runtime.ports, max_connections_per_user=32)
    event = daemon.said("plan")
    assert {change["resource"] for change in event["changes"]} == {"ImapSettings/ex01", "PopSettings/ex01"}
    assert not any(change["drift"] for change in event["changes"])
    assert limit(runtime) == 16


def test_drift_is_healed_when_it_is_asked_to(start: Callable[..., Daemon], runtime: Runtime) -> None:
    daemon = start("--mode", "heal", "--interval", "1h")
    daemon.said("in-sync")
    change_by_hand(runtime, 99)
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.said("applied")["drifted"] == ["ImapSettings/ex01"]
    assert limit(runtime) == 16


def test_sigterm_ends_it_well_and_frees_the_lease(start: Callable[..., Daemon]) -> None:
    daemon = start()
    daemon.said("in-sync")
    assert daemon.end() == 0
    start().said("in-sync")


def test_a_standby_takes_over_from_one_that_was_killed(
    start: Callable[..., Daemon], runtime: Runtime
) -> None:
    first = start("--mode", "heal")
    first.said("in-sync")
    second = start("--mode", "heal", "--interval", "1h")
    assert str(first.process.pid) in second.said("standby")["holder"]
    first.process.kill()
    first.process.wait()
    assert second.said("leading")["token"] == first.events("leading")[0]["token"] + 1
    second.said("in-sync")
    change_by_hand(runtime, 99)
    second.process.send_signal(signal.SIGHUP)
    second.said("applied")
    assert limit(runtime) == 16


def test_one_that_hangs_is_taken_over_and_ends_when_it_wakes(start: Callable[..., Daemon]) -> None:
    first = start("--mode", "heal", "--lease-ttl", "2s")
    first.said("in-sync")
    first.process.send_signal(signal.SIGSTOP)
    second = start("--mode", "heal", "--lease-ttl", "2s")
    second.said("leading")
    first.process.send_signal(signal.SIGCONT)
    assert first.process.wait(60) == 1
    first.said("lease-lost")
    second.said("in-sync")


def test_a_second_one_that_may_not_wait_ends_with_1(start: Callable[..., Daemon], runtime: Runtime) -> None:
    first = start()
    first.said("leading")
    done = runtime.reconcile("daemon", str(runtime.directory), "--no-wait", expect=1)
    assert f"process {first.process.pid}" in done.stderr


def test_a_runtime_that_goes_away_and_comes_back_is_survived(
    start: Callable[..., Daemon], runtime: Runtime
) -> None:
    daemon = start("--interval", "1s")
    daemon.said("in-sync")
    runtime.reconcile("runtime", "stop")
    daemon.said("failed")
    runtime.reconcile("runtime", "start")
    change_by_hand(runtime, 99)

    def has_told_drift() -> bool:
        return any(change["drift"] for event in daemon.events("plan") for change in event["changes"])

    eventually(has_told_drift, within=60, what="the drift")


def test_a_release_is_asked_for_by_the_same_verb(start: Callable[..., Daemon], runtime: Runtime) -> None:
    daemon = start("--mode", "heal")
    daemon.said("in-sync")
    runtime.reconcile("daemon", "--release", "all")
    daemon.said("released")
