"""`reconcile policy`, which needs no runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran
from tests.guardrails.builders import policies, policy, trial, waiver
from tests.support.estate import Ports, write_estate

Reconcile = Callable[..., Ran]


def test_the_shipped_policies_are_listed(reconcile: Reconcile) -> None:
    ran = reconcile("policy", "list")
    assert (ran.code, ran.err) == (0, "")
    assert "error    plain-text-logon " in ran.out


def test_the_list_is_data_too(reconcile: Reconcile) -> None:
    rows = json.loads(reconcile("policy", "list", "--format", "json").out)["policies"]
    assert {"id", "severity", "title", "docs"} <= rows[0].keys()


def test_the_shipped_tests_pass(reconcile: Reconcile) -> None:
    ran = reconcile("policy", "test")
    assert (ran.code, ran.err) == (0, "")
    assert ", 0 failed." in ran.out


def test_a_policy_without_tests_is_named(reconcile: Reconcile, tmp_path: Path) -> None:
    policies(tmp_path, policy("true"))
    ran = reconcile("policy", "test", tmp_path)
    assert ran.err == "rule lacks a case that passes, or one that fails.\n"


def test_settings_are_tested_against_shipped_policies(reconcile: Reconcile, tmp_path: Path) -> None:
    """They need not be asked in plans, and nobody has to write cases of both kinds for them."""
    policies(tmp_path, trial(policy="protocol-log-off", spec="protocolLogEnabled: true"))
    ran = reconcile("policy", "test", tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "1 policy, 1 case, 0 failed.\n", "")


def test_settings_that_a_shipped_policy_is_against_fail(reconcile: Reconcile, tmp_path: Path) -> None:
    policies(tmp_path, trial(policy="protocol-log-off"))
    ran = reconcile("policy", "test", tmp_path)
    assert ran.code == 1
    assert "protocol-log-off, a case: expected to pass, found ImapSettings/ex01" in ran.err


def test_a_variable_names_policies_of_the_estate_for_every_verb(
    reconcile: Reconcile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_estate(tmp_path / "estate", Ports())
    policies(tmp_path / "estate" / "rules", policy("true"))
    assert reconcile("--state", tmp_path, "validate", tmp_path / "estate").code == 1
    monkeypatch.setenv("RECONCILE_POLICIES", f"shipped {tmp_path / 'estate' / 'rules'}")
    assert reconcile("--state", tmp_path, "validate", tmp_path / "estate").code == 0


def test_tests_of_shipped_policies_are_no_error_of_an_estate(reconcile: Reconcile, tmp_path: Path) -> None:
    write_estate(tmp_path / "estate", Ports())
    policies(tmp_path / "estate" / "policies", trial(policy="mailbox-deletion"), policy("true"))
    ran = reconcile("--state", tmp_path, "policy", "check", tmp_path / "estate")
    assert (ran.code, ran.err) == (0, "")


def test_a_broken_policy_is_told_with_its_line(reconcile: Reconcile, tmp_path: Path) -> None:
    policies(tmp_path, policy("resorce.kind"))
    ran = reconcile("policy", "list", tmp_path)
    assert ran.code == 1
    assert "policies.yaml:7:10: error" in ran.err
    assert "did you mean resource?" in ran.err


def test_files_are_held_against_the_shipped_policies(reconcile: Reconcile, tmp_path: Path) -> None:
    write_estate(tmp_path / "estate", Ports())
    ran = reconcile(
        "--state", tmp_path, "policy", "check", "--label", "environment=production", tmp_path / "estate"
    )
    assert ran.code == 1
    assert "it is self-signed" in ran.err
    assert "more: reconcile explain self-signed-in-production\n" in ran.err
    assert "= policy: " not in ran.err


def test_a_finding_names_the_policy_that_a_waiver_needs(reconcile: Reconcile, tmp_path: Path) -> None:
    write_estate(tmp_path / "estate", Ports())
    policies(tmp_path / "estate" / "policies", policy("false", match="{kinds: [ImapSettings]}"))
    ran = reconcile("--state", tmp_path, "policy", "check", tmp_path / "estate")
    assert "error: ImapSettings/ex01: broken\n" in ran.err
    assert "= policy: rule\n" in ran.err


def test_a_waiver_of_the_estate_holds_for_them(reconcile: Reconcile, tmp_path: Path) -> None:
    write_estate(tmp_path / "estate", Ports())
    policies(
        tmp_path / "estate" / "policies", waiver(policy="self-signed-in-production", expires="2999-12-31")
    )
    ran = reconcile(
        "--state", tmp_path, "policy", "check", "--policies", "shipped", "--label", "environment=production",
        tmp_path / "estate",
    )  # fmt: skip
    assert ran.code == 0
    assert (
        "waived until 2999-12-31: self-signed-in-production, Certificate/ex01/development: it is meant"
        in ran.err
    )


@pytest.mark.parametrize(
    "verb", [("policy", "check"), ("policy", "test"), ("policy", "list")], ids=lambda verb: verb[1]
)
def test_a_waiver_of_a_shipped_policy_is_no_error(
    reconcile: Reconcile, tmp_path: Path, verb: tuple[str, str]
) -> None:
    write_estate(tmp_path / "estate", Ports())
    own = tmp_path / "estate" / "policies"
    policies(own, waiver(policy="self-signed-in-production"), policy("true"))
    ran = reconcile("--state", tmp_path, *verb, tmp_path / "estate" if verb[1] == "check" else own)
    assert ran.code == 0
    assert "there is no policy" not in ran.err


def test_a_waiver_that_is_not_used_is_listed(reconcile: Reconcile, tmp_path: Path) -> None:
    policies(tmp_path, waiver(policy="self-signed-in-production"), policy("true"))
    assert "waiver   self-signed-in-production  Of a shipped" in reconcile("policy", "list", tmp_path).out
    found = json.loads(reconcile("policy", "list", "--format", "json", tmp_path).out)
    assert found["waiversNotUsed"] == ["self-signed-in-production"]


def test_waivers_alone_leave_the_shipped_policies_on(reconcile: Reconcile, tmp_path: Path) -> None:
    write_estate(tmp_path / "estate", Ports())
    policies(tmp_path / "estate" / "policies", waiver(policy="mailbox-deletion"))
    ran = reconcile(
        "--state", tmp_path, "policy", "check", "--label", "environment=production", tmp_path / "estate"
    )
    assert "it is self-signed" in ran.err


def test_a_label_is_a_pair(reconcile: Reconcile, tmp_path: Path) -> None:
    ran = reconcile("policy", "check", "--label", "production", tmp_path)
    assert ran.code == 1
    assert "expected KEY=VALUE" in ran.err


def test_validate_reads_the_policies_of_the_estate(reconcile: Reconcile, tmp_path: Path) -> None:
    write_estate(tmp_path / "estate", Ports())
    policies(tmp_path / "estate" / "policies", waiver(policy="nobody-has-it"))
    ran = reconcile("--state", tmp_path / "state", "validate", tmp_path / "estate")
    assert ran.code == 1
    assert 'policies.yaml:3:9: error: there is no policy "nobody-has-it"' in ran.err


def test_validate_asks_no_policy(reconcile: Reconcile, tmp_path: Path) -> None:
    write_estate(tmp_path / "estate", Ports())
    policies(tmp_path / "estate" / "policies", policy("false"))
    assert reconcile("--state", tmp_path / "state", "validate", tmp_path / "estate").code == 0
