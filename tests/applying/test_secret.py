"""Reading a secret where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.age import IDENTITY_FILE, IDENTITY_KEY, encrypt, generate
from reconciler.applying.secrets import digests, locked_writes
from reconciler.applying.work import prepare
from reconciler.model import Desired, Key, LiveState, Present, Severity
from reconciler.planning import make_plan
from reconciler.secret import SecretError, SecretRef, resolve
from tests.planning.builders import resource


def _in_file(path: Path, text: str) -> SecretRef:
    path.write_text(text, encoding="utf-8")
    return SecretRef("file", str(path))


def test_a_line_end_is_not_part_of_it(tmp_path: Path) -> None:
    assert resolve(_in_file(tmp_path / "password", "x" * 1024 + "\n")).reveal() == "x" * 1024


def test_a_secret_that_no_logon_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="is 1026 octets long; a password has at most 1024") as caught:
        resolve(_in_file(tmp_path / "password", "ü" * 513))
    assert "ü" not in str(caught.value)


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="is empty"):
        resolve(_in_file(tmp_path / "password", "\n"))


def _locked(directory: Path, *names: str) -> Desired:
    """Mailboxes whose secrets are encrypted to somebody else."""
    resources = {}
    for number, name in enumerate(names, start=1):
        path = directory / f"{name}.age"
        path.write_bytes(encrypt("secret", [generate().public]))
        fields = {"database": "db01", "primarySmtpAddress": f"{name}@contoso.example"}
        secrets = {"password": SecretRef("encrypted", str(path))}
        found = resource("Mailbox", name, fields, secrets=secrets, lines={"": number})
        resources[found.key] = found
    return Desired(resources, "0" * 64)


@pytest.fixture
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(IDENTITY_KEY, raising=False)
    monkeypatch.delenv(IDENTITY_FILE, raising=False)


@pytest.mark.usefixtures("_nobody")
def test_many_that_nobody_here_can_open_are_one_warning(tmp_path: Path) -> None:
    found, (problem,) = digests(_locked(tmp_path, "alice", "bob", "carol", "dave", "eve"), b"key")
    assert found == {}
    assert (problem.code, problem.severity) == ("locked-secret", Severity.WARNING)
    named = "(Mailbox/alice, Mailbox/bob, Mailbox/carol and 2 more)"
    assert problem.message.startswith(f"5 encrypted secrets cannot be opened {named}: each needs an identity")
    assert problem.position is not None
    assert problem.position.line == 1


@pytest.mark.usefixtures("_nobody")
def test_a_single_one_is_named_with_its_file(tmp_path: Path) -> None:
    _, (problem,) = digests(_locked(tmp_path, "alice"), b"key")
    assert problem.message.startswith(
        f"Mailbox/alice: encrypted secret {tmp_path / 'alice.age'} needs an identity"
    )


@pytest.mark.usefixtures("_nobody")
def test_other_reasons_are_told_apart(tmp_path: Path) -> None:
    desired = _locked(tmp_path, "alice", "bob")
    (tmp_path / "bob.age").write_text("no age")
    assert [one.code for one in digests(desired, b"key")[1]] == ["locked-secret", "unreadable-secret"]


@pytest.mark.usefixtures("_nobody")
def test_a_plan_that_has_to_write_what_nobody_here_can_open_says_so(tmp_path: Path) -> None:
    desired = _locked(tmp_path, "alice", "bob")
    found, _ = digests(desired, b"key")
    bob = Key("Mailbox", "bob")
    live = LiveState({bob: Present(desired.resources[bob].spec, 1, {"password": "a digest"})}, {})
    (other,) = digests(desired, b"key", live=live)[1]
    assert other.message.startswith("Mailbox/bob: ")  # there is no live secret of alice that might differ
    (warning,) = locked_writes(make_plan(desired, live, digests=found), desired, found)
    assert (warning.code, warning.severity) == ("locked-secret", Severity.WARNING)
    assert warning.message.startswith("Mailbox/alice: this plan has to write an encrypted secret")
    assert warning.position is not None
    assert warning.position.line == 1


@pytest.mark.usefixtures("_nobody")
def test_a_secret_that_cannot_be_written_is_named_with_its_line(tmp_path: Path) -> None:
    desired = _locked(tmp_path, "alice")
    plan = make_plan(desired, LiveState({}, {}), digests={})
    (place,) = (str(one.position("password")) for one in desired.resources.values())
    with pytest.raises(SecretError, match="Mailbox/alice password: encrypted secret") as raised:
        prepare(plan, desired=desired, live=LiveState({}, {}))
    assert str(raised.value).startswith(f"{place}: ")
