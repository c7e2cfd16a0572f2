"""Services, generations and hosts of a real supervisor, seen by real POP3 clients."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.runtime.supervisor.process import PopPorts, Supervisor, binding, declare_pop, greeting, running
from tests.support.ports import free_port
from tests.support.waiting import eventually


class Clients:
    """Clients that connect and read the greeting again and again, each in its thread, and what they saw."""

    def __init__(self, port: int, count: int) -> None:
        self.greeted = 0
        self.failures: list[str] = []
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop) for _ in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int = 20) -> None:
        """Wait until so many more greetings were read."""
        wanted = self.greeted + count
        eventually(lambda: self.greeted >= wanted or self.failures, what="more greetings")

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                line = greeting(self._port)
            except OSError as error:
                self.failures.append(repr(error))
                return
            if not line.startswith("+OK"):
                self.failures.append(line)
                return
            self.greeted += 1


def test_a_write_starts_nothing(supervisor: Supervisor, ports: PopPorts) -> None:
    declare_pop(supervisor, ports)
    service = supervisor.service("pop3")
    assert (service["state"], service["generation"], service["listening"]) == ("stopped", 0, [])
    assert service["pending"]["action"] == "start"
    assert service["pending"]["causes"] == [
        {"kind": "Server", "name": "ex01", "fields": ["services.pop3.startupType"]}
    ]
    assert supervisor.status()["pendingRestarts"] == ["ex01/pop3"]


def test_a_started_service_tells_where_it_listens(pop: Supervisor, ports: PopPorts) -> None:
    service = pop.service("pop3")
    assert (service["state"], service["generation"], service["pending"]) == ("running", 1, None)
    assert service["pid"] == pop.host("frontend")["pid"]
    assert service["listening"] == [
        {"address": binding(ports.clear), "tls": "starttls", "purpose": "clients"},
        {"address": binding(ports.tls), "tls": "implicit", "purpose": "clients"},
    ]
    assert greeting(ports.clear).startswith("+OK")


def test_a_host_is_started_only_for_a_service(pop: Supervisor) -> None:
    assert pop.host("frontend")["state"] == "running"
    assert pop.host("backend") == {"role": "backend", "pid": None, "state": "stopped", "restarts": 0}


def test_a_restart_is_a_new_generation_in_the_same_host(pop: Supervisor) -> None:
    pid = pop.host("frontend")["pid"]
    answer = pop.restart("pop3")
    assert (answer["previousGeneration"], answer["generation"], answer["state"]) == (1, 2, "running")
    assert pop.host("frontend")["pid"] == pid


def test_an_unknown_service_is_404(pop: Supervisor) -> None:
    answer = pop.call("POST", "/v1/services/ex01/pop4/restart")
    assert answer.status == 404
    assert "no service ex01/pop4" in answer.body["error"]


def test_no_client_is_refused_over_restarts(pop: Supervisor, ports: PopPorts) -> None:
    with Clients(ports.clear, 8) as clients:
        for _ in range(5):
            clients.more()
            pop.restart("pop3")
        clients.more()
    assert clients.failures == []
    assert pop.service("pop3")["generation"] == 6


def test_a_drained_session_is_told_and_counted(pop: Supervisor, ports: PopPorts) -> None:
    with (
        socket.create_connection(("127.0.0.1", ports.clear), timeout=30) as client,
        client.makefile() as lines,
    ):
        lines.readline()
        assert pop.restart("pop3")["drainingSessions"] == 1
        assert pop.service("pop3")["drainingSessions"] == 1
        assert lines.readline().startswith("-ERR")
    eventually(lambda: pop.service("pop3")["drainingSessions"] == 0)


def test_a_reload_leaves_sessions_alone(pop: Supervisor, ports: PopPorts) -> None:
    with (
        socket.create_connection(("127.0.0.1", ports.clear), timeout=30) as client,
        client.makefile() as lines,
    ):
        lines.readline()
        assert pop.restart("pop3", "reload")["drainingSessions"] == 1
        client.sendall(b"CAPA\r\n")
        assert lines.readline().startswith("+OK")
        assert pop.service("pop3")["drainingSessions"] == 1
    eventually(lambda: pop.service("pop3")["drainingSessions"] == 0)


def test_a_changed_field_is_pending_until_the_restart(pop: Supervisor, ports: PopPorts) -> None:
    pop.update("PopSettings", "ex01", banner="Hello")
    assert "Hello" not in greeting(ports.clear)
    pending = pop.service("pop3")["pending"]
    assert (pending["action"], pending["impact"]) == ("restart", "restart")
    assert {"kind": "PopSettings", "name": "ex01", "fields": ["banner"]} in pending["causes"]
    pop.restart("pop3")
    assert pop.service("pop3")["pending"] is None
    assert greeting(ports.clear) == "+OK Hello"


def test_a_change_that_is_taken_back_is_not_pending(pop: Supervisor) -> None:
    before = pop.call("GET", "/v1/resources/PopSettings/ex01").body["spec"]["banner"]
    pop.update("PopSettings", "ex01", banner="Hello")
    pop.update("PopSettings", "ex01", banner=before)
    assert pop.service("pop3")["pending"] is None


def test_a_changed_certificate_asks_for_a_reload(pop: Supervisor) -> None:
    pop.update("Certificate", "ex01/development", selfSigned={"validDays": 30})
    assert pop.service("pop3")["pending"]["action"] == "reload"
    old = pop.status()["servers"][0]["certificates"][0]["thumbprint"]
    pop.restart("pop3", "reload")
    assert pop.status()["servers"][0]["certificates"][0]["thumbprint"] != old
    assert pop.service("pop3")["pending"] is None


def test_a_field_without_impact_is_not_pending(pop: Supervisor) -> None:
    pop.update("Server", "ex01", drainTimeout="00:00:01")
    assert pop.service("pop3")["pending"] is None


def test_a_service_that_is_no_longer_automatic_is_stopped(pop: Supervisor, ports: PopPorts) -> None:
    services = pop.call("GET", "/v1/resources/Server/ex01").body["spec"]["services"]
    pop.update("Server", "ex01", services=services | {"pop3": {"startupType": "Manual"}})
    assert pop.service("pop3")["pending"]["action"] == "stop"
    assert pop.restart("pop3")["state"] in ("stopped", "draining")
    eventually(lambda: pop.service("pop3")["state"] == "stopped")
    assert pop.service("pop3")["listening"] == []
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", ports.clear)) != 0


def test_bindings_change_with_the_restart(pop: Supervisor, ports: PopPorts) -> None:
    port = free_port()
    pop.update("PopSettings", "ex01", unencryptedOrTLSBindings=[binding(port)])
    pop.restart("pop3")
    assert greeting(port).startswith("+OK")
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", ports.clear)) != 0


def test_a_port_that_is_taken_keeps_the_old_generation(pop: Supervisor, ports: PopPorts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = binding(other.getsockname()[1])
        pop.update("PopSettings", "ex01", unencryptedOrTLSBindings=[binding(ports.clear), taken])
        answer = pop.call("POST", "/v1/services/ex01/pop3/restart")
    assert answer.status == 409
    assert f"{taken} cannot be bound for ex01/pop3: Address already in use" in answer.body["error"]
    service = pop.service("pop3")
    assert (service["state"], service["generation"], service["lastError"]) == (
        "running",
        1,
        answer.body["error"],
    )
    assert greeting(ports.clear).startswith("+OK")
    pop.restart("pop3")
    assert pop.service("pop3")["lastError"] is None


def test_an_error_is_over_when_the_values_from_before_are_back(pop: Supervisor, ports: PopPorts) -> None:
    before = pop.call("GET", "/v1/resources/PopSettings/ex01").body["spec"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = binding(other.getsockname()[1])
        pop.update("PopSettings", "ex01", unencryptedOrTLSBindings=[binding(ports.clear), taken])
        assert pop.call("POST", "/v1/services/ex01/pop3/restart").status == 409
    pop.update("PopSettings", "ex01", banner="still owed")
    assert "cannot be bound" in pop.service("pop3")["lastError"]
    pop.update("PopSettings", "ex01", **before)
    service = pop.service("pop3")
    assert (service["pending"], service["lastError"], service["generation"]) == (None, None, 1)


def test_a_key_that_others_can_read_keeps_the_old_generation(pop: Supervisor, ports: PopPorts) -> None:
    key = pop.state / "servers" / "ex01" / "certificates" / "development.key"
    key.chmod(0o640)
    answer = pop.call("POST", "/v1/services/ex01/pop3/restart")
    assert answer.status == 409
    assert f"chmod 600 {key}" in answer.body["error"]
    assert pop.service("pop3")["state"] == "running"
    assert greeting(ports.clear).startswith("+OK")


def test_a_killed_host_comes_back_with_its_services_and_refuses_nobody(
    pop: Supervisor, ports: PopPorts
) -> None:
    host = pop.host("frontend")
    pop.update("PopSettings", "ex01", banner="not yet")
    os.kill(host["pid"], signal.SIGKILL)
    assert greeting(ports.clear).startswith("+OK")
    eventually(lambda: pop.service("pop3")["state"] == "running")
    again = pop.host("frontend")
    assert again["restarts"] == 1
    assert again["pid"] != host["pid"]
    assert "not yet" not in greeting(ports.clear)
    assert pop.service("pop3")["pending"]["action"] == "restart"


@contextmanager
def nothing_can_be_logged(supervisor: Supervisor) -> Iterator[None]:
    """No host can be started meanwhile: what it would print has nowhere to go."""
    log = supervisor.state / "runtime" / "supervisor.log"
    kept = log.rename(log.with_name("kept"))
    log.mkdir()
    try:
        yield
    finally:
        log.rmdir()
        kept.rename(log)


def kill_host(supervisor: Supervisor) -> None:
    os.kill(supervisor.host("frontend")["pid"], signal.SIGKILL)


def test_a_host_that_the_system_refuses_to_start_comes_back(pop: Supervisor, ports: PopPorts) -> None:
    with nothing_can_be_logged(pop):
        kill_host(pop)
        eventually(lambda: "cannot be started" in (pop.service("pop3")["lastError"] or ""))
    eventually(lambda: pop.service("pop3")["state"] == "running")
    assert pop.service("pop3")["lastError"] is None
    assert greeting(ports.clear).startswith("+OK")


def test_a_service_without_a_process_is_owed_a_start_and_gets_it(pop: Supervisor, ports: PopPorts) -> None:
    with nothing_can_be_logged(pop):
        kill_host(pop)
        eventually(lambda: "cannot be started" in (pop.service("pop3")["lastError"] or ""))
        assert pop.service("pop3")["pending"]["action"] == "start"
        refused = pop.call("POST", "/v1/services/ex01/pop3/restart")
        assert (refused.status, "Is a directory" in refused.body["error"]) == (409, True)
    assert pop.restart("pop3")["state"] == "running"
    assert pop.service("pop3")["pending"] is None


def test_sessions_are_counted(pop: Supervisor, ports: PopPorts) -> None:
    with socket.create_connection(("127.0.0.1", ports.clear), timeout=30) as client:
        client.recv(100)
        assert pop.service("pop3")["sessions"] == 1
        assert pop.status()["sessions"] == 1


def test_automatic_services_start_with_the_supervisor(tmp_path: Path, ports: PopPorts) -> None:
    with running(tmp_path / "state") as first:
        declare_pop(first, ports, banner="Kept")
        assert first.stop() == 0
    with running(tmp_path / "state") as second:
        assert greeting(ports.clear) == "+OK Kept"
        assert second.service("pop3")["pending"] is None


def test_a_service_that_cannot_start_does_not_keep_the_supervisor_from_running(
    tmp_path: Path, ports: PopPorts
) -> None:
    with running(tmp_path / "state") as first:
        declare_pop(first, ports)
        first.stop()
    with socket.create_server(("127.0.0.1", ports.clear)), running(tmp_path / "state") as second:
        service = second.service("pop3")
        assert (service["state"], service["pending"]["action"]) == ("failed", "start")
        assert "Address already in use" in service["lastError"]


def test_a_server_that_is_no_longer_declared_loses_its_host(pop: Supervisor) -> None:
    for kind, name in (("PopSettings", "ex01"), ("Certificate", "ex01/development"), ("Server", "ex01")):
        found = pop.call("GET", f"/v1/resources/{kind}/{name}").body
        pop.call("DELETE", f"/v1/resources/{kind}/{name}", If_Match=str(found["revision"]))
    assert pop.service("pop3")["pending"]["action"] == "stop"
    pop.restart("pop3")
    eventually(lambda: pop.status()["servers"] == [])
    eventually(lambda: "host.stopped" in pop.log())


def test_both_event_loops_carry_a_service(tmp_path: Path, ports: PopPorts) -> None:
    with running(tmp_path / "state", RECONCILER_LOOP="asyncio") as supervisor:
        declare_pop(supervisor, ports)
        supervisor.restart("pop3")
        with Clients(ports.clear, 4) as clients:
            clients.more()
            supervisor.restart("pop3")
            clients.more()
    assert clients.failures == []
