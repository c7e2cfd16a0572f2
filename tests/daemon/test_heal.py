"""What a daemon that heals does not do, on a real runtime: what a guardrail is against, what was rolled back, what
would leave mail behind, what cannot be read."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.guardrails.files import SHIPPED
from tests.support.daemon import Daemon, health, metric
from tests.support.estate import Runtime, write_estate
from tests.support.ports import free_port
from tests.support.waiting import eventually

Start = Callable[..., Daemon]
HEAL = ("--mode", "heal", "--interval", "1h")


def live(runtime: Runtime, name: str) -> dict[str, Any]:
    shown = json.loads(runtime.reconcile("live", "get", name, "--format", "json").stdout)
    spec: dict[str, Any] = shown["spec"]
    return spec


def replace(runtime: Runtime, old: str, new: str) -> None:
    """In the estate's file, at once."""
    file = runtime.directory / "estate.yaml"
    text = file.read_text()
    assert old in text
    beside = file.with_suffix(".new")
    beside.write_text(text.replace(old, new))
    beside.rename(file)


@pytest.fixture
def estate(runtime: Runtime) -> Runtime:
    write_estate(runtime.directory, runtime.ports)
    return runtime


def declare_open_relay(runtime: Runtime) -> None:
    replace(
        runtime,
        "authMechanism: [Tls]\n  permissionGroups: [AnonymousUsers]",
        "authMechanism: [Tls, ExternalAuthoritative]\n  permissionGroups: [ExchangeServers]",
    )


def test_an_open_relay_is_not_applied_and_the_event_names_the_guardrail(
    start: Start, estate: Runtime
) -> None:
    policies = estate.directory / "policies"
    policies.mkdir()
    shutil.copy(SHIPPED / "open-relay.yaml", policies)
    port = free_port()
    try:
        daemon = start(*HEAL, "--listen", f"127.0.0.1:{port}")
        daemon.said("in-sync")
        declare_open_relay(estate)
        blocked = daemon.said("blocked")
        assert [one["code"] for one in blocked["diagnostics"]] == ["open-relay"]
        assert "ExternalAuthoritative" not in live(estate, "ReceiveConnector/ex01/anonymous")["authMechanism"]
        eventually(lambda: health(port)[0] == 503, what="an unhealthy daemon")
        assert "guardrails stand against the plan" in health(port)[1][0]
        write_estate(estate.directory, estate.ports)
        daemon.said("in-sync", times=2)
        eventually(lambda: health(port)[0] == 200, what="a healthy daemon")
    finally:
        shutil.rmtree(policies)


def test_policies_that_the_command_line_names_are_asked_too(start: Start, estate: Runtime) -> None:
    declare_open_relay(estate)
    blocked = start(*HEAL, "--policies", "shipped").said("blocked")
    assert "open-relay" in [one["code"] for one in blocked["diagnostics"]]


def test_policies_that_the_command_line_names_may_lie_in_the_estate(start: Start, estate: Runtime) -> None:
    rules = estate.directory / "rules"
    rules.mkdir()
    shutil.copy(SHIPPED / "open-relay.yaml", rules)
    try:
        declare_open_relay(estate)
        blocked = start(*HEAL, "--policies", str(rules)).said("blocked")
        assert "open-relay" in [one["code"] for one in blocked["diagnostics"]]
    finally:
        shutil.rmtree(rules)


def look_again(daemon: Daemon, port: int) -> None:
    """Ask for a round, and wait until one has ended that did not apply."""
    bad = 'reconciler_rounds_total{outcome="bad"}'
    before = metric(port, bad)
    daemon.look_now()
    eventually(lambda: metric(port, bad) > before, within=60, what="a round")


