"""Guardrails stand between a plan and the runtime, unless they are waived: however it is applied."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.guardrails.builders import policies, policy, waiver
from tests.support.estate import Runtime, write_estate

RULE = policy(
    "resource.spec.maxConnectionsPerUser <= 16",
    match="{kinds: [ImapSettings, PopSettings]}",
    message='"{resource.spec.maxConnectionsPerUser} connections"',
    more="at: [maxConnectionsPerUser]\n",
)

WARNING = RULE.replace("severity: error", "severity: warning")

LABELLED = policy(
    "resource.spec.maxConnectionsPerUser <= 16",
    match="{kinds: [ImapSettings], labels: {site: dublin}}",
    message="not in dublin",
)


@pytest.fixture(autouse=True)
def declared(applied: Runtime) -> Runtime:
    """Each test begins with limits of 16 applied, and without policies."""
    shutil.rmtree(applied.directory / "policies", ignore_errors=True)
    applied.apply()
    return applied


@pytest.fixture
def saved(applied: Runtime, tmp_path: Path) -> Path:
    """A plan of the limits raised to 32, made before there were policies."""
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    applied.reconcile("plan", "--out", str(tmp_path / "change.plan"), str(applied.directory), expect=2)
    return tmp_path / "change.plan"


def allow(runtime: Runtime) -> None:
    """By an annotation of the settings of IMAP4."""
    file = runtime.directory / "estate.yaml"
    note = 'annotations: {reconciler/allow: "rule: the gateway limits them"}'
    file.write_text(file.read_text().replace("{name: imap}", f"{{name: imap, {note}}}"))


def newest(runtime: Runtime) -> int:
    found = json.loads(runtime.reconcile("history", "--format", "json", "--limit", "1").stdout)
    number: int = found["entries"][0]["number"]
    return number


@pytest.fixture
def number(applied: Runtime) -> str:
    """The history entry of limits of 32; 16 is live again."""
    applied.apply(max_connections_per_user=32)
    number = newest(applied)
    applied.apply()
    return str(number)


def live_limit(runtime: Runtime) -> int:
    found = runtime.reconcile("live", "get", "ImapSettings/ex01", "--format", "json")
    limit: int = json.loads(found.stdout)["spec"]["maxConnectionsPerUser"]
    return limit


def test_what_is_refused_is_not_applied_until_it_is_waived(applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    rules = applied.directory / "policies"
    policies(rules, RULE)
    directory = str(applied.directory)

    plan = applied.reconcile("plan", "--format", "json", directory, expect=1)
    found = json.loads(plan.stdout)["guardrails"]
    assert {(one["policy"], one["subject"], one["waived"]) for one in found} == {
        ("rule", "ImapSettings/ex01", None),
        ("rule", "PopSettings/ex01", None),
    }

    refused = applied.reconcile("apply", "--yes", directory, expect=1)
    assert "32 connections" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert live_limit(applied) == 16

    policies(rules, RULE, waiver(resource='"*Settings/ex01"', expires="2999-12-31"))
    done = applied.reconcile("apply", "--yes", directory)
    assert "waived until 2999-12-31: rule, ImapSettings/ex01" in done.stderr
    assert live_limit(applied) == 32


# A saved plan: the policies as they are when it is applied


def test_a_saved_plan_is_held_against_the_policies_of_now(applied: Runtime, saved: Path) -> None:
    policies(applied.directory / "policies", RULE)
    shown = applied.reconcile("plan", "show", str(saved), expect=1)
    assert "It cannot be applied: a guardrail stands against it." in shown.stdout
    refused = applied.reconcile("apply", str(saved), expect=1)
    assert "ImapSettings/ex01: 32 connections" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert live_limit(applied) == 16


def test_a_refused_saved_plan_is_not_used_up(applied: Runtime, saved: Path) -> None:
    policies(applied.directory / "policies", RULE)
    applied.reconcile("apply", str(saved), expect=1)
    policies(applied.directory / "policies", RULE, waiver(resource='"*Settings/ex01"', expires="2999-12-31"))
    done = applied.reconcile("apply", str(saved))
    assert "waived until 2999-12-31: rule, ImapSettings/ex01" in done.stderr
    assert live_limit(applied) == 32


def test_a_saved_plan_is_held_against_what_apply_adds(applied: Runtime, saved: Path, tmp_path: Path) -> None:
    policies(tmp_path / "rules", RULE)
    refused = applied.reconcile("apply", "--policies", str(tmp_path / "rules"), str(saved), expect=1)
    assert "ImapSettings/ex01: 32 connections" in refused.stderr


def test_a_saved_plan_brings_its_policies_along(applied: Runtime, tmp_path: Path) -> None:
    rules, file = tmp_path / "rules", tmp_path / "change.plan"
    policies(rules, RULE.replace("<= 16", "<= 99"))
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    directory = str(applied.directory)
    applied.reconcile("plan", "--policies", str(rules), "--out", str(file), directory, expect=2)
    policies(rules, RULE)
    assert "32 connections" in applied.reconcile("apply", str(file), expect=1).stderr
    shutil.rmtree(rules)
    applied.reconcile("apply", str(file), expect=1)
    assert live_limit(applied) == 16


def test_a_saved_plan_knows_the_labels_of_its_resources(applied: Runtime, saved: Path) -> None:
    """Those of the server count for its settings, although the plan does not touch it."""
    policies(applied.directory / "policies", LABELLED)
    (applied.directory / "estate.yaml").unlink()
    assert "ImapSettings/ex01: not in dublin" in applied.reconcile("apply", str(saved), expect=1).stderr


def test_a_saved_plan_is_refused_when_the_policies_are_gone(applied: Runtime, tmp_path: Path) -> None:
    policies(applied.directory / "policies", RULE.replace("<= 16", "<= 99"))
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    file = str(tmp_path / "change.plan")
    applied.reconcile("plan", "--out", file, str(applied.directory), expect=2)
    moved = applied.directory.rename(tmp_path / "moved")
    refused = applied.reconcile("apply", file, expect=1)
    assert "say with --estate DIR where the files of the estate are now" in refused.stderr
    applied.reconcile("apply", file, "--estate", str(moved))
    moved.rename(applied.directory)
    assert live_limit(applied) == 32


def test_a_saved_plan_says_when_its_estate_cannot_be_asked(
    applied: Runtime, saved: Path, tmp_path: Path
) -> None:
    policies(applied.directory / "policies", RULE)
    moved = applied.directory.rename(tmp_path / "moved")
    try:
        shown = applied.reconcile("plan", "show", str(saved))
        named = applied.reconcile("plan", "show", str(saved), "--estate", str(moved), expect=1)
    finally:
        moved.rename(applied.directory)
    assert "is not there, so policies that it may have by now were not asked" in shown.stderr
    assert "were not asked" not in named.stderr


def test_a_saved_plan_knows_which_warnings_are_allowed_and_why(applied: Runtime, saved: Path) -> None:
    policies(applied.directory / "policies", WARNING)
    told = applied.reconcile("plan", "show", str(saved)).stderr
    assert "warning: ImapSettings/ex01: 32 connections" in told
    allow(applied)
    file = str(saved.with_name("allowed.plan"))
    applied.reconcile("plan", "--out", file, str(applied.directory), expect=2)
    (applied.directory / "estate.yaml").unlink()
    told = applied.reconcile("apply", file).stderr
    assert "allowed: ImapSettings/ex01: 32 connections" in told
    assert "the gateway limits them" in told


# A roll back: the policies of the estate that was applied last


def test_a_roll_back_is_held_against_the_policies_of_the_estate(applied: Runtime, number: str) -> None:
    policies(applied.directory / "policies", RULE)
    applied.reconcile("rollback", "--to", number, "--dry-run", expect=1)
    refused = applied.reconcile("rollback", "--to", number, "--yes", expect=1)
    assert "ImapSettings/ex01: 32 connections" in refused.stderr
    assert live_limit(applied) == 16
    policies(applied.directory / "policies", RULE, waiver(resource='"*Settings/ex01"', expires="2999-12-31"))
    done = applied.reconcile("rollback", "--to", number, "--yes")
    assert "waived until 2999-12-31: rule, ImapSettings/ex01" in done.stderr
    assert live_limit(applied) == 32


def test_a_roll_back_knows_the_labels_that_the_files_say(applied: Runtime, number: str) -> None:
    policies(applied.directory / "policies", LABELLED)
    refused = applied.reconcile("rollback", "--to", number, "--yes", expect=1)
    assert "ImapSettings/ex01: not in dublin" in refused.stderr


def test_a_roll_back_knows_which_warnings_the_files_allow_and_why(applied: Runtime, number: str) -> None:
    policies(applied.directory / "policies", WARNING)
    told = applied.reconcile("rollback", "--to", number, "--dry-run", expect=2).stderr
    assert "warning: ImapSettings/ex01: 32 connections" in told
    allow(applied)
    told = applied.reconcile("rollback", "--to", number, "--yes").stderr
    assert "allowed: ImapSettings/ex01: 32 connections" in told
    assert "the gateway limits them" in told


def test_a_roll_back_is_refused_while_the_labels_are_not_known(applied: Runtime, number: str) -> None:
    policies(applied.directory / "policies", LABELLED)
    (applied.directory / "broken.yaml").write_text("kind: Nothing\n")
    try:
        refused = applied.reconcile("rollback", "--to", number, "--yes", expect=1)
    finally:
        (applied.directory / "broken.yaml").unlink()
    assert "policies may ask for labels, and the files of" in refused.stderr


def test_a_roll_back_is_held_against_what_is_asked_for(applied: Runtime, number: str, tmp_path: Path) -> None:
    policies(tmp_path / "rules", RULE)
    rules = str(tmp_path / "rules")
    refused = applied.reconcile("rollback", "--to", number, "--yes", "--policies", rules, expect=1)
    assert "ImapSettings/ex01: 32 connections" in refused.stderr


def test_a_roll_back_is_refused_when_the_policies_are_gone(
    applied: Runtime, number: str, tmp_path: Path
) -> None:
    policies(applied.directory / "policies", RULE)
    applied.apply(max_connections_per_user=12)
    moved = applied.directory.rename(tmp_path / "moved")
    try:
        refused = applied.reconcile("rollback", "--to", number, "--yes", expect=1)
        named = applied.reconcile("rollback", "--to", number, "--yes", "--estate", str(moved), expect=1)
    finally:
        moved.rename(applied.directory)
    assert "the newest apply was held against the policies of" in refused.stderr
    assert "ImapSettings/ex01: 32 connections" in named.stderr


def test_a_roll_back_says_when_it_knows_no_estate(applied: Runtime, number: str) -> None:
    history = applied.state / "history.jsonl"
    whole = history.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in whole.splitlines()]
    nowhere = [{name: value for name, value in line.items() if name != "origin"} for line in lines]
    history.write_text("".join(f"{json.dumps(line)}\n" for line in nowhere), encoding="utf-8")
    done = applied.reconcile("rollback", "--to", number, "--dry-run", expect=2)
    history.write_text(whole, encoding="utf-8")
    assert "no policies were asked; --estate DIR and --policies name some" in done.stderr


def test_what_nobody_declares_does_not_stand_against_a_plan(applied: Runtime, saved: Path) -> None:
    """As when the directory is applied."""
    domain = (
        "---\napiVersion: reconciler/v1\nkind: AcceptedDomain\nmetadata: {name: relayed}\n"
        "spec: {domainName: fabrikam.example, domainType: ExternalRelay}\n"
    )
    estate = applied.directory / "estate.yaml"
    text = estate.read_text()
    estate.write_text(text + domain)
    applied.reconcile("apply", "--yes", "--only", "AcceptedDomain/relayed", str(applied.directory))
    estate.write_text(text)
    applied.reconcile("plan", "--out", str(saved), str(applied.directory), expect=2)
    only_ours = policy("resource.name == 'contoso'", match="{kinds: [AcceptedDomain]}")
    policies(applied.directory / "policies", only_ours)
    applied.reconcile("apply", str(saved))
    assert live_limit(applied) == 32


# Policies for every run


def test_the_environment_names_policies_for_every_run(
    applied: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies(tmp_path / "rules", RULE)
    monkeypatch.setenv("RECONCILE_POLICIES", f"shipped {tmp_path / 'rules'}")
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    planned = applied.reconcile("plan", "--format", "json", str(applied.directory), expect=1)
    found = {one["policy"] for one in json.loads(planned.stdout)["guardrails"]}
    assert "rule" in found
    assert len(found) > 1


def test_policies_that_a_run_names_may_lie_in_the_estate(applied: Runtime) -> None:
    team = applied.directory / "team"
    policies(team / "rules", RULE)
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    try:
        asked = ("plan", "--policies", str(team / "rules"), "--format", "json", str(applied.directory))
        found = json.loads(applied.reconcile(*asked, expect=1).stdout)["guardrails"]
        assert {one["policy"] for one in found} == {"rule"}
        refused = applied.reconcile("plan", str(applied.directory), expect=1)
        assert "error: this is of reconciler/policy/v1, and this run asks no" in refused.stderr
    finally:
        shutil.rmtree(team)
