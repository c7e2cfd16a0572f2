"""Certificates and secrets outside of what is watched: what is renewed while they are read is not lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from reconciler.daemon import notices
from reconciler.daemon.feed import DirectoryFeed
from reconciler.model import Key, Present
from tests.daemon.builders import Stage
from tests.declared.pem import certificate_pem, key_pem
from tests.support.waiting import eventually


class Once:
    """A call of the target that something happens at, the first time."""

    def __init__(self, stage: Stage, call: str, happens: Callable[[], object]) -> None:
        self._answer = getattr(stage.bench.target, call)
        self._happens: Callable[[], object] | None = happens

    def __call__(self, *arguments: object, **options: object) -> object:
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()
        return self._answer(*arguments, **options)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Followed from the test's `start` on until its end."""
    found = Stage(tmp_path)
    yield found
    found.wish.ask_stop()


def start(stage: Stage) -> None:
    Thread(target=stage.loop.run, daemon=True).start()


def renew(directory: Path) -> str:
    """Another pair; the thumbprint of its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    (directory / "mail.crt").write_bytes(certificate_pem(key))
    (directory / "mail.key").write_bytes(key_pem(key))
    (directory / "mail.key").chmod(0o600)
    found = x509.load_pem_x509_certificate((directory / "mail.crt").read_bytes())
    return found.fingerprint(SHA256()).hex()


def live_thumbprint(stage: Stage) -> object:
    found = stage.bench.target.read(Key("Certificate", "ex01/mail"))
    return getattr(found.spec, "thumbprint", None) if isinstance(found, Present) else None


def declare_certificate(stage: Stage, directory: Path) -> None:
    (stage.directory / "mail.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Certificate\nmetadata: {name: mail}\n"
        f"spec: {{servers: [ex01], services: [IIS], certificateFile: {directory}/mail.crt, "
        f"privateKeyFile: {directory}/mail.key}}\n"
    )


def declare_secret(stage: Stage, file: Path) -> None:
    (stage.directory / "carol.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Mailbox\nmetadata: {name: carol}\n"
        "spec: {database: db01, primarySmtpAddress: carol@contoso.example, "
        f"password: {{secretRef: {{file: {file}}}}}}}\n"
    )


def test_a_certificate_that_is_renewed_while_it_is_read_is_applied(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew(tmp_path)
    declare_certificate(stage, tmp_path)
    renewed = list[str]()
    renews = Once(stage, "digest_key", lambda: renewed.append(renew(tmp_path)))
    monkeypatch.setattr(stage.bench.target, "digest_key", renews)
    start(stage)
    eventually(lambda: renewed and live_thumbprint(stage) == renewed[0], what="the renewed certificate")


def test_a_password_that_is_saved_after_it_was_read_is_told(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "elsewhere"
    secret.write_text("first")
    declare_secret(stage, secret)
    stage.round()
    reporting = Stage(tmp_path, heals=False, before=stage)
    saves = Once(reporting, "services", lambda: secret.write_text("second"))
    monkeypatch.setattr(stage.bench.target, "services", saves)
    start(reporting)
    eventually(
        lambda: [one for one in reporting.told if isinstance(one, notices.Found)], what="the other password"
    )
    reporting.wish.ask_stop()


@pytest.mark.parametrize("was_good", [False, True])
def test_a_certificate_that_was_missing_is_applied_once_it_is_there(
    stage: Stage, tmp_path: Path, *, was_good: bool
) -> None:
    if was_good:
        stage.round()
    declare_certificate(stage, tmp_path)
    start(stage)
    eventually(lambda: any(isinstance(one, notices.Broken) for one in stage.told), what="what is missing")
    renewed = renew(tmp_path)
    eventually(lambda: live_thumbprint(stage) == renewed, what="the certificate")


def test_while_files_are_broken_those_in_use_are_followed_too(stage: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.write_text("first")
    declare_secret(stage, secret)
    stage.round()
    (stage.directory / "carol.yaml").write_text("kind: [\n")
    stage.round()
    stage.feed.look()
    secret.write_text("second")
    assert stage.feed.look().has_changed


def test_files_are_read_again_only_when_others_are_referred_to(stage: Stage, tmp_path: Path) -> None:
    """Those in the directory were looked at with it."""
    feed = DirectoryFeed(stage.directory, state=tmp_path / "state")
    feed.look()
    inside, outside = stage.directory / "secrets" / "alice", tmp_path / "outside"
    outside.write_text("a secret")
    assert not feed.refer_to(frozenset({inside}))
    assert feed.refer_to(frozenset({inside, outside}))
    assert not feed.refer_to(frozenset({inside, outside}))
    assert not feed.look().has_changed


def test_what_changes_before_others_are_referred_to_is_a_change(stage: Stage, tmp_path: Path) -> None:
    feed = DirectoryFeed(stage.directory, state=tmp_path / "state")
    first, second = tmp_path / "first", tmp_path / "second"
    for file in (first, second):
        file.write_text("a secret")
    feed.refer_to(frozenset({first}))
    feed.look()
    first.write_text("another secret")
    feed.refer_to(frozenset({first, second}))
    assert feed.look().has_changed
    assert not feed.look().has_changed
