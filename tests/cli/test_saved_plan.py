"""Saved plans against a real runtime: plan, show, apply, and every reason to refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler.authoring.secret_files import write_secret
from reconciler.cli.common import current_user
from tests.cli.conftest import Ran
from tests.declared.builders import document
from tests.support.estate import Runtime, start_runtime, write_estate

Reconcile = Callable[..., Ran]
SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "plan.schema.json"


@pytest.fixture
def run(applied: Runtime, reconcile: Reconcile) -> Reconcile:
    """`reconcile` with the state directory of the applied estate, brought back to what is declared before the test."""
    write_estate(applied.directory, applied.ports)
    assert reconcile("--state", applied.state, "apply", "--yes", applied.directory).code == 0
    return lambda *arguments: reconcile("--state", applied.state, *arguments)


@pytest.fixture
def saved(run: Reconcile, applied: Runtime, tmp_path: Path) -> Path:
    """A plan of the limit raised to 32, while the files say 16 again."""
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    file = tmp_path / "change.plan"
    ran = run("plan", applied.directory, "--out", file, "--only", "ImapSettings/*")
    assert ran.code == 2
    assert f"Saved as {file}" in ran.err
    write_estate(applied.directory, applied.ports)
    return file


def test_a_saved_plan_does_what_it_says_and_nothing_else(
    run: Reconcile, saved: Path, applied: Runtime
) -> None:
    before = applied.service("pop3")["generation"], applied.service("imap4")["generation"]
    ran = run("apply", saved)
    assert ran.code == 0
    assert "maxConnectionsPerUser  16 -> 32" in ran.out
    after = applied.service("pop3")["generation"], applied.service("imap4")["generation"]
    assert after == (before[0], before[1] + 1)


def test_it_is_good_for_one_use(run: Reconcile, saved: Path) -> None:
    assert run("apply", saved).code == 0
    ran = run("apply", saved)
    assert ran.code == 1
    assert "this plan was used already, by " in ran.err


def test_a_stale_plan_names_who_was_there(run: Reconcile, saved: Path) -> None:
    assert run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=5").code == 0
    ran = run("apply", saved)
    assert ran.code == 1
    who = re.escape(current_user())
    told = rf"this plan is stale; plan again:\n  ImapSettings/ex01 was changed by {who} at 20\d\d-\d\d-\d\dT"
    assert re.search(told, ran.err)
    assert re.search(told, run("plan", "show", saved).out)


def test_it_does_less_when_a_part_is_so_already(run: Reconcile, applied: Runtime, tmp_path: Path) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    run("plan", applied.directory, "--out", tmp_path / "change.plan")
    run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=32")
    ran = run("apply", tmp_path / "change.plan", "--format", "json")
    assert ran.code == 0
    assert "ImapSettings/ex01 is so already." in ran.err
    report = json.loads(ran.out)
    assert [change["kind"] for change in report["plan"]["changes"]] == ["PopSettings"]
    assert run("plan", applied.directory).code == 0


def test_it_never_does_more(run: Reconcile, applied: Runtime, tmp_path: Path) -> None:
    """A service that was off when this was planned, and runs by now, is not restarted."""
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    run("live", "set", "Server/ex01", "services.imap4.startupType=Manual")
    run("plan", applied.directory, "--out", tmp_path / "change.plan", "--only", "ImapSettings/*")
    run("live", "set", "Server/ex01", "services.imap4.startupType=Automatic")
    before = applied.service("imap4")["generation"]
    ran = run("apply", tmp_path / "change.plan")
    assert ran.code == 1
    assert "this plan is stale; plan again:" in ran.err
    assert "ex01/imap4 would now have to " in ran.err
    assert applied.service("imap4")["generation"] == before


def test_it_is_not_applied_against_what_others_did_around_it(
    run: Reconcile, applied: Runtime, tmp_path: Path
) -> None:
    """A plan deletes an empty database; by the time it is applied a mailbox is in it."""
    file = applied.directory / "estate.yaml"
    text = file.read_text(encoding="utf-8")
    database = document("MailboxDatabase", "db02", "{server: ex01}")
    address = "primarySmtpAddress: carol@contoso.example"
    carol = document("Mailbox", "carol", f"{{database: db02, {address}}}")
    file.write_text(f"{text}---\n{database}", encoding="utf-8")
    run("apply", "--yes", applied.directory)
    file.write_text(text, encoding="utf-8")
    saved = tmp_path / "change.plan"
    assert run("plan", applied.directory, "--delete", "MailboxDatabase/db02", "--out", saved).code == 2
    file.write_text(f"{text}---\n{database}---\n{carol}", encoding="utf-8")
    assert run("apply", "--yes", applied.directory).code == 0
    told = "MailboxDatabase/db02 would be deleted, and Mailbox/carol refers to it and stays"
    shown = run("plan", "show", saved)
    assert shown.code == 1
    assert told in shown.out
    assert told in run("apply", saved).err
    file.write_text(text, encoding="utf-8")
    gone = ("--delete", "MailboxDatabase/db02", "--delete", "Mailbox/carol")
    assert run("apply", "--yes", applied.directory, *gone).code == 0


def test_a_signature_of_other_letters_is_wrong(run: Reconcile, saved: Path) -> None:
    found = json.loads(saved.read_bytes())
    saved.write_text(json.dumps(found | {"signature": "é"}), encoding="utf-8")
    assert "this plan is not as it was made" in run("apply", saved).err


def test_what_is_held_by_now_is_refused(run: Reconcile, saved: Path) -> None:
    run("hold", "ImapSettings/ex01", "--until", "1h", "--reason", "a migration")
    try:
        ran = run("apply", saved)
    finally:
        run("hold", "release", "ImapSettings/ex01")
    assert ran.code == 1
    assert "ImapSettings/ex01 is held until " in ran.err
    assert run("apply", saved).code == 0


def test_the_history_says_which_plan_it_was(run: Reconcile, saved: Path) -> None:
    shown = run("plan", "show", saved).out
    digest = next(line for line in shown.splitlines() if line.startswith("Digest ")).split()[1]
    run("apply", saved)
    (entry,) = json.loads(run("history", "--format", "json", "--limit", "1").out)["entries"]
    assert entry["origin"]["savedPlan"] == digest
    assert len(entry["plan"]) == 64
    assert f"saved plan {digest[:10]}" in run("history", "--limit", "1").out
    assert f"saved plan     {digest}" in run("history", "show", entry["number"]).out


@pytest.fixture
def locked(run: Reconcile, applied: Runtime, tmp_path: Path) -> Reconcile:
    """With bob's password encrypted, applied, and nobody here who can open it."""
    identity, secrets = tmp_path / "identity.txt", applied.directory / "secrets"
    (secrets / "recipients.txt").write_text(run("secret", "keygen", "--output", identity).out)
    write_secret(secrets / "bob.age", "battery-staple-bob")
    _replace(applied, "{file: secrets/bob}", "{encrypted: secrets/bob.age}")
    assert run("--identity", identity, "apply", "--yes", applied.directory).code == 0
    return run


