"""`reconcile review`: exit codes, options, where its text goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cli.conftest import Ran
from tests.declared.pem import certificate_pem
from tests.review.repositories import ESTATE, IMAP, POLICY, Clone, changed
from tests.support.estate import Runtime

Reconcile = Callable[..., Ran]


def test_a_change_is_two(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = changed(tmp_path, "imap.yaml", "User: 16", "User: 32")
    ran = reconcile("review", clone.root / "estate", "--base", "main")
    assert ran.code == 2
    assert ran.out.startswith("<!-- reconcile review: estate -->\n### Mail review: 1 changed")


def test_no_change_is_zero(tmp_path: Path, reconcile: Reconcile) -> None:
    assert reconcile("review", Clone(tmp_path).root / "estate", "--base", "main").code == 0


@pytest.mark.parametrize("value", ["many", "500"])
def test_an_error_and_a_guardrail_are_one(tmp_path: Path, reconcile: Reconcile, value: str) -> None:
    clone = changed(tmp_path, "imap.yaml", "User: 16", f"User: {value}")
    assert reconcile("review", clone.root / "estate", "--base", "main").code == 1


CERTIFICATE = """\
apiVersion: reconciler/v1
kind: Certificate
metadata: {name: mail}
spec: {servers: [ex01], services: [IMAP], certificateFile: mail.crt, privateKeyFile: mail.key}
"""


def test_a_certificate_of_today_is_valid_today(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    pem = certificate_pem(ec.generate_private_key(ec.SECP256R1()), age=0)
    clone.commit({"estate/certificate.yaml": CERTIFICATE, "estate/mail.crt": pem})
    ran = reconcile("review", clone.root / "estate", "--base", "main")
    assert "certificate-ends-soon" in ran.out
    assert "certificate-not-valid-now" not in ran.out


def test_an_unknown_base_is_told(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = reconcile("review", Clone(tmp_path).root / "estate", "--base", "origin/main")
    assert ran.code == 1
    assert "there is no revision origin/main" in ran.err


def test_an_option_is_no_revision(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = reconcile("review", Clone(tmp_path).root / "estate", "--base=--output=x")
    assert ran.code == 1
    assert "names no revision" in ran.err


def test_the_marker_can_be_named(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = reconcile(
        "review", Clone(tmp_path).root / "estate", "--base", "main", "--marker-id", "mail/production"
    )
    assert ran.out.startswith("<!-- reconcile review: mail/production -->")


def test_a_marker_that_could_end_early_is_refused(tmp_path: Path, reconcile: Reconcile) -> None:
    ran = reconcile("review", Clone(tmp_path).root / "estate", "--base", "main", "--marker-id", "a-->b")
    assert ran.code == 1
    assert "--marker-id" in ran.err


def test_a_file_takes_the_text(tmp_path: Path, reconcile: Reconcile) -> None:
    clone, file = Clone(tmp_path / "clone"), tmp_path / "comment.md"
    ran = reconcile("review", clone.root / "estate", "--base", "main", "--output", file)
    assert ran.out == ""
    assert file.read_text(encoding="utf-8").startswith("<!-- reconcile review: estate -->")


def test_json_is_one_document(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = changed(tmp_path, "imap.yaml", "User: 16", "User: 32")
    found = json.loads(reconcile("review", clone.root / "estate", "--base", "main", "--format", "json").out)
    assert found["environments"][0]["plan"]["summary"]["update"] == 1


def test_variables_are_set(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    variables = (
        "apiVersion: reconciler/v1\nkind: Variables\nmetadata: {name: limits}\n"
        "spec: {connections: {type: integer}}\n"
    )
    clone.commit({"estate/variables.yaml": variables})
    clone.replace("estate/imap.yaml", "User: 16", "User: ${connections}")
    ran = reconcile(
        "review", clone.root / "estate", "--base", "main", "--format", "text", "--set", "connections=50"
    )
    assert "16 -> 50" in ran.out, ran.out


def test_a_bare_repository_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reconcile: Reconcile
) -> None:
    clone = changed(tmp_path / "clone", "imap.yaml", "User: 16", "User: 32")
    branch = clone.git("branch", "--show-current").strip()
    clone.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    monkeypatch.chdir(tmp_path / "bare.git")
    ran = reconcile("review", "estate", "--base", "main", "--head", branch)
    assert ran.code == 2, ran.err
    assert "`maxConnectionsPerUser` `16` -> `32`" in ran.out


def test_live_needs_a_runtime(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = Clone(tmp_path / "clone")
    ran = reconcile(
        "--state", tmp_path / "state", "review", str(clone.root / "estate"), "--base", "main", "--live"
    )
    assert ran.code == 1
    assert "runtime" in ran.err


def test_head_is_planned_against_the_running_estate(tmp_path: Path, applied: Runtime) -> None:
    estate = (applied.directory / "estate.yaml").read_text(encoding="utf-8")
    secrets = {
        f"estate/{file.relative_to(applied.directory)}": file.read_bytes()
        for file in applied.directory.rglob("*")
        if file.is_file() and file.suffix != ".yaml"
    }
    clone = Clone(tmp_path, {"estate/estate.yaml": estate, **secrets})
    clone.branch()
    clone.replace("estate/estate.yaml", "maxConnectionsPerUser: 16", "maxConnectionsPerUser: 40")
    arguments = ("review", str(clone.root / "estate"), "--base", "main", "--live")
    (comparison,) = json.loads(applied.reconcile(*arguments, "--format", "json", expect=2).stdout)[
        "environments"
    ]
    assert comparison["plan"]["summary"]["update"] == 2
    changed = {
        f"{change['kind']}/{change['name']}": [field["path"] for field in change["fields"]]
        for change in comparison["live"]["changes"]
    }
    assert changed == {name: ["maxConnectionsPerUser"] for name in ("ImapSettings/ex01", "PopSettings/ex01")}
    assert {one["action"] for one in comparison["live"]["services"]} == {"restart"}
    shown = applied.reconcile(*arguments, "--format", "text", expect=2).stdout
    assert "Live: what applying head would do" in shown
    assert "ImapSettings/ex01" in shown.partition("Live: ")[2]


@pytest.mark.parametrize("name", ["imap.yaml", "new.yaml"])
@pytest.mark.parametrize("directory", ["estate", "."])
def test_what_is_not_committed_is_named_beside_the_comment(
    tmp_path: Path, reconcile: Reconcile, name: str, directory: str
) -> None:
    clone = Clone(tmp_path)
    before = reconcile("review", clone.root / directory, "--base", "main")
    (clone.root / "estate" / name).write_text("# edited\n", encoding="utf-8")
    ran = reconcile("review", clone.root / directory, "--base", "main")
    assert ran.out == before.out
    assert (before.err, "not reviewed" in ran.err) == ("", True)


def test_what_is_not_committed_elsewhere_is_not_named(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = Clone(tmp_path)
    (clone.root / "notes.yaml").write_text("# mine\n", encoding="utf-8")
    (clone.root / "estate" / ".reconcile").mkdir()
    (clone.root / "estate" / ".reconcile" / "journal").write_text("{}", encoding="utf-8")
    assert reconcile("review", clone.root / "estate", "--base", "main").err == ""


def test_another_head_is_not_what_is_checked_out(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = Clone(tmp_path)
    (clone.root / "estate" / "imap.yaml").write_text("# edited\n", encoding="utf-8")
    assert reconcile("review", clone.root / "estate", "--base", "main", "--head", "main").err == ""


LAYERS = {
    **{
        name.replace("estate/", "estate/base/"): text
        for name, text in ESTATE.items()
        if "policies" not in name
    },
    "estate/overlays/prod/imap.yaml": IMAP.replace("16", "20"),
}


@pytest.mark.parametrize("edited", ["base", "overlays/prod"])
@pytest.mark.parametrize("directory", ["base", "overlays/prod"])
def test_what_is_not_committed_of_a_base_is_named_for_its_overlay(
    tmp_path: Path, reconcile: Reconcile, directory: str, edited: str
) -> None:
    clone = Clone(tmp_path, LAYERS)
    (clone.root / "estate" / edited / "imap.yaml").write_text("# edited\n", encoding="utf-8")
    ran = reconcile("review", clone.root / "estate" / directory, "--base", "main")
    assert ran.err == f"(uncommitted changes in {clone.root / 'estate'} are not reviewed)\n"


def test_a_policy_that_nothing_would_ask_is_an_error_of_head(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = Clone(tmp_path, LAYERS)
    clone.branch()
    clone.commit({"estate/overlays/prod/policies/connections.yaml": POLICY})
    ran = reconcile("review", clone.root / "estate", "--base", "main")
    assert ran.code == 1
    assert "misplaced-policy" in ran.out
    assert "estate/overlays/prod/policies/connections.yaml:1" in ran.out


def test_policies_of_head_that_the_run_names_are_no_error(tmp_path: Path, reconcile: Reconcile) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({"estate/team/connections.yaml": POLICY})
    estate = clone.root / "estate"
    assert "misplaced-policy" in reconcile("review", estate, "--base", "main").out
    ran = reconcile("review", estate, "--base", "main", "--policies", estate / "team")
    assert "misplaced-policy" not in ran.out
