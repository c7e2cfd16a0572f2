"""`reconcile runtime start` when not everything can start, on a real runtime."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.estate import Runtime, start_runtime


@pytest.fixture
def stopped(tmp_path: Path) -> Runtime:
    """An applied estate whose runtime does not run."""
    found = start_runtime(tmp_path)
    found.apply()
    found.reconcile("runtime", "stop")
    return found


def test_a_port_that_is_taken_is_told_until_it_is_mended(stopped: Runtime) -> None:
    address = f"127.0.0.1:{stopped.ports.imap}"
    try:
        with socket.create_server(("127.0.0.1", stopped.ports.imap)):
            done = stopped.reconcile("runtime", "start", expect=1)
            assert "The runtime runs as process" in done.stdout
            assert f"ex01/imap4 could not be started: {address} cannot be bound" in done.stderr
            assert "Address already in use; another program listens there" in done.stderr
            assert "`reconcile apply DIR` starts what is missing" in done.stderr
            assert "ex01/pop3" not in done.stderr
            assert stopped.service("pop3")["state"] == "running"
            assert f"error: {address} cannot be bound" in stopped.reconcile("status").stdout
            assert "ex01/imap4 could not be started" in stopped.reconcile("runtime", "start", expect=1).stderr
        stopped.reconcile("apply", str(stopped.directory), "--yes")
        assert stopped.service("imap4")["lastError"] is None
        assert stopped.reconcile("runtime", "start").stderr == ""
    finally:
        stopped.reconcile("runtime", "stop", expect=None)