def test_secrets_that_could_not_be_compared_are_told(
    locked: Reconcile, applied: Runtime, tmp_path: Path
) -> None:
    unknown = [{"kind": "Mailbox", "name": "bob", "path": "password"}]
    assert json.loads(locked("plan", applied.directory, "--format", "json").out)["uncompared"] == unknown
    shown = locked("plan", applied.directory).out
    assert "No changes in what can be compared" in shown
    assert "UNCOMPARED: 1 secret cannot be opened here" in shown
    assert "Mailbox/bob password" in locked("plan", applied.directory, "--format", "markdown").out
    assert "No drift in what can be compared." in locked("drift", applied.directory).out
    _replace(applied, "maxConnectionsPerUser: 16", "maxConnectionsPerUser: 17")
    locked("plan", applied.directory, "--out", tmp_path / "change.plan")
    assert json.loads((tmp_path / "change.plan").read_bytes())["uncompared"] == unknown
    assert "UNCOMPARED: 1 secret" in locked("plan", "show", tmp_path / "change.plan").out


def test_show_works_on_a_good_one(run: Reconcile, saved: Path) -> None:
    ran = run("plan", "show", saved)
    assert ran.code == 0
    assert "PARTIAL: only ImapSettings/*" in ran.out
    assert ran.out.endswith("It can be applied.\n")


