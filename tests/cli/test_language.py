"""Environments, variables and upgrades from the command line; no runtime is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran
from tests.declared.builders import DATABASE, SERVER, together, write

Reconcile = Callable[..., Ran]

BASE = """\
apiVersion: reconciler/v1
kind: Variables
metadata: {name: estate}
spec:
  domain: {type: string, default: contoso.example}
---
apiVersion: reconciler/v1
kind: AcceptedDomain
metadata: {name: main}
spec:
  domainName: ${domain}
"""
OVERLAY = BASE.partition("---\n")[0].replace(
    "{type: string, default: contoso.example}", "{value: test.example}"
)
OLD = (
    BASE.partition("---\n")[2]
    .replace("reconciler/v1", "reconciler/v1alpha1")
    .replace("${domain}", "a.example")
)


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    for name, text in (("base/a.yaml", BASE), ("overlays/test/a.yaml", OVERLAY)):
        (tmp_path / "estate" / name).parent.mkdir(parents=True)
        (tmp_path / "estate" / name).write_text(text)
    return tmp_path / "estate"


def test_an_environment_is_chosen_by_option(reconcile: Reconcile, estate: Path) -> None:
    assert reconcile("validate", str(estate)).code == 1
    assert reconcile("validate", "--environment", "test", str(estate)).code == 0


def test_an_environment_is_chosen_by_variable(
    reconcile: Reconcile, estate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILE_ENVIRONMENT", "test")
    assert reconcile("validate", str(estate)).code == 0


def test_a_variable_is_set(reconcile: Reconcile, estate: Path) -> None:
    ran = reconcile("validate", "--environment", "test", "--set", "domain=not a domain", str(estate))
    assert ran.code == 1
    assert "${domain} is set by --set" in ran.err


def test_what_sets_nothing_is_a_usage_error(reconcile: Reconcile, estate: Path) -> None:
    ran = reconcile("validate", "--set", "domain", str(estate))
    assert ran.code == 1
    assert "expected NAME=VALUE" in ran.err


def test_upgrade_shows_checks_and_writes(reconcile: Reconcile, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(OLD)
    assert reconcile("upgrade", str(tmp_path)).code == 2
    assert reconcile("upgrade", "--check", str(tmp_path)).code == 2
    assert file.read_text() == OLD
    assert reconcile("upgrade", "--write", str(tmp_path)).code == 0
    assert file.read_text() == OLD.replace("v1alpha1", "v1")
    assert reconcile("upgrade", "--check", str(tmp_path)).code == 0


def test_upgrade_tells_what_it_cannot_read(reconcile: Reconcile, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: [")
    assert reconcile("upgrade", "--write", str(tmp_path)).code == 1


ALLOWING = """\
apiVersion: reconciler/v1
kind: Mailbox
metadata:
  name: alice
  annotations:
    reconciler/allow: |
"""
SPEC = "spec: {database: db01, primarySmtpAddress: alice@contoso.example}\n"


def _validated(reconcile: Reconcile, directory: Path, *lines: str) -> Ran:
    text = ALLOWING + "".join(f"      {line}\n" for line in lines) + SPEC
    write(directory, estate=together(SERVER, DATABASE, text))
    return reconcile("validate", directory)


def test_an_allowed_warning_is_shown_as_such(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = _validated(reconcile, tmp_path, "unknown-domain: the partner accepts it")
    assert ran.code == 0
    assert "allowed: Mailbox/alice: no AcceptedDomain covers contoso.example" in ran.err
    assert "= reason: the partner accepts it" in ran.err
    assert "warning:" not in ran.err
    assert ran.err.endswith("1 allowed in 1 file\n")


def test_one_that_finds_nothing_is_a_warning(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = _validated(reconcile, tmp_path, "unknown-domain: yes", "no-certificate: no")
    assert ran.code == 0
    assert "estate.yaml:18:7: warning: reconciler/allow: no-certificate finds nothing here" in ran.err


def test_one_of_an_error_is_refused_without_a_plan(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = _validated(reconcile, tmp_path, "unknown-domain: yes", "plain-text-logon: please")
    assert ran.code == 1
    assert "plain-text-logon is an error, and an annotation lets only warnings through" in ran.err
    assert "Waiver" in ran.err


def test_a_misspelt_rule_is_told_beside_a_line_without_a_reason(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = _validated(reconcile, tmp_path, "no-certificate", "unknown-domian: yes")
    assert ran.code == 1
    assert "say why no-certificate does not hold here" in ran.err
    assert "did you mean unknown-domain?" in ran.err


def test_a_misspelt_rule_is_an_error(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = _validated(reconcile, tmp_path, "unknown-domian: yes")
    assert ran.code == 1
    assert "did you mean unknown-domain?" in ran.err
