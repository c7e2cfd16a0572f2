"""What a service owes to its live configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runtime.supervisor.blueprint import ServerResources
from runtime.supervisor.pending import Pending, pending
from schemas.v1.codec import parse_spec


def resources(**specs: dict[str, Any]) -> ServerResources:
    """Server ex01 with an Automatic imap4, and other kinds by name, their specs given in YAML names."""
    server = {"fqdn": "ex01.contoso.example", "services": {"imap4": {"startupType": "Automatic"}}}
    declared = {"Server": server} | specs
    return ServerResources(
        1, "ex01", {(kind, "ex01"): parse_spec(kind, spec) for kind, spec in declared.items()}
    )


def owed(
    service: str, old: ServerResources | None, new: ServerResources, *, has_process: bool = True
) -> Pending | None:
    return pending(service, built_from=old, live=new, has_process=has_process)


def test_nothing_is_owed_when_nothing_changed() -> None:
    assert owed("imap4", resources(), resources()) is None


def test_a_changed_field_asks_for_what_it_costs_and_names_itself() -> None:
    found = owed("imap4", resources(), resources(ImapSettings={"maxConnectionsPerUser": 32}))
    assert found is not None
    assert found.to_json() == {
        "action": "restart",
        "impact": "restart",
        "causes": [{"kind": "ImapSettings", "name": "ex01", "fields": ["maxConnectionsPerUser"]}],
    }


def test_a_created_resource_that_says_the_defaults_owes_nothing() -> None:
    assert owed("imap4", resources(), resources(ImapSettings={})) is None


def test_another_services_settings_are_not_its_own() -> None:
    assert owed("imap4", resources(), resources(PopSettings={"maxConnectionsPerUser": 32})) is None


def test_an_automatic_service_that_does_not_run_owes_a_start() -> None:
    found = owed("imap4", None, resources())
    assert found is not None
    assert found.action == "start"


def test_an_automatic_service_whose_process_is_dead_owes_a_start() -> None:
    found = owed("imap4", resources(), resources(), has_process=False)
    assert found is not None
    assert found.action == "start"


def test_a_service_that_is_no_longer_automatic_owes_a_stop_although_its_process_is_dead() -> None:
    found = owed("pop3", resources(), resources(), has_process=False)
    assert found is not None
    assert found.action == "stop"


def test_a_manual_service_that_does_not_run_owes_nothing() -> None:
    assert owed("pop3", None, resources()) is None


def test_a_running_service_that_is_not_automatic_owes_a_stop() -> None:
    found = owed("pop3", resources(), resources())
    assert found is not None
    assert found.action == "stop"


def test_a_running_service_of_a_server_that_is_gone_owes_a_stop() -> None:
    found = owed("imap4", resources(), replace(resources(), specs={}))
    assert found is not None
    assert found.action == "stop"