def test_show_works_on_a_stale_one(run: Reconcile, saved: Path) -> None:
    run("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=5")
    ran = run("plan", "show", saved)
    assert ran.code == 1
    assert "It cannot be applied: this plan is stale" in ran.out
    assert "maxConnectionsPerUser  16 -> 32" in ran.out


def test_show_works_on_a_used_one(run: Reconcile, saved: Path) -> None:
    run("apply", saved)
    assert "It cannot be applied: this plan was used already" in run("plan", "show", saved).out


def test_show_works_without_a_runtime(reconcile: Reconcile, saved: Path, tmp_path: Path) -> None:
    ran = reconcile("--state", tmp_path / "nowhere", "plan", "show", "--format", "json", saved)
    assert ran.code == 1
    assert "Whether it can be applied is not known" in ran.err
    assert json.loads(ran.out)["partial"] == {"only": ["ImapSettings/*"], "exclude": []}


def test_an_edited_plan_is_refused(run: Reconcile, saved: Path) -> None:
    text = saved.read_text(encoding="utf-8")
    saved.write_text(
        text.replace('"maxConnectionsPerUser":32', '"maxConnectionsPerUser":99'), encoding="utf-8"
    )
    ran = run("apply", saved)
    assert ran.code == 1
    assert "this plan is not as it was made" in ran.err


