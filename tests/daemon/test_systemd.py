"""sd_notify against a real datagram socket, with a path and with an abstract name."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.daemon.systemd import ServiceManager


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(address)
        found.settimeout(10)
        yield found


def test_ready_status_and_stopping_arrive(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with listening(path) as manager:
        service = ServiceManager({"NOTIFY_SOCKET": path})
        service.ready()
        service.status("in sync\nREADY=0")
        service.stopping()
        assert [manager.recv(1000) for _ in range(3)] == [
            b"READY=1",
            b"STATUS=in sync READY=0",
            b"STOPPING=1",
        ]


def test_an_abstract_socket_is_reached() -> None:
    name = f"reconciler-{uuid.uuid4()}"
    with listening("\0" + name) as manager:
        ServiceManager({"NOTIFY_SOCKET": "@" + name}).ready()
        assert manager.recv(1000) == b"READY=1"


def test_the_watchdog_is_fed_when_it_is_on(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with listening(path) as manager:
        service = ServiceManager({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000000"})
        service.beat()
        service.beat()
        service.ready()
        assert [manager.recv(1000) for _ in range(2)] == [b"WATCHDOG=1", b"READY=1"]


def test_the_watchdog_of_another_process_is_not_ours(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    other = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid() + 1)}
    with listening(path) as manager:
        service = ServiceManager({"NOTIFY_SOCKET": path, **other})
        service.beat()
        service.ready()
        assert manager.recv(1000) == b"READY=1"


def test_without_a_manager_nothing_happens() -> None:
    ServiceManager({}).ready()


def test_a_manager_that_went_away_is_no_error(tmp_path: Path) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
