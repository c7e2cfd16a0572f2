"""A port that somebody takes while an apply is on its way back, on a real runtime: owed, then tried again or left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reconciler.applying.journal import unfinished
from tests.support.estate import Runtime, write_estate
from tests.support.ports import free_port

PAUSING = """
import os, signal, sys
from reconciler.applying.journal import Journal
from reconciler.cli.main import main

original = Journal.record

def record(self, record, **fields):
    original(self, record, **fields)
    if record == "service done" and fields["service"] == "ex01/imap4":
        os.kill(os.getpid(), signal.SIGSTOP)

Journal.record = record
sys.exit(main(sys.argv[1:]))
"""


def replace(runtime: Runtime, old: int, new: int) -> None:
    file = runtime.directory / "estate.yaml"
    text = file.read_text()
    assert str(old) in text
    file.write_text(text.replace(str(old), str(new)))


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """Somebody else's socket."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        yield int(taken.getsockname()[1])


def stopped_apply(runtime: Runtime) -> subprocess.Popen[str]:
    """It stands still once IMAP4 has gone to its new port."""
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSING, "apply", "--yes", str(runtime.directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RECONCILE_STATE": str(runtime.state)},
    )
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return process


@contextmanager
def cannot_go_back(runtime: Runtime) -> Iterator[Runtime]:
    """IMAP4 goes to another port and POP3 to one that is taken, so all is taken back; but somebody has taken the old
    port of IMAP4 meanwhile, and keeps it for the length of the block. The files say again what they said before."""
    write_estate(runtime.directory, runtime.ports)
    runtime.apply()
    with listening() as port_for_pop:
        replace(runtime, runtime.ports.imaps, free_port())
        replace(runtime, runtime.ports.pops, port_for_pop)
        process = stopped_apply(runtime)
        with listening(runtime.ports.imaps):
            process.send_signal(signal.SIGCONT)
            _, error = process.communicate(timeout=120)
            assert "not brought back yet: ex01/imap4; the next `reconcile apply` tries again first" in error
            write_estate(runtime.directory, runtime.ports)
            yield runtime


@pytest.fixture
def owing(applied: Runtime) -> Iterator[Runtime]:
    """The port is taken for the length of the test."""
    with cannot_go_back(applied):
        yield applied
    write_estate(applied.directory, applied.ports)
    applied.apply()


def test_everybody_who_looks_is_told_what_is_owed(owing: Runtime) -> None:
    (journal,) = unfinished(owing.state / "journal")
    told = f"Apply {journal.state.apply_id} was taken back but for ex01/imap4; "
    for verb in (("status",), ("plan", str(owing.directory))):
        done = owing.reconcile(*verb, expect=None)
        assert f"{told}the next `reconcile apply` tries again." in done.stderr


def test_the_next_apply_brings_it_back_once_the_port_is_free(applied: Runtime) -> None:
    with cannot_go_back(applied):
        pass
    done = applied.reconcile("apply", "--yes", str(applied.directory))
    assert "was taken back but for ex01/imap4; settling it first" in done.stderr
    assert "everything was rolled back" in done.stderr
    assert "No changes" in done.stdout
    assert applied.status()["pendingRestarts"] == []
    assert unfinished(applied.state / "journal") == ()


def test_what_is_refused_again_is_left_named_and_planned_from_there(owing: Runtime) -> None:
    replace(owing, owing.ports.imaps, other := free_port())
    done = owing.reconcile("apply", "--yes", str(owing.directory))
    assert "left as it is: ex01/imap4" in done.stderr
    assert "left as it is: ex01/imap4" in (owing.state / "history.jsonl").read_text()
    assert unfinished(owing.state / "journal") == ()
    assert owing.status()["pendingRestarts"] == []
    services = {one["id"]: one for one in owing.status()["servers"][0]["services"]}
    assert f"127.0.0.1:{other}" in {at["address"] for at in services["ex01/imap4"]["listening"]}
