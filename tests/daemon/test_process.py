"""`reconcile daemon` as processes on a real runtime: it heals, hands over, listens to signals, and does not die."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import queue
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.estate import Runtime, write_estate
from tests.support.waiting import eventually

VARIABLES = """\
apiVersion: reconciler/v1
kind: Variables
metadata: {name: limits}
spec: {limit: {type: integer}}
"""
PATCH = """\
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {name: imap}
spec: {maxConnectionsPerUser: "${limit}"}
"""


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


def test_a_saved_overlay_is_told_at_once(
    start: Callable[..., Daemon], runtime: Runtime, tmp_path: Path
) -> None:
    write_estate(runtime.directory, runtime.ports)
    shutil.copytree(runtime.directory, tmp_path / "mail" / "base")
    overlay = tmp_path / "mail" / "overlays" / "test"
    overlay.mkdir(parents=True)
    (overlay / "variables.yaml").write_text(VARIABLES)
    (overlay / "imap.yaml").write_text(PATCH)
    daemon = start("--environment", "test", "--set", "limit=16", estate=tmp_path / "mail")
    daemon.said("in-sync")
    (overlay / "imap.yaml").write_text(PATCH.replace('"}', '", banner: Hello}'))
    event = daemon.said("plan")
    assert event["quick"]
    assert [(one["resource"], one["fields"]) for one in event["changes"]] == [
        ("ImapSettings/ex01", ["banner"])
    ]


def test_a_secret_outside_that_was_missing_is_applied_once_it_is_there(
    start: Callable[..., Daemon], runtime: Runtime
) -> None:
    file, secret = runtime.directory / "estate.yaml", runtime.directory.parent / "alice.sec"
    file.write_text(file.read_text().replace("file: secrets/alice", "file: ../alice.sec"))
    daemon = start("--interval", "1h", "--mode", "heal")
    assert "alice.sec" in daemon.said("configuration-broken")["text"]
    secret.write_text("another-horse-alice\n")
    assert "Mailbox/alice" in daemon.said("applied")["text"]


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


@contextmanager
def stopped(runtime: Runtime) -> Iterator[None]:
    """The runtime hangs: it takes connections and answers nobody."""
    pid = int(runtime.status()["runtime"]["pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def threads(daemon: Daemon) -> set[str]:
    return {task.name for task in Path(f"/proc/{daemon.process.pid}/task").iterdir()}


@pytest.mark.parametrize("mode", ["report", "heal"])
@pytest.mark.parametrize("what", ["a round", "a saved file"])
def test_sigterm_ends_it_although_the_runtime_hangs(
    start: Callable[..., Daemon], runtime: Runtime, mode: str, what: str
) -> None:
    """It does not wait until the question is given up, which would be told."""
    daemon = start("--mode", mode, "--interval", "1h")
    daemon.said("in-sync")
    before = threads(daemon)
    with stopped(runtime):
        if what == "a round":
            daemon.look_now()
        else:
            write_estate(runtime.directory, runtime.ports, max_connections_per_user=32)
        eventually(lambda: threads(daemon) - before, what="a question")
        assert daemon.end() == 0
    assert not daemon.events("failed")
    assert limit(runtime) == 16


def test_sigterm_ends_it_although_the_runtime_hung_from_the_start(
    start: Callable[..., Daemon], runtime: Runtime
) -> None:
    with stopped(runtime):
        daemon = start()
        daemon.said("leading")
        assert daemon.end() == 0
    assert not daemon.events("failed")


def test_a_release_is_asked_for_by_the_same_verb(start: Callable[..., Daemon], runtime: Runtime) -> None:
    daemon = start("--mode", "heal")
    daemon.said("in-sync")
    runtime.reconcile("daemon", "--release", "all")
    daemon.said("released")


def test_the_service_manager_hears_of_its_start_and_its_end(start: Callable[..., Daemon]) -> None:
    name = f"reconciler-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(60)
        daemon = start(NOTIFY_SOCKET=f"@{name}")
        heard = [manager.recv(4096)]
        while b"READY=1" not in heard[-1]:
            heard.append(manager.recv(4096))
        daemon.process.send_signal(signal.SIGTERM)
        while b"STOPPING=1" not in heard[-1]:
            heard.append(manager.recv(4096))
        assert daemon.process.wait(60) == 0


def test_events_arrive_signed_at_the_webhook(start: Callable[..., Daemon], runtime: Runtime) -> None:
    came: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.put((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}/hook"
            secret = ("--webhook-secret-ref", "env:SIGNING_SECRET")
            daemon = start("--webhook", address, *secret, SIGNING_SECRET="a signing secret")
            daemon.said("in-sync")
            write_estate(runtime.directory, runtime.ports, max_connections_per_user=32)
            messages = [came.get(timeout=60)]
            while json.loads(messages[-1][1])["event"] != "plan":
                messages.append(came.get(timeout=60))
        finally:
            server.shutdown()
            thread.join()
    headers, body = messages[-1]
    signed = headers["X-Reconciler-Timestamp"].encode() + b"." + body
    signature = hmac.new(b"a signing secret", signed, hashlib.sha256).hexdigest()
    assert headers["X-Reconciler-Signature"] == f"sha256={signature}"