def test_a_plan_for_another_runtime_is_refused(
    reconcile: Reconcile, saved: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = start_runtime(tmp_path_factory.mktemp("other"))
    try:
        ran = reconcile("--state", other.state, "apply", saved)
    finally:
        other.reconcile("runtime", "stop", expect=None)
    assert ran.code == 1
    assert "this plan was made for the runtime " in ran.err


def test_a_saved_plan_is_not_narrowed(run: Reconcile, saved: Path) -> None:
    ran = run("apply", saved, "--only", "Mailbox/*")
    assert ran.code == 1
    assert "a saved plan is carried out as it is" in ran.err


def test_a_file_is_as_its_schema_says(saved: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    errors = Draft202012Validator(schema).iter_errors(json.loads(saved.read_bytes()))
    assert [error.message for error in errors] == []


def test_the_json_of_a_plan_is_as_its_schema_says(run: Reconcile, applied: Runtime) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    document = json.loads(run("plan", "--format", "json", applied.directory).out)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []


def test_a_plan_from_one_checkout_is_applied_from_another(
    run: Reconcile, applied: Runtime, tmp_path: Path
) -> None:
    write_estate(applied.directory, applied.ports)
    (applied.directory / "secrets" / "bob").write_text("another-battery-staple\n", encoding="utf-8")
    file = tmp_path / "change.plan"
    assert run("plan", applied.directory, "--out", file).code == 2
    elsewhere = tmp_path / "checkout"
    write_estate(elsewhere, applied.ports)
    assert "is not the one that was planned" in run("apply", file, "--estate", elsewhere).err
    (elsewhere / "secrets" / "bob").write_text("another-battery-staple\n", encoding="utf-8")
    assert run("apply", file, "--estate", elsewhere).code == 0
    assert run("plan", applied.directory).code == 0


def test_the_configuration_digest_is_the_same_in_every_checkout(
    run: Reconcile, applied: Runtime, tmp_path: Path
) -> None:
    write_estate(tmp_path / "checkout", applied.ports)
    digests = {
        json.loads(run("plan", "--format", "json", directory).out)["configurationDigest"]
        for directory in (applied.directory, tmp_path / "checkout")
    }
    assert len(digests) == 1


# What a plan is for, and what it may delete


def test_a_plan_for_a_part_is_marked(run: Reconcile, applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    ran = run("plan", applied.directory, "--exclude", "PopSettings")
    assert "PARTIAL: without PopSettings. Nothing else was looked at." in ran.out
    assert "pop3" not in ran.out


def test_a_selection_of_nothing_is_an_error(run: Reconcile, applied: Runtime) -> None:
    ran = run("plan", applied.directory, "--only", "ImapSetings/*")
    assert ran.code == 1
    assert "did you mean ImapSettings/*?" in ran.err


def test_apply_takes_a_selection(run: Reconcile, applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    assert run("apply", "--yes", "--only", "PopSettings", applied.directory).code == 0
    document = json.loads(run("plan", "--format", "json", applied.directory).out)
    assert [change["kind"] for change in document["changes"]] == ["ImapSettings"]


@pytest.fixture
def without_bob(run: Reconcile, applied: Runtime) -> Reconcile:
    """The estate with bob and the accepted domain no longer declared."""
    file = applied.directory / "estate.yaml"
    documents = file.read_text(encoding="utf-8").split("---\n")
    kept = [text for text in documents if "{name: bob}" not in text and "kind: AcceptedDomain" not in text]
    file.write_text("---\n".join(kept), encoding="utf-8")
    return run


def test_what_is_undeclared_is_listed_and_stays(without_bob: Reconcile, applied: Runtime) -> None:
    ran = without_bob("plan", applied.directory)
    assert ran.code == 0
    assert "Live but not declared, left alone\n  AcceptedDomain/contoso\n  Mailbox/bob" in ran.out
    drift = without_bob("drift", applied.directory)
    assert drift.code == 0
    assert "Live but not declared:\n  AcceptedDomain/contoso\n  Mailbox/bob" in drift.out


def test_prune_deletes_all_but_the_mailbox(without_bob: Reconcile, applied: Runtime) -> None:
    ran = without_bob("plan", "--prune", applied.directory)
    assert ran.code == 2
    assert "- AcceptedDomain/contoso" in ran.out
    assert "Mailbox/bob: a Mailbox is deleted only by name: --delete Mailbox/bob" in ran.out


def test_a_named_mailbox_is_deleted(without_bob: Reconcile, applied: Runtime) -> None:
    ran = without_bob("apply", "--yes", "--prune", "--delete", "Mailbox/bob", applied.directory)
    assert ran.code == 0
    live = json.loads(without_bob("live", "get", "--format", "json").out)
    assert "bob" not in json.dumps(live)


# Lifecycle, which the next tests leave behind: they come last


def _replace(applied: Runtime, old: str, new: str) -> None:
    file = applied.directory / "estate.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_a_protected_mailbox_outlives_its_declaration(run: Reconcile, applied: Runtime) -> None:
    _replace(applied, "metadata: {name: bob}", "metadata: {name: bob}\nlifecycle: {protect: true}")
    assert "lifecycle.protect  false -> true" in run("plan", applied.directory).out
    assert run("apply", "--yes", applied.directory).code == 0
    assert run("plan", applied.directory).code == 0
    file = applied.directory / "estate.yaml"
    documents = file.read_text(encoding="utf-8").split("---\n")
    file.write_text("---\n".join(text for text in documents if "{name: bob}" not in text), encoding="utf-8")
    ran = run("plan", "--delete", "Mailbox/bob", applied.directory)
    assert "Mailbox/bob: it is protected" in ran.out


def test_a_rename_is_planned_and_applied(run: Reconcile, applied: Runtime) -> None:
    _replace(applied, "metadata: {name: bob}", "metadata: {name: robert}\nlifecycle: {renamedFrom: bob}")
    assert "~ Mailbox/robert, renamed from bob" in run("plan", applied.directory).out
    drift = run("drift", applied.directory)
    assert drift.code == 0
    assert "Mailbox/robert is live as bob: pending, the next apply renames it" in drift.out
    assert run("apply", "--yes", applied.directory).code == 0
    assert run("plan", applied.directory).code == 0