def test_what_was_rolled_back_is_not_applied_again_until_the_files_change(
    start: Start, estate: Runtime
) -> None:
    port = free_port()
    daemon = start(*HEAL, "--listen", f"127.0.0.1:{port}")
    daemon.said("in-sync")
    replace(estate, f"127.0.0.1:{estate.ports.imaps}", "192.0.2.1:993")
    daemon.said("apply-failed")
    daemon.said("configuration-barred")
    for _ in range(2):
        look_again(daemon, port)
    assert len(daemon.events("applying")) == 1
    status, reasons = health(port)
    assert status == 503
    assert "it was rolled back" in reasons[0]
    assert metric(port, "reconciler_configuration_barred") == 1
    assert live(estate, "ImapSettings/ex01")["sslBindings"] == [f"127.0.0.1:{estate.ports.imaps}"]
    write_estate(estate.directory, estate.ports)
    daemon.said("in-sync", times=2)
    eventually(lambda: health(port)[0] == 200, what="a healthy daemon")


def test_a_move_that_leaves_mail_behind_is_left_alone_and_the_rest_is_applied(
    start: Start, estate: Runtime
) -> None:
    daemon = start(*HEAL)
    daemon.said("in-sync")
    text = (estate.directory / "estate.yaml").read_text()
    second = "---\napiVersion: reconciler/v1\nkind: MailboxDatabase\nmetadata: {name: db02}\nspec: {server: ex01}\n"
    head, mailbox, rest = text.partition("metadata: {name: alice}")
    moved = head + mailbox + rest.replace("database: db01", "database: db02", 1)
    (estate.directory / "estate.yaml").write_text(moved + second)
    daemon.said("applied")
    reasons = daemon.said("left-alone")["reasons"]
    assert "database: " in reasons["Mailbox/alice"]
    assert live(estate, "MailboxDatabase/db02")["server"] == "ex01"
    assert live(estate, "Mailbox/alice")["database"] == "db01"


def test_what_cannot_be_read_is_left_alone_and_the_rest_is_healed(start: Start, estate: Runtime) -> None:
    spoil(estate, "bob")
    port = free_port()
    daemon = start(*HEAL, "--listen", f"127.0.0.1:{port}")
    assert "cannot be read" in daemon.said("left-alone")["reasons"]["Mailbox/bob"]
    replace(estate, "maxConnectionsPerUser: 16", "maxConnectionsPerUser: 32")
    applied = daemon.said("applied")
    assert "Mailbox/bob" not in [step["subject"] for step in applied["steps"]]
    assert live(estate, "ImapSettings/ex01")["maxConnectionsPerUser"] == 32
    assert metric(port, "reconciler_unreadable_resources") == 1
    assert stored(estate, "bob")["quantumEnabled"] is True
    assert daemon.end() == 0
    spoil(estate, "bob", again=True)


def stored(runtime: Runtime, name: str) -> dict[str, Any]:
    with sqlite3.connect(runtime.state / "runtime" / "live.sqlite") as database:
        query = "SELECT spec FROM resources WHERE kind = 'Mailbox' AND name = ?"
        found: dict[str, Any] = json.loads(database.execute(query, (name,)).fetchone()[0])
    database.close()
    return found


def spoil(runtime: Runtime, name: str, *, again: bool = False) -> None:
    """Give the live mailbox a field from the future, or take it away again."""
    spec = stored(runtime, name) | {"quantumEnabled": True}
    if again:
        del spec["quantumEnabled"]
    runtime.reconcile("runtime", "stop")
    with sqlite3.connect(runtime.state / "runtime" / "live.sqlite") as database:
        query = "UPDATE resources SET spec = ? WHERE kind = 'Mailbox' AND name = ?"
        database.execute(query, (json.dumps(spec), name))
    database.close()
    runtime.reconcile("runtime", "start")


def test_what_is_no_longer_declared_stays(start: Start, estate: Runtime) -> None:
    daemon = start(*HEAL)
    daemon.said("in-sync")
    text = (estate.directory / "estate.yaml").read_text()
    limits = text.replace("maxConnectionsPerUser: 16", "maxConnectionsPerUser: 32")
    (estate.directory / "estate.yaml").write_text(
        limits[: limits.index("---\napiVersion: reconciler/v1\nkind: Mailbox\n")]
    )
    daemon.said("applied")
    assert live(estate, "Mailbox/alice")["database"] == "db01"
