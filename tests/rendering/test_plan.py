from __future__ import annotations

import json
from dataclasses import replace

from reconciler.model import Action, Change, FieldChange, Key, Plan
from reconciler.planning import make_plan
from reconciler.rendering.plan_json import plan_json
from reconciler.rendering.plan_text import render_plan_text
from tests.planning.builders import AUTOMATIC, RUNNING_IMAP, desired, live, running, server
from tests.rendering.golden import assert_golden
from tests.rendering.values import NOTE, empty_plan, first_plan, noted_plan, plan


def _plan_with_value(value: str) -> Plan:
    field = FieldChange("banner", "ready", value)
    change = Change(Key("ImapSettings", "ex01"), Action.UPDATE, (field,), 7, None)
    return Plan("0" * 64, (change,), (), {change.key: 7})


def test_text() -> None:
    assert_golden("plan.txt", render_plan_text(plan(), colour=False, width=100))


def test_text_of_a_narrow_terminal() -> None:
    assert_golden("plan-60.txt", render_plan_text(plan(), colour=False, width=60))


def test_text_in_colour() -> None:
    assert_golden("plan-colour.txt", render_plan_text(plan(), colour=True, width=100))


def test_text_of_nothing() -> None:
    assert (
        render_plan_text(empty_plan(), colour=False, width=100) == "No changes: live is what is declared.\n"
    )


def test_text_of_an_empty_runtime() -> None:
    assert_golden("plan-first.txt", render_plan_text(first_plan(), colour=False, width=100))


def test_json() -> None:
    assert_golden("plan.json", json.dumps(plan_json(plan()), indent=2) + "\n")


def test_without_colour_it_is_ascii() -> None:
    assert render_plan_text(plan(), colour=False, width=100).isascii()


def test_control_characters_are_escaped() -> None:
    shown = render_plan_text(_plan_with_value("\x1b[2J\r\nbye \u202e"), colour=False, width=100)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\u001b[2J\\r\\nbye \\u202e" in shown


def test_an_equal_plan_is_equal_json() -> None:
    assert json.dumps(plan_json(plan())) == json.dumps(plan_json(plan()))


def test_a_secret_shows_only_that_it_changed() -> None:
    changes = [change for change in plan().changes if change.key.name == "alice"]
    fields = plan_json(Plan("0", tuple(changes), (), {}))["changes"]
    assert fields[0]["fields"][0].keys() == {"path", "impact", "position", "secret"}  # type: ignore[index,call-overload,union-attr]


def test_a_value_of_a_variable_comes_with_where_that_was_set() -> None:
    text = render_plan_text(noted_plan(), colour=False, width=80)
    assert f"maxConnectionsPerUser  16 -> 32  line 10, {NOTE}\n" in text


def test_a_plan_names_its_environment() -> None:
    assert render_plan_text(noted_plan(), colour=False, width=80).startswith("Plan: 1 to update")
    there = replace(noted_plan(), environment="production")
    assert render_plan_text(there, colour=False, width=80).startswith("Plan (production): 1 to update")
    assert plan_json(there)["environment"] == "production"
    nothing = replace(empty_plan(), environment="production")
    assert render_plan_text(nothing, colour=False, width=80).startswith("No changes (production): live is")


def test_a_plan_says_its_note_before_the_changes() -> None:
    told = replace(noted_plan(), note="history entry 2 was applied from the environment staging")
    assert "\nNOTE: history entry 2 was applied from" in render_plan_text(told, colour=False, width=80)
    assert plan_json(told)["note"] == told.note


def test_of_a_resource_that_costs_a_restart_the_fields_that_cost_none_are_named() -> None:
    running_imap = server(services=RUNNING_IMAP)
    after = server(
        services=RUNNING_IMAP | {"imap4": {"startupType": "Disabled"}},
        site="dublin",
        drainTimeout="45s",
        fqdn="mail.contoso.example",
    )
    state = live(running_imap, services=[running("ex01/imap4", 1), running("ex01/transport", 1)])
    text = render_plan_text(make_plan(desired(after), state, digests={}), colour=False, width=100)
    _, _, quiet = text.partition("Changed without a restart\n")
    assert quiet.startswith("  Server/ex01 site, drainTimeout: takes effect at once\n\n"), text


def test_a_field_of_a_service_that_does_not_run_is_named_as_such() -> None:
    before = server(services={"imap4": AUTOMATIC})
    after = server(services={"imap4": {"startupType": "Disabled"}, "pop3": {"startupType": "Disabled"}})
    state = live(before, services=[running("ex01/imap4", 1)])
    text = render_plan_text(make_plan(desired(after), state, digests={}), colour=False, width=100)
    assert "\n  Server/ex01 services.pop3.startupType: its service is not running\n" in text
