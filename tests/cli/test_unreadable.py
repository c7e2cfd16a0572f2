"""A live resource that this version does not understand, as one that a newer version wrote."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Ran
from tests.support.estate import Runtime, start_runtime, write_estate

Reconcile = Callable[..., Ran]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """An applied estate whose mailbox of bob holds a field from the future."""
    found = start_runtime(tmp_path_factory.mktemp("estate"))
    try:
        found.apply()
        found.reconcile("runtime", "stop")
        with sqlite3.connect(found.state / "runtime" / "live.sqlite") as database:
            query = "SELECT spec FROM resources WHERE kind = 'Mailbox' AND name = 'bob'"
            spec = json.loads(database.execute(query).fetchone()[0]) | {"quantumEnabled": True}
            database.execute(
                "UPDATE resources SET spec = ? WHERE kind = 'Mailbox' AND name = 'bob'", (json.dumps(spec),)
            )
        database.close()
        found.reconcile("runtime", "start")
        yield found
    finally:
        found.reconcile("runtime", "stop", expect=None)


@pytest.fixture
def run(runtime: Runtime, reconcile: Reconcile) -> Reconcile:
    write_estate(runtime.directory, runtime.ports)
    return lambda *arguments: reconcile("--state", runtime.state, *arguments)


def test_it_is_no_drift(run: Reconcile, runtime: Runtime) -> None:
    ran = run("drift", runtime.directory)
    assert ran.code == 1
    assert "No drift in what can be read; 1 resource cannot." in ran.out
    assert "Mailbox/bob: this version does not understand its live values: quantumEnabled: " in ran.out


def test_a_plan_says_that_it_is_incomplete(run: Reconcile, runtime: Runtime) -> None:
    ran = run("plan", runtime.directory)
    assert "INCOMPLETE: 1 resource cannot be read" in ran.out
    document = json.loads(run("plan", "--format", "json", runtime.directory).out)
    assert (document["isComplete"], document["changes"]) == (False, [])


def test_apply_refuses_it(run: Reconcile, runtime: Runtime) -> None:
    write_estate(runtime.directory, runtime.ports, max_connections_per_user=32)
    ran = run("apply", "--yes", runtime.directory)
    assert ran.code == 1
    assert "leave it out with --exclude Mailbox/bob" in ran.err


def test_a_plan_without_it_is_complete_and_partial(run: Reconcile, runtime: Runtime) -> None:
    document = json.loads(run("plan", "--exclude", "Mailbox/bob", "--format", "json", runtime.directory).out)
    assert (document["isComplete"], document["partial"]["exclude"]) == (True, ["Mailbox/bob"])


def test_a_saved_plan_without_knowing_it_is_refused(run: Reconcile, runtime: Runtime, tmp_path: Path) -> None:
    run("plan", "--out", tmp_path / "change.plan", runtime.directory)
    ran = run("apply", tmp_path / "change.plan")
    assert ran.code == 1
    assert "this plan is incomplete: Mailbox/bob could not be read" in ran.err


def test_a_saved_plan_that_leaves_it_out_is_applied(run: Reconcile, runtime: Runtime, tmp_path: Path) -> None:
    write_estate(runtime.directory, runtime.ports, max_connections_per_user=32)
    run("plan", "--exclude", "Mailbox/bob", "--out", tmp_path / "change.plan", runtime.directory)
    assert run("apply", tmp_path / "change.plan").code == 0
    ran = run("plan", "--exclude", "Mailbox/bob", runtime.directory)
    assert ran.code == 0


def test_a_roll_back_that_does_not_know_it_is_refused(run: Reconcile, runtime: Runtime) -> None:
    ran = run("rollback", "--to", "1", "--yes")
    assert ran.code == 1
    assert "Mailbox/bob" in ran.err
    assert "nothing was changed" in ran.err


def test_status_still_works(run: Reconcile) -> None:
    assert run("status").code == 0
