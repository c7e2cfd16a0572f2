"""Secrets in git: who can read them, what an edit and a rotation leave behind, and what is told of them."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from reconciler.age import (
    IDENTITY_FILE,
    IDENTITY_KEY,
    AgeError,
    KeyPair,
    NoIdentityError,
    decrypt,
    encrypt,
    generate,
)
from reconciler.authoring import secret_files
from reconciler.authoring.recipients import read_recipients, recipients_for
from reconciler.authoring.secret_files import (
    count_recipients,
    edit_secret,
    list_secrets,
    rotate,
    write_secret,
)
from reconciler.secret import LockedSecretError, SecretError, SecretRef, resolve
from tests.declared.builders import DATABASE, SERVER, codes, desired, loaded, mailbox

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> KeyPair:
    """An identity that the environment gives."""
    pair = generate()
    monkeypatch.setenv(IDENTITY_KEY, pair.private)
    monkeypatch.delenv(IDENTITY_FILE, raising=False)
    return pair


def recipients(directory: Path, *pairs: KeyPair) -> Path:
    (directory / "secrets").mkdir(exist_ok=True)
    file = directory / "secrets" / "recipients.txt"
    file.write_text("".join(f"{pair.public}\n" for pair in pairs), encoding="utf-8")
    return directory / "secrets" / "alice.age"


def resolved(file: Path) -> str:
    return resolve(SecretRef("encrypted", str(file))).reveal()


def editor(directory: Path, *lines: str) -> str:
    """A command that runs these lines of Python with `path` as what it is given to edit."""
    script = directory / "editor.py"
    head = "import pathlib, sys\npath = pathlib.Path(sys.argv[1])\n"
    script.write_text(head + "\n".join(lines), encoding="utf-8")
    return f"{sys.executable} {script}"


@pytest.mark.parametrize("text", ["007", "yes", "null", "1e3", " with spaces ", "ünï", "a\nb", "\n\n"])
def test_a_secret_stays_the_text_that_it_is(tmp_path: Path, key: KeyPair, text: str) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, text + "\n")
    assert resolved(file) == text


@given(TEXTS)
def test_any_text_comes_back(text: str) -> None:
    pair = generate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(IDENTITY_KEY, pair.private)
        patch.delenv(IDENTITY_FILE, raising=False)
        assert decrypt(encrypt(text, [pair.public])) == text


def test_the_file_is_text_and_holds_nothing_of_the_secret(tmp_path: Path, key: KeyPair) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "correct-horse")
    assert file.read_text(encoding="ascii").startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert b"horse" not in file.read_bytes()


def test_an_empty_secret_is_refused(tmp_path: Path, key: KeyPair) -> None:
    file = recipients(tmp_path, key)
    with pytest.raises(AgeError, match="empty"):
        write_secret(file, "\n")
    assert not file.exists()


def test_an_identity_can_come_from_a_file(
    tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "s3cret")
    identity = tmp_path / "identity.txt"
    identity.write_text(f"# mine\n{key.private}\n", encoding="utf-8")
    identity.chmod(0o600)
    monkeypatch.delenv(IDENTITY_KEY)
    monkeypatch.setenv(IDENTITY_FILE, str(identity))
    assert resolved(file) == "s3cret"


def test_an_identity_that_others_can_read_is_refused(
    tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "s3cret")
    identity = tmp_path / "identity.txt"
    identity.write_text(key.private, encoding="utf-8")
    identity.chmod(0o640)
    monkeypatch.setenv(IDENTITY_FILE, str(identity))
    with pytest.raises(SecretError, match="chmod 600") as raised:
        resolved(file)
    assert key.private not in str(raised.value)


def test_an_ssh_key_can_be_an_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    (tmp_path / ".reconcile-recipients").write_text(f"{public} alice@laptop\n", encoding="utf-8")
    write_secret(tmp_path / "alice.age", "s3cret")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    monkeypatch.delenv(IDENTITY_FILE, raising=False)
    monkeypatch.setenv(IDENTITY_KEY, private)
    assert resolved(tmp_path / "alice.age") == "s3cret"
    assert recipients_for(tmp_path / "alice.age").comments == ("alice@laptop",)


def test_a_comment_is_of_the_key_after_it_or_right_below(tmp_path: Path) -> None:
    first, second, third = (generate().public for _ in range(3))
    (tmp_path / "recipients.txt").write_text(f"# Who reads it\n\n{first}\n# bob\n{second}\n{third} # carol\n")
    assert recipients_for(tmp_path / "alice.age").comments == ("", "bob", "carol")


def test_without_an_identity_a_secret_is_locked(
    tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "s3cret")
    monkeypatch.delenv(IDENTITY_KEY)
    with pytest.raises(LockedSecretError, match="pass --identity FILE"):
        resolved(file)


def test_the_identity_of_somebody_else_does_not_open_it(
    tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "s3cret")
    monkeypatch.setenv(IDENTITY_KEY, generate().private)
    with pytest.raises(LockedSecretError, match="was not encrypted to the identity"):
        resolved(file)


def test_a_damaged_file_is_an_error_and_not_merely_locked(tmp_path: Path, key: KeyPair) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "s3cret")
    file.write_bytes(file.read_bytes()[:150])
    with pytest.raises(SecretError, match="damaged") as raised:
        resolved(file)
    assert not isinstance(raised.value, LockedSecretError)


def test_a_bad_key_in_the_environment_is_not_repeated(key: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encrypt("s3cret", [key.public])
    monkeypatch.setenv(IDENTITY_KEY, "AGE-SECRET-KEY-1NOTAKEY")
    with pytest.raises(AgeError) as raised:
        decrypt(content)
    assert "NOTAKEY" not in str(raised.value)
    assert not isinstance(raised.value, NoIdentityError)


def test_the_nearest_list_of_recipients_counts(tmp_path: Path) -> None:
    far, near = generate(), generate()
    (tmp_path / ".reconcile-recipients").write_text(far.public, encoding="utf-8")
    (tmp_path / "production").mkdir()
    (tmp_path / "production" / "recipients.txt").write_text(near.public, encoding="utf-8")
    assert recipients_for(tmp_path / "production" / "alice.age").keys == (near.public,)
    assert recipients_for(tmp_path / "test" / "alice.age").keys == (far.public,)


def test_the_search_for_recipients_ends_at_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".reconcile-recipients").write_text(generate().public, encoding="utf-8")
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    with pytest.raises(AgeError, match="no list of who may read it"):
        recipients_for(tmp_path / "repository" / "alice.age")


def test_a_bad_line_in_the_list_is_named(tmp_path: Path) -> None:
    file = tmp_path / "recipients.txt"
    file.write_text(f"# who\n{generate().public}  # alice\nage1nobody\n", encoding="utf-8")
    with pytest.raises(AgeError, match=r"recipients\.txt:3: 'age1nobody' is no public key"):
        read_recipients(file)


def test_a_private_key_in_the_list_is_refused_without_repeating_it(tmp_path: Path) -> None:
    file = tmp_path / "recipients.txt"
    private = generate().private
    file.write_text(private, encoding="utf-8")
    with pytest.raises(AgeError, match="private key") as raised:
        read_recipients(file)
    assert private not in str(raised.value)


def test_rotation_lets_in_who_joined_and_keeps_out_who_left(
    tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = generate()
    file = recipients(tmp_path, key)
    write_secret(file, "s3cret")
    recipients(tmp_path, joined)
    assert rotate(tmp_path) == (file,)
    with pytest.raises(LockedSecretError):
        resolved(file)
    monkeypatch.setenv(IDENTITY_KEY, joined.private)
    assert resolved(file) == "s3cret"


def test_a_rotation_that_cannot_open_a_file_writes_none(tmp_path: Path, key: KeyPair) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "s3cret")
    before = file.read_bytes()
    (tmp_path / "secrets" / "bob.age").write_bytes(encrypt("other", [generate().public]))
    with pytest.raises(AgeError, match=r"bob\.age was not encrypted"):
        rotate(tmp_path)
    assert file.read_bytes() == before


def test_an_edit_is_encrypted_and_leaves_nothing_in_clear(
    tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_files, "_MEMORY", (str(tmp_path),))
    file = recipients(tmp_path, key)
    write_secret(file, "before")
    run = editor(
        tmp_path,
        "record = pathlib.Path(__file__).with_name('record')",
        "record.write_text(f'{path.stat().st_mode:o} {path.parent.stat().st_mode:o} {path.read_text()}')",
        "path.with_name('alice~').write_text('a backup of the editor')",
        "path.write_text('after\\n')",
    )
    assert edit_secret(file, editor=run)
    assert resolved(file) == "after"
    assert (tmp_path / "record").read_text(encoding="utf-8") == "100600 40700 before\n"
    assert _left(tmp_path) == {"editor.py", "record", "recipients.txt", "alice.age"}


def test_an_edit_that_changes_nothing_leaves_the_file_as_it_was(tmp_path: Path, key: KeyPair) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "before")
    content = file.read_bytes()
    assert not edit_secret(file, editor=editor(tmp_path, "path.write_text('before\\n')"))
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "line", ["sys.exit(3)", "path.unlink()", "path.write_text('')", "path.write_bytes(b'\\xff')"]
)
def test_an_edit_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(secret_files, "_MEMORY", (str(tmp_path),))
    file = recipients(tmp_path, key)
    write_secret(file, "before")
    content = file.read_bytes()
    with pytest.raises(AgeError, match="the file is as it was"):
        edit_secret(file, editor=editor(tmp_path, line))
    assert file.read_bytes() == content
    assert _left(tmp_path) == {"editor.py", "recipients.txt", "alice.age"}


def test_a_file_keeps_its_mode(tmp_path: Path, key: KeyPair) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "before")
    file.chmod(0o640)
    write_secret(file, "after")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize("people", [1, 2, 3])
def test_the_number_of_readers_can_be_seen_without_a_key(people: int) -> None:
    assert count_recipients(encrypt("s3cret", [generate().public for _ in range(people)])) == people


def test_the_list_tells_who_uses_what_and_what_is_stale(tmp_path: Path, key: KeyPair) -> None:
    file = recipients(tmp_path, key)
    write_secret(file, "s3cret")
    recipients(tmp_path, key, generate())
    reference = ", password: {secretRef: {encrypted: secrets/alice.age}}"
    estate = desired(loaded(tmp_path, SERVER, DATABASE, mailbox("alice", reference)))
    [row] = list_secrets(tmp_path, (None, estate))
    assert (row.file, row.held_for, row.used_by, row.is_stale) == (file, 1, ("Mailbox/alice password",), True)


def test_a_declared_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    reference = ", password: {secretRef: {encrypted: secrets/alice.age}}"
    result = loaded(tmp_path, SERVER, DATABASE, mailbox("alice", reference))
    assert codes(result) == ["secret-file"]
    assert "secret encrypt" in str(result.diagnostics[0].hint)


def test_a_declared_file_in_clear_is_an_error_that_does_not_repeat_it(tmp_path: Path) -> None:
    (tmp_path / "alice.age").write_text("hunter2", encoding="utf-8")
    reference = ", password: {secretRef: {encrypted: alice.age}}"
    result = loaded(tmp_path, SERVER, DATABASE, mailbox("alice", reference))
    assert codes(result) == ["secret-file"]
    assert "is not encrypted" in result.diagnostics[0].message
    assert "hunter2" not in repr(result)


def _left(directory: Path) -> set[str]:
    return set(_names(directory.rglob("*")))


def _names(paths: Iterable[Path]) -> Iterable[str]:
    return (path.name for path in paths if path.is_file())
