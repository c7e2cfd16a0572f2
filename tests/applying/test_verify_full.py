"""Probes of a real runtime whose connection limits clients of the same address have used up."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from reconciler.applying.logon import _FULL, Endpoint, NotAdmittedError
from reconciler.applying.verify import Verifier
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.memory import MemoryTarget
from tests.support.estate import Runtime, start_runtime, write_estate


def limit(runtime: Runtime, banner: str = "ready") -> None:
    """Two connections an address over IMAP4 and POP3, one over SMTP."""
    write_estate(runtime.directory, runtime.ports)
    file = runtime.directory / "estate.yaml"
    text = file.read_text()
    text = text.replace("  protocolLogEnabled: true", "  maxConnectionFromSingleIP: 2")
    text = text.replace(
        "  transportRole:", f"  maxInboundConnectionPerSource: 1\n  banner: 220 {banner}\n  transportRole:"
    )
    file.write_text(text)
    runtime.reconcile("apply", str(runtime.directory), "--yes")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    found = start_runtime(tmp_path_factory.mktemp("estate"))
    try:
        limit(found)
        yield found
    finally:
        found.reconcile("runtime", "stop", expect=None)


@contextmanager
def clients(*ports: int) -> Iterator[None]:
    """Connections that have been greeted, so that each holds its place."""
    with ExitStack() as stack:
        for port in ports:
            _hold(stack, port)
        yield


def _hold(stack: ExitStack, port: int) -> None:
    """The place of a connection that has just ended may be free a moment later only."""
    deadline = time.monotonic() + 10
    while True:
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        if client.recv(3) in (b"* O", b"+OK", b"220"):
            return
        assert time.monotonic() < deadline, f"no place on port {port}"
        client.close()


def verify(runtime: Runtime, service: str) -> str:
    with EmbeddedTarget(StateDirectory(runtime.state)) as target:
        result = Verifier(target, wait=lambda _: None)(service)
    assert result.is_serving, result.detail
    return result.detail


@pytest.mark.parametrize("service", ["imap4", "imap4-backend", "pop3", "pop3-backend"])
def test_a_front_end_that_is_full_serves_and_was_not_tried(service: str, runtime: Runtime) -> None:
    port = runtime.ports.imap if service.startswith("imap4") else runtime.ports.pop
    tls_port = runtime.ports.imaps if service.startswith("imap4") else runtime.ports.pops
    with clients(port, port):
        said = verify(runtime, f"ex01/{service}")
    assert said == (f"127.0.0.1:{tls_port} serves, but is at its connection limit: no logon was tried")


def test_a_front_end_with_one_place_left_is_tried(runtime: Runtime) -> None:
    with clients(runtime.ports.imap):
        assert verify(runtime, "ex01/imap4").startswith("logon and SELECT INBOX")


def test_a_change_of_a_connector_that_is_full_is_kept_and_the_report_says_what_was_not_tried(
    runtime: Runtime,
) -> None:
    ports = runtime.ports
    with clients(ports.submission, ports.smtp):
        limit(runtime, banner="renewed")
        (entry,) = runtime.reconcile("history", "--limit", "1", "--format", "json").stdout.split("\x00")
    assert f"127.0.0.1:{ports.submission} serves, but is at its connection limit: no logon was tried" in entry
    assert "no message was sent" in entry
    with socket.create_connection(("127.0.0.1", ports.smtp), timeout=10) as client:
        assert client.recv(64).startswith((b"220 renewed", b"421"))


AT = Endpoint("127.0.0.1", 10993, "implicit")


class Counting(MemoryTarget):
    """Its service ex01/imap4 has refused so many connections, by each account of it."""

    def __init__(self, *refused: int) -> None:
        super().__init__()
        self._refused = iter(refused)

    def status(self) -> dict[str, Any]:
        listening = [{"address": "127.0.0.1:10993", "tls": "implicit", "purpose": "clients"}]
        service = {"id": "ex01/imap4", "listening": listening, "refusedConnections": next(self._refused)}
        return {"servers": [{"services": [service]}]}


def dropped() -> str:
    raise NotAdmittedError(AT, "closed before TLS", is_full=False)


def unless_full(target: Counting) -> str:
    verifier = Verifier(target, wait=lambda _: None)
    return verifier._unless_full(dropped, "no logon was tried", target.status())


def test_a_listener_that_says_nothing_is_full_when_each_attempt_was_refused() -> None:
    assert "at its connection limit" in unless_full(Counting(0, 1, 2, 4, 5))


def test_one_refusal_of_another_client_is_no_sign_of_life() -> None:
    with pytest.raises(NotAdmittedError, match="closed before TLS"):
        unless_full(Counting(0, 1, 1, 1, 1))


def test_other_refusals_with_the_same_code_are_no_sign_of_life() -> None:
    assert not any(words in "421 4.3.2 Service not active" for words in _FULL)
    assert not any(words in "421 4.3.2 System not accepting network messages" for words in _FULL)
