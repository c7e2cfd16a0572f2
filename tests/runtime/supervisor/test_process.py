"""The supervisor as a process: one a state directory, closed to others, gone without a trace."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.runtime.supervisor.process import (
    PopPorts,
    Supervisor,
    UnixConnection,
    declare_pop,
    greeting,
    running,
)
from tests.support.waiting import eventually


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def is_alive(pid: int) -> bool:
    """False also for a process that has ended and is only waiting to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_only_the_owner_can_reach_anything(supervisor: Supervisor) -> None:
    runtime = supervisor.state / "runtime"
    assert mode(runtime) == 0o700
    assert {mode(file) for file in runtime.iterdir()} == {0o600}


def test_a_generated_key_is_its_owners_alone(pop: Supervisor) -> None:
    certificates = pop.state / "servers" / "ex01" / "certificates"
    assert mode(certificates / "development.key") == 0o600
    assert mode(certificates) == 0o700


def test_a_second_supervisor_is_refused(supervisor: Supervisor) -> None:
    assert supervisor.process is not None
    second = Supervisor(supervisor.state)
    second.process = second.launch()
    _, text = second.process.communicate(timeout=60)
    assert second.process.returncode == 1
    assert f"process {supervisor.process.pid}" in text
    assert str(supervisor.state) in text
    assert supervisor.call("GET", "/v1/health").status == 200


def test_a_long_state_path_works(tmp_path: Path, ports: PopPorts) -> None:
    state = tmp_path / ("long" * 30) / ("path" * 30)
    with running(state) as supervisor:
        declare_pop(supervisor, ports)
        supervisor.restart("pop3")
        assert greeting(ports.clear).startswith("+OK")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything(pop: Supervisor, ports: PopPorts, number: signal.Signals) -> None:
    pid = pop.host("frontend")["pid"]
    assert pop.stop(number) == 0
    assert not is_alive(pid)
    assert not (pop.state / "runtime" / "control.sock").exists()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", ports.clear)) != 0


def test_shutdown_is_asked_for_over_the_api(pop: Supervisor) -> None:
    assert pop.call("POST", "/v1/shutdown").status == 202
    assert pop.wait() == 0


def test_a_stop_drains_sessions(pop: Supervisor, ports: PopPorts) -> None:
    with (
        socket.create_connection(("127.0.0.1", ports.clear), timeout=30) as client,
        client.makefile() as lines,
    ):
        lines.readline()
        assert pop.process is not None
        pop.process.send_signal(signal.SIGTERM)
        assert lines.readline().startswith("-ERR")
        assert lines.readline() == ""
    assert pop.wait() == 0


def test_a_second_signal_cuts_the_drain_short(pop: Supervisor, ports: PopPorts) -> None:
    pop.update("Server", "ex01", drainTimeout="01:00:00")
    with socket.create_connection(("127.0.0.1", ports.clear), timeout=60) as client:
        client.recv(100)
        assert pop.process is not None
        pop.process.send_signal(signal.SIGTERM)
        eventually(lambda: "service.stopped" in pop.log())
        pop.process.send_signal(signal.SIGTERM)
        assert pop.wait() == 0


def test_hosts_end_with_a_supervisor_that_is_killed(pop: Supervisor, ports: PopPorts) -> None:
    pid = pop.host("frontend")["pid"]
    assert pop.stop(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not is_alive(pid))
    with running(pop.state) as again:
        assert again.service("pop3")["state"] == "running"
        assert greeting(ports.clear).startswith("+OK")


def test_a_new_supervisor_waits_for_the_hosts_of_a_killed_one(pop: Supervisor, ports: PopPorts) -> None:
    pid = pop.host("frontend")["pid"]
    os.kill(pid, signal.SIGSTOP)
    pop.stop(signal.SIGKILL)
    second = Supervisor(pop.state)
    second.process = second.launch()
    try:
        threading.Timer(0.2, os.kill, (pid, signal.SIGCONT)).start()
        second.wait_until_ready()
        assert not is_alive(pid)
        assert greeting(ports.clear).startswith("+OK")
    finally:
        second.stop()


@contextmanager
def events(supervisor: Supervisor) -> Iterator[http.client.HTTPResponse]:
    """The stream of events, from now on."""
    connection = UnixConnection(supervisor.state / "runtime" / "control.sock")
    connection.request("GET", "/v1/events")
    with closing(connection), connection.getresponse() as response:
        yield response


def test_events_are_streamed(pop: Supervisor) -> None:
    with events(pop) as stream:
        assert stream.getheader("content-type") == "application/x-ndjson"
        pop.restart("pop3")
        event = json.loads(stream.readline())
    assert (event["event"], event["service"], event["generation"]) == ("service.started", "ex01/pop3", 2)
    assert event["time"].endswith("Z")


def test_a_stop_ends_the_stream_of_events(pop: Supervisor) -> None:
    with events(pop) as stream:
        pop.call("POST", "/v1/shutdown")
        names = [json.loads(line)["event"] for line in stream]
    assert names[0] == "runtime.stopping"
    assert names[-1] == "runtime.stopped"
    assert pop.wait() == 0


def test_metrics_show_sessions_and_generations(pop: Supervisor) -> None:
    text = pop.call("GET", "/metrics").body.decode()
    assert 'reconciler_service_up{server="ex01",service="pop3"} 1.0' in text
    assert 'reconciler_service_generation{server="ex01",service="pop3"} 1.0' in text


def test_the_health_mailbox_is_made_anew_at_each_start(pop: Supervisor, ports: PopPorts) -> None:
    first = pop.call("GET", "/v1/health-mailbox/ex01").body
    assert first["address"].startswith("HealthMailbox")
    assert first["address"].endswith("@ex01.contoso.example")
    assert first["database"] is None
    assert len(first["password"]) >= 43
    assert first["password"] not in pop.log()
    pop.stop()
    with running(pop.state) as again:
        assert again.call("GET", "/v1/health-mailbox/ex01").body["address"] != first["address"]


def test_the_health_mailbox_lies_in_the_servers_first_database(pop: Supervisor) -> None:
    for name in ("db02", "db01"):
        pop.create("MailboxDatabase", name, {"server": "ex01"})
    assert pop.call("GET", "/v1/health-mailbox/ex01").body["database"] == "db01"


def test_a_health_mailbox_of_an_unknown_server_is_404(supervisor: Supervisor) -> None:
    assert supervisor.call("GET", "/v1/health-mailbox/ex09").status == 404
