"""`secret list`, `import --update` and `validate` on an estate with environments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.age import encrypt, generate
from reconciler.authoring.updated import update
from reconciler.declared.load import load
from reconciler.model import Key, LiveState, Present
from schemas.v1.codec import parse_spec
from tests.cli.conftest import Ran
from tests.declared.builders import DATABASE, SERVER, mailbox, together, write
from tests.support.estate import Runtime

Reconcile = Callable[..., Ran]
IMAP = """\
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {name: imap}
spec: {servers: [ex01], maxConnectionsPerUser: 16}
"""
POP = IMAP.replace("Imap", "Pop").replace("imap", "pop")


@pytest.fixture
def layered(tmp_path: Path) -> Path:
    """A base with a secret, and two overlays of which production has a secret and POP3 settings of its own."""
    estate, pair = tmp_path / "estate", generate()
    alice = mailbox("alice", ", password: {secretRef: {encrypted: secrets/alice.age}}")
    write(estate / "base", estate=together(SERVER, DATABASE, IMAP, alice))
    write(estate / "overlays" / "staging", imap=IMAP.replace("16", "32"))
    patch = "{password: {secretRef: {encrypted: secrets/alice.age}}}"
    patched = f"apiVersion: reconciler/v1\nkind: Mailbox\nmetadata: {{name: alice}}\nspec: {patch}\n"
    write(estate / "overlays" / "production", mailboxes=patched, pop=POP)
    for place in ("base", "overlays/production"):
        secrets = estate / place / "secrets"
        secrets.mkdir()
        (secrets / "recipients.txt").write_text(f"{pair.public}\n", encoding="utf-8")
        (secrets / "alice.age").write_bytes(encrypt("correct horse", [pair.public]))
    return estate


def test_the_secrets_of_every_environment_are_listed(layered: Path, reconcile: Reconcile) -> None:
    ran = reconcile("secret", "list", layered)
    assert (ran.code, ran.err) == (0, "")
    assert "staging: Mailbox/alice password" in ran.out
    assert "production: Mailbox/alice password" in ran.out
    assert "no declaration uses it" not in ran.out


def test_a_list_that_has_grown_says_how_to_rotate(layered: Path, reconcile: Reconcile) -> None:
    with (layered / "base" / "secrets" / "recipients.txt").open("a") as stream:
        stream.write(f"{generate().public} # bob\n")
    out = reconcile("secret", "list", layered).out
    assert f"encrypted to 1 key, but the list has 2: run `reconcile secret rotate {layered}`" in out
    out = reconcile("secret", "list", layered / "overlays" / "staging").out
    assert f"run `reconcile secret rotate {layered / 'base' / 'secrets'}`" in out


def test_those_of_one_environment_are_listed(layered: Path, reconcile: Reconcile) -> None:
    for arguments in (("--environment", "staging", layered), (layered / "overlays" / "staging",)):
        ran = reconcile("secret", "list", *arguments)
        assert (ran.code, ran.err) == (0, "")
        assert "base/secrets/alice.age" in ran.out
        assert "production:" not in ran.out


VERBS = (
    ("validate",),
    ("plan",),
    ("drift",),
    ("apply", "--yes"),
    ("apply", "--dry-run"),
    ("up",),
    ("daemon",),
    ("import", "--update"),
    ("secret", "list"),
    ("policy", "check"),
)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("said", ["--environment", "RECONCILE_ENVIRONMENT"])
def test_an_overlay_and_another_environment_are_an_error(
    verb: tuple[str, ...],
    said: str,
    layered: Path,
    reconcile: Reconcile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overlay = layered / "overlays" / "staging"
    option = ["--environment", "production"] if said == "--environment" else []
    if not option:
        monkeypatch.setenv(said, "production")
    ran = reconcile("--state", layered.parent / "state", *verb, overlay, *option)
    assert ran.code == 1
    assert f"{overlay} is the environment staging, and {said} says production; nothing was read" in ran.err
    assert f"name the directory {layered / 'overlays' / 'production'}, or leave {said} out" in ran.err


def test_an_overlay_and_its_own_environment_agree(
    layered: Path, reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILE_ENVIRONMENT", "staging")
    overlay = layered / "overlays" / "staging"
    assert reconcile("secret", "list", overlay, "--environment", "staging").code == 0
    assert reconcile("secret", "list", overlay).code == 0


def _live(directory: Path, **changes: dict[str, object]) -> LiveState:
    found = load(directory).desired
    assert found is not None
    specs = {key: resource.spec for key, resource in found.resources.items()}
    specs |= {Key(kind, "ex01"): parse_spec(kind, spec) for kind, spec in changes.items()}
    return LiveState({key: Present(spec, 1) for key, spec in specs.items()}, {})


def test_an_update_changes_the_files_of_its_environment_alone(layered: Path) -> None:
    home = layered / "overlays" / "production"
    live = _live(home, ImapSettings={"maxConnectionsPerUser": 5}, PopSettings={"maxConnectionsPerUser": 7})
    desired = load(home).desired
    assert desired is not None
    found = update(home, desired, live, server=None, secrets="comment")
    assert [str(path) for path in found.files] == [str(home / "pop.yaml")]
    ((subject, reason),) = found.left
    assert subject.startswith(str(layered / "base" / "estate.yaml"))
    assert "maxConnectionsPerUser is live as 5" in reason


def test_what_is_new_goes_where_it_is_read(layered: Path, runtime: Runtime) -> None:
    runtime.apply()
    refused = runtime.reconcile("import", "--update", str(layered), expect=1)
    assert "no environment is chosen" in refused.stderr
    ran = runtime.reconcile("import", "--update", str(layered), "--environment", "production", expect=1)
    assert f"updated {layered / 'overlays' / 'production'}" in ran.stdout
    assert str(layered / "base") not in ran.stdout
    there = load(layered, environment="production").desired
    elsewhere = load(layered, environment="staging").desired
    assert there is not None
    assert elsewhere is not None
    assert Key("Mailbox", "bob") in there.resources
    assert Key("Mailbox", "bob") not in elsewhere.resources


@pytest.mark.parametrize(
    "verb", [("validate",), ("plan",), ("review", "--base", "main")], ids=lambda it: it[0]
)
def test_an_environment_without_a_name_is_refused_in_words(
    layered: Path, reconcile: Reconcile, verb: tuple[str, ...]
) -> None:
    ran = reconcile(*verb, layered, "--environment", "")
    assert ran.code == 1
    assert "the name is empty; name an environment, or leave the option out" in ran.err


def test_no_name_reaches_the_terminal_raw(tmp_path: Path, reconcile: Reconcile) -> None:
    named = "pro\x1b[2J\nNote: all is well"
    write(tmp_path / "base", server=SERVER)
    write(tmp_path / "overlays" / named)
    ran = reconcile("validate", tmp_path / "overlays" / named, "--environment", "test")
    assert ran.code == 1
    assert r"is the environment pro\x1b[2J\nNote: all is well, and --environment says test" in ran.err
    assert "\x1b" not in ran.err
    assert ran.err.count("\n") == 1
