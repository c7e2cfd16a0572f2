"""A real supervisor in its own process on a state directory, and its control API as a client sees it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.waiting import eventually

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """Status, JSON body and ETag of one answer."""

    status: int
    body: Any
    etag: str | None = None


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; through the directory's descriptor, so that no path is too long."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        directory = os.open(self._path.parent, os.O_PATH)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/{self._path.name}")
        except OSError:
            self.sock.close()
            raise
        finally:
            os.close(directory)


@dataclass
class Supervisor:
    """One supervisor process."""

    state: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def start(self) -> Supervisor:
        """Start it and wait until its API answers."""
        self.process = self.launch()
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Until the API answers; AssertionError with what it printed when it ended instead."""
        eventually(self._answers, what="the control API")

    def launch(self) -> subprocess.Popen[str]:
        """Start the program without waiting for anything."""
        command = [sys.executable, "-m", "runtime.supervisor", "--state", str(self.state)]
        environment = os.environ | self.environment
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and return its exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        assert self.process is not None
        self.process.communicate(timeout=60)
        status, self.process = self.process.returncode, None
        return status

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request. Headers are given with underscores: If_Match="3"."""
        connection = UnixConnection(self.state / "runtime" / "control.sock")
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=sent)
            response = connection.getresponse()
            text = response.read()
            is_json = response.getheader("content-type") == "application/json"
            return Answer(response.status, json.loads(text) if is_json else text, response.getheader("etag"))
        finally:
            connection.close()

    def create(self, kind: str, name: str, spec: Json, **secrets: str) -> Json:
        """Create a resource; AssertionError when it is refused."""
        body = {"spec": spec, "secrets": secrets}
        return self._done(self.call("PUT", f"/v1/resources/{kind}/{name}", body, If_None_Match="*"))

    def update(self, kind: str, name: str, **changes: Any) -> Json:
        """Change fields of a resource; AssertionError when it is refused."""
        found = self._done(self.call("GET", f"/v1/resources/{kind}/{name}"))
        body = {"spec": found["spec"] | changes}
        revision = str(found["revision"])
        return self._done(self.call("PUT", f"/v1/resources/{kind}/{name}", body, If_Match=revision))

    def restart(self, service: str, mode: str = "restart") -> Json:
        """Converge a service of ex01; AssertionError when it fails."""
        return self._done(self.call("POST", f"/v1/services/ex01/{service}/{mode}"))

    def status(self) -> Json:
        """The whole status."""
        return self._done(self.call("GET", "/v1/status"))

    def service(self, service: str) -> Json:
        """The status of one service of ex01."""
        rows: list[Json] = self.status()["servers"][0]["services"]
        return next(row for row in rows if row["service"] == service)

    def host(self, role: str) -> Json:
        """The status of one host of ex01."""
        rows: list[Json] = self.status()["servers"][0]["hosts"]
        return next(row for row in rows if row["role"] == role)

    def log(self) -> str:
        """What was logged."""
        return (self.state / "runtime" / "supervisor.log").read_text(encoding="utf-8")

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            _, text = self.process.communicate()
            raise AssertionError(f"the supervisor ended with status {self.process.returncode}: {text}")
        try:
            return self.call("GET", "/v1/health").status == 200
        except OSError:
            return False

    def _done(self, answer: Answer) -> Json:
        assert answer.status == 200, answer
        body: Json = answer.body
        return body


@contextmanager
def running(state: Path, **environment: str) -> Iterator[Supervisor]:
    """A supervisor that is stopped at the end."""
    supervisor = Supervisor(state, environment).start()
    try:
        yield supervisor
    finally:
        if supervisor.process is not None:
            supervisor.process.kill()
            supervisor.wait()


@dataclass(frozen=True)
class PopPorts:
    """Where the POP3 service of ex01 listens."""

    clear: int = field(default_factory=free_port)
    tls: int = field(default_factory=free_port)


def declare_pop(supervisor: Supervisor, ports: PopPorts, **settings: Any) -> None:
    """Server ex01 with an Automatic pop3 and nothing else, a self-signed certificate, and settings on
    `ports`."""
    manual = {"startupType": "Manual"}
    services = {"pop3": {"startupType": "Automatic"}, "transport": manual, "frontend-transport": manual}
    supervisor.create(
        "Server", "ex01", {"fqdn": "ex01.contoso.example", "services": services, "drainTimeout": "2s"}
    )
    supervisor.create(
        "Certificate", "ex01/development", {"selfSigned": {}, "services": ["POP", "IMAP", "SMTP"]}
    )
    bindings = {"unencryptedOrTLSBindings": [binding(ports.clear)], "sslBindings": [binding(ports.tls)]}
    supervisor.create("PopSettings", "ex01", bindings | settings)


def binding(port: int) -> str:
    """A loopback binding."""
    return f"127.0.0.1:{port}"


def greeting(port: int) -> str:
    """Connect to a POP3 port and return the first line."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        return client.makefile().readline().strip()
