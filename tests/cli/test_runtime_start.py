"""`reconcile runtime start` when not everything can start, on a real runtime."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
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


def test_nothing_is_imported_from_the_current_directory(stopped: Runtime, tmp_path: Path) -> None:
    """The checkout of a pull request may hold a runtime/ or a json.py of its own."""
    there, marker = tmp_path / "checkout", tmp_path / "imported"
    planted = f"open({str(marker)!r}, 'a').write(__name__)\n"
    (there / "runtime").mkdir(parents=True)
    for name in ("runtime/__init__.py", "json.py", "uvloop.py"):
        (there / name).write_text(planted, encoding="utf-8")
    try:
        subprocess.run(
            [Path(sys.executable).with_name("reconcile"), "runtime", "start"],
            cwd=there,
            env=os.environ | {"RECONCILE_STATE": str(stopped.state)},
            check=True,
            timeout=120,
        )
        assert stopped.service("imap4")["state"] == "running"  # so a host runs, too
        assert not marker.exists()
    finally:
        stopped.reconcile("runtime", "stop", expect=None)
