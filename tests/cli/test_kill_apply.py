"""SIGKILL of a real `reconcile apply` after each record of its journal, on a real runtime.

A small program patches `Journal.record` to kill its own process once the record is on disk, and then runs the command
line. Afterwards the next run has to end in the declared or in the previous state, with the owed restarts done.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from reconciler.applying.apply import Applier
from reconciler.applying.history import Author
from reconciler.applying.journal import unfinished
from reconciler.applying.recovery import recover
from reconciler.applying.verify import Verifier
from reconciler.model import Key, Present, Report
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedReader, EmbeddedTarget
from schemas.v1.imap_settings import ImapSettings
from tests.support.estate import Runtime

KILLING = """
import os, signal, sys
from reconciler.applying.journal import Journal
from reconciler.cli.main import main

original, records = Journal.record, 0

def record(self, record, **fields):
    global records
    original(self, record, **fields)
    records += 1
    if records == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

Journal.record = record
sys.exit(main(sys.argv[2:]))
"""

#: planned, write started, written, two services of two records, verified, committed.
RECORDS = 9
LAST_WITH_UNWRITTEN_CHANGES = 2
NAMES = {2: "write started", 3: "written", 8: "verified"}


def declare(runtime: Runtime, limit: int) -> None:
    """Change the limit of IMAP alone."""
    file = runtime.directory / "estate.yaml"
    before, _, after = file.read_text().partition("  maxConnectionsPerUser: ")
    file.write_text(f"{before}  maxConnectionsPerUser: {limit}\n{after.partition(chr(10))[2]}")


def kill(runtime: Runtime, records: int) -> None:
    """Run `reconcile apply --yes` and let it be killed after so many records."""
    done = subprocess.run(
        [sys.executable, "-c", KILLING, str(records), "apply", "--yes", str(runtime.directory)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"RECONCILE_STATE": str(runtime.state)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def recovered(runtime: Runtime) -> tuple[Report, ...]:
    state = StateDirectory(runtime.state)
    with EmbeddedTarget(state) as target:
        return recover(Applier(target, state, Author("alice"), Verifier(target)))


def live_limit(runtime: Runtime) -> int:
    with EmbeddedTarget(StateDirectory(runtime.state)) as target:
        found = target.read(Key("ImapSettings", "ex01"))
    assert isinstance(found, Present)
    assert isinstance(found.spec, ImapSettings)
    return found.spec.max_connections_per_user


def status(runtime: Runtime) -> Any:
    with EmbeddedReader(StateDirectory(runtime.state)) as reader:
        return reader.status()


def generations(runtime: Runtime) -> tuple[int, ...]:
    found = {one["service"]: one["generation"] for one in status(runtime)["servers"][0]["services"]}
    return found["imap4"], found["imap4-backend"]


@pytest.mark.parametrize("records", range(1, RECORDS))
def test_a_killed_apply_is_finished_or_rolled_back(records: int, applied: Runtime) -> None:
    previous, declared = live_limit(applied), live_limit(applied) + 1
    before = generations(applied)
    declare(applied, declared)
    kill(applied, records)
    recovered(applied)
    is_forward = records > LAST_WITH_UNWRITTEN_CHANGES or live_limit(applied) == declared
    assert live_limit(applied) == (declared if is_forward else previous)
    assert generations(applied) == (tuple(one + 1 for one in before) if is_forward else before)
    assert status(applied)["pendingRestarts"] == []
    assert unfinished(applied.state / "journal") == ()


@pytest.mark.parametrize("records", [7, 8])
def test_a_killed_roll_back_is_rolled_back(records: int, applied: Runtime) -> None:
    """A port is taken, so the front end does not start: rolling back, restored, rolled back."""
    file = applied.directory / "estate.yaml"
    before = file.read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file.write_text(before.replace(f"127.0.0.1:{applied.ports.imap}", address, 1))
        kill(applied, records)
        (report,) = recovered(applied)
    file.write_text(before)
    assert report.error
    assert "everything was rolled back" in report.error
    assert status(applied)["pendingRestarts"] == []
    assert unfinished(applied.state / "journal") == ()
    applied.reconcile("plan", str(applied.directory), expect=0)


@pytest.mark.parametrize("records", [2, 3, 5])
def test_the_next_apply_settles_a_killed_one_and_then_applies(records: int, applied: Runtime) -> None:
    declared = live_limit(applied) + 1
    declare(applied, declared)
    kill(applied, records)
    done = applied.reconcile("apply", "--yes", str(applied.directory))
    assert "was interrupted; settling it first" in done.stderr
    assert live_limit(applied) == declared
    assert status(applied)["pendingRestarts"] == []
    applied.reconcile("plan", str(applied.directory), expect=0)


def test_a_plan_mentions_a_killed_apply_and_leaves_it_alone(applied: Runtime) -> None:
    declare(applied, live_limit(applied) + 1)
    kill(applied, 3)
    done = applied.reconcile("plan", str(applied.directory), expect=2)
    assert "was interrupted; the next `reconcile apply` finishes it" in done.stderr
    assert status(applied)["pendingRestarts"] == ["ex01/imap4", "ex01/imap4-backend"]
    recovered(applied)


def test_a_kill_after_the_commit_leaves_nothing_to_do(applied: Runtime) -> None:
    declare(applied, live_limit(applied) + 1)
    kill(applied, RECORDS)
    assert recovered(applied) == ()
    applied.reconcile("plan", str(applied.directory), expect=0)
