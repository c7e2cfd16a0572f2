"""Live resources that a newer version wrote: what they keep from starting, and what not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runtime.supervisor.unreadable import Unreadable
from schemas.v1.services import SERVICES
from tests.runtime.supervisor.process import PopPorts, Supervisor, declare_pop, greeting, running
from tests.support.ports import free_port


def written_by_a_newer_version(state: Path, kind: str, name: str) -> None:
    """Give a resource a field that this version does not know, in a revision of its own."""
    with closing(sqlite3.connect(state / "runtime" / "live.sqlite")) as live, live:
        (epoch,) = live.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        (spec,) = live.execute(
            "SELECT spec FROM resources WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        newer = json.dumps(json.loads(spec) | {"fromTheFuture": True})
        live.execute(
            "UPDATE resources SET spec = ?, revision = ? WHERE kind = ? AND name = ?",
            (newer, int(epoch) + 1, kind, name),
        )
        live.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (int(epoch) + 1,))


def declare_imap_too(supervisor: Supervisor) -> int:
    """An Automatic imap4 beside pop3; its port."""
    port = free_port()
    found = supervisor.call("GET", "/v1/resources/Server/ex01").body["spec"]["services"]
    supervisor.update("Server", "ex01", services=found | {"imap4": {"startupType": "Automatic"}})
    bindings = {"unencryptedOrTLSBindings": [f"127.0.0.1:{port}"], "sslBindings": []}
    supervisor.create("ImapSettings", "ex01", bindings | {"proxyTargetPort": free_port()})
    return port


def test_a_service_with_unreadable_settings_fails_and_the_others_start(
    tmp_path: Path, ports: PopPorts
) -> None:
    with running(tmp_path / "state") as first:
        declare_pop(first, ports)
        port = declare_imap_too(first)
        first.stop()
    written_by_a_newer_version(tmp_path / "state", "PopSettings", "ex01")
    with running(tmp_path / "state") as second:
        assert greeting(port).startswith("* OK")
        pop3 = second.service("pop3")
        assert (pop3["state"], pop3["pending"]["action"]) == ("failed", "start")
        assert "PopSettings/ex01" in pop3["lastError"]
        assert "fromTheFuture: Extra inputs are not permitted" in pop3["lastError"]


@pytest.mark.parametrize(
    ("kind", "name"), [("Mailbox", "alice"), ("MailboxDatabase", "db01"), ("AcceptedDomain", "contoso")]
)
def test_what_no_service_is_made_of_keeps_none_from_starting(
    tmp_path: Path, ports: PopPorts, kind: str, name: str
) -> None:
    with running(tmp_path / "state") as first:
        declare_pop(first, ports)
        first.create("MailboxDatabase", "db01", {"server": "ex01"})
        first.create("Mailbox", "alice", {"database": "db01", "primarySmtpAddress": "alice@contoso.example"})
        first.create("AcceptedDomain", "contoso", {"domainName": "contoso.example"})
        first.stop()
    written_by_a_newer_version(tmp_path / "state", kind, name)
    with running(tmp_path / "state") as second:
        assert second.service("pop3")["state"] == "running"
        assert greeting(ports.clear).startswith("+OK")
        assert f"left out of the live configuration: {kind}/{name} (revision" in second.log()
        assert second.call("GET", "/v1/health-mailbox/ex01").status == 200


@pytest.mark.parametrize("kind", ["PopSettings", "Server"])
def test_what_runs_goes_on_and_a_restart_says_why_not(pop: Supervisor, ports: PopPorts, kind: str) -> None:
    written_by_a_newer_version(pop.state, kind, "ex01")
    service = pop.service("pop3")
    assert (service["state"], service["startupType"], service["pending"]) == ("running", "Automatic", None)
    answer = pop.call("POST", "/v1/services/ex01/pop3/restart")
    assert (answer.status, f"{kind}/ex01 (revision" in answer.body["error"]) == (409, True)
    assert greeting(ports.clear).startswith("+OK")


@pytest.mark.parametrize(
    ("kind", "stored", "concerned"),
    [
        ("ImapSettings", {}, {"imap4", "imap4-backend"}),
        ("ReceiveConnector", {}, {"frontend-transport", "transport"}),
        ("Certificate", {"services": ["POP"]}, {"pop3"}),
        ("Certificate", {"services": "POP"}, {"imap4", "pop3", "frontend-transport", "transport"}),
        (
            "Server",
            {},
            {"imap4", "imap4-backend", "pop3", "pop3-backend", "frontend-transport", "transport"},
        ),
    ],
)
def test_an_unreadable_resource_concerns_who_is_made_of_it(
    kind: str, stored: dict[str, Any], concerned: set[str]
) -> None:
    found = Unreadable(kind, "refused", stored)
    assert {service for service in SERVICES if found.concerns(service)} == concerned


@pytest.mark.parametrize("stored", [{}, {"services": 7}, {"services": {"pop3": {"startupType": 7}}}])
def test_an_unreadable_servers_startup_type_is_the_default_in_doubt(stored: dict[str, Any]) -> None:
    assert Unreadable("Server", "refused", stored).startup_type("pop3") == "Manual"
