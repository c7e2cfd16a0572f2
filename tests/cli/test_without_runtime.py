"""Verbs that need no runtime, and what the others say when there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.declared import reader
from reconciler.declared.ahead import WORTH
from tests.cli.conftest import Ran
from tests.support.estate import Ports, write_estate

Reconcile = Callable[..., Ran]


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    write_estate(tmp_path / "estate", Ports())
    return tmp_path / "estate"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def spoil(estate: Path) -> None:
    file = estate / "estate.yaml"
    file.write_text(file.read_text().replace("maxConnectionsPerUser", "maxConnectionsPerUsr"))


def test_help_lists_every_verb(reconcile: Reconcile) -> None:
    ran = reconcile("--help")
    assert ran.code == 0
    for verb in (
        "validate",
        "plan",
        "apply",
        "drift",
        "status",
        "explain",
        "live",
        "up",
        "runtime",
        "schema",
    ):
        assert f"\n  {verb} " in ran.out


def test_validate_has_a_big_estate_parsed_by_another_process(
    estate: Path, state: Path, reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    (estate / "long.yaml").write_text("# " + "x" * WORTH, encoding="utf-8")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(reader, "read", lambda *_: pytest.fail("it was parsed here"))
    assert reconcile("--state", state, "validate", estate).code == 0


def test_help_imports_no_verb() -> None:
    program = "import sys; from reconciler.cli.main import main; main(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()[-1]
    for heavy in ("pydantic", "ruamel", "rich", "reconciler.model", "reconciler.cli.apply"):
        assert f"'{heavy}'" not in modules


@pytest.mark.parametrize(
    "verb",
    ["validate", "plan", "apply", "drift", "status", "explain", "live", "up", "runtime", "schema"],
)
def test_every_verb_explains_itself(verb: str, reconcile: Reconcile) -> None:
    ran = reconcile(verb, "--help")
    assert ran.code == 0
    assert f"  reconcile {verb}" in ran.out or f"  reconcile --state /srv/mail {verb}" in ran.out


def test_the_version_is_told(reconcile: Reconcile) -> None:
    ran = reconcile("--version")
    assert (ran.code, ran.out.split()[0]) == (0, "reconcile")


@pytest.mark.parametrize("arguments", [["bogus"], ["plan"], ["plan", "/nowhere"], ["apply", "--maybe", "."]])
def test_a_usage_error_exits_with_1(arguments: list[str], reconcile: Reconcile) -> None:
    ran = reconcile(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert "Error: " in ran.err


def test_a_good_directory_is_valid(estate: Path, state: Path, reconcile: Reconcile) -> None:
    ran = reconcile("--state", state, "validate", estate)
    assert (ran.code, ran.err) == (0, "")
    assert "no errors" in ran.out


def test_a_broken_file_is_told_on_standard_error(estate: Path, state: Path, reconcile: Reconcile) -> None:
    spoil(estate)
    ran = reconcile("--state", state, "validate", estate)
    assert (ran.code, ran.out) == (1, "")
    assert f"{estate}/estate.yaml:" in ran.err
    assert "did you mean maxConnectionsPerUser?" in ran.err


def test_diagnostics_are_data_too(estate: Path, state: Path, reconcile: Reconcile) -> None:
    spoil(estate)
    ran = reconcile("--state", state, "validate", "--format", "json", estate)
    assert (ran.code, ran.err) == (1, "")
    assert {one["severity"] for one in json.loads(ran.out)["diagnostics"]} == {"error"}


@pytest.mark.parametrize(
    "arguments",
    [["plan"], ["apply", "--yes"], ["apply", "--dry-run"], ["drift"]],
    ids=" ".join,
)
def test_without_a_runtime_the_error_says_how_to_start_it(
    arguments: list[str], estate: Path, state: Path, reconcile: Reconcile
) -> None:
    ran = reconcile("--state", state, *arguments, estate)
    assert (ran.code, ran.out) == (1, "")
    assert "start it with `reconcile runtime start`, or run `reconcile up DIR`" in ran.err


def test_status_without_a_runtime_says_how_to_start_it(state: Path, reconcile: Reconcile) -> None:
    ran = reconcile("--state", state, "status")
    assert ran.code == 1
    assert "`reconcile runtime start`" in ran.err


def test_runtime_status_tells_that_none_runs(state: Path, reconcile: Reconcile) -> None:
    ran = reconcile("--state", state, "runtime", "status", "--format", "json")
    assert (ran.code, json.loads(ran.out)) == (1, {"state": "stopped"})


def test_stopping_nothing_is_no_error(state: Path, reconcile: Reconcile) -> None:
    ran = reconcile("--state", state, "runtime", "stop")
    assert (ran.code, ran.out) == (0, "The runtime does not run.\n")


def test_the_state_directory_comes_from_the_environment(
    state: Path, reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILE_STATE", str(state))
    assert str(state) in reconcile("status").err


def test_explain_lists_the_kinds(reconcile: Reconcile) -> None:
    assert "ReceiveConnector  Where a server takes mail by SMTP." in reconcile("explain").out


def test_explain_lists_what_is_not_enforced_yet(reconcile: Reconcile) -> None:
    ran = reconcile("explain", "ImapSettings")
    _, _, waiting = ran.out.partition("Declared, not yet enforced:")
    assert "enableExactRFC822Size" in waiting
    assert "maxConnectionsPerUser" not in waiting


def test_explain_tells_all_of_a_field(reconcile: Reconcile) -> None:
    ran = reconcile("explain", "ImapSettings.maxConnectionsPerUser")
    for line in (
        "default:   16",
        "a change:  restarts imap4, imap4-backend",
        "Exchange:  MaxConnectionsPerUser",
    ):
        assert f"  {line}\n" in ran.out


def test_explain_reaches_into_groups(reconcile: Reconcile) -> None:
    assert "Server.services.imap4.startupType" in reconcile("explain", "Server.services").out


def test_explain_guesses_what_was_meant(reconcile: Reconcile) -> None:
    ran = reconcile("explain", "imapsetings")
    assert ran.code == 1
    assert "did you mean ImapSettings?" in ran.err


def test_explain_is_data_too(reconcile: Reconcile) -> None:
    ran = reconcile("explain", "--format", "json", "ImapSettings.maxConnectionsPerUser")
    assert json.loads(ran.out)["maxConnectionsPerUser"]["services"] == ["imap4", "imap4-backend"]


def test_schema_wants_to_know_what_to_do(reconcile: Reconcile) -> None:
    assert reconcile("schema").code == 1


@pytest.mark.parametrize(
    "subject", ["imapsettings.maxconnectionsperuser", "IMAPSettings.MaxConnectionsPerUser"]
)
def test_explain_finds_names_in_any_case(subject: str, reconcile: Reconcile) -> None:
    assert reconcile("explain", subject).out.startswith("ImapSettings.maxConnectionsPerUser\n")


def test_explain_finds_a_field_in_all_kinds(reconcile: Reconcile) -> None:
    out = reconcile("explain", "MaxConnectionsPerUser").out
    assert "ImapSettings.maxConnectionsPerUser\n" in out
    assert "PopSettings.maxConnectionsPerUser\n" in out


def test_explain_tells_how_servers_are_selected(reconcile: Reconcile) -> None:
    assert "servers: {matchLabels: {site: dublin}}" in reconcile("explain", "ImapSettings.servers").out


def test_explain_guesses_a_field_of_a_misspelt_kind(reconcile: Reconcile) -> None:
    ran = reconcile("explain", "ImapSetings.banner")
    assert (ran.code, "did you mean ImapSettings.banner?" in ran.err) == (1, True)


def test_validate_warns_of_what_is_not_enforced(estate: Path, reconcile: Reconcile) -> None:
    file = estate / "estate.yaml"
    file.write_text(file.read_text() + _QUOTA)
    ran = reconcile("validate", estate)
    assert ran.code == 0
    assert ran.err.count("declared, not yet enforced: Mailbox/carol prohibitSendQuota\n") == 1


_QUOTA = """\
---
apiVersion: reconciler/v1
kind: Mailbox
metadata: {name: carol}
spec: {database: db01, primarySmtpAddress: carol@contoso.example, prohibitSendQuota: 1GB}
"""
