"""A certificate from files through all of it: two checkouts, one that goes away, an import, a renewal, a way back."""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.declared.pem import certificate_pem, key_pem
from tests.support.estate import Runtime, write_estate

CERTIFICATE = "Certificate/ex01/development"


def certify(directory: Path) -> str:
    """A new certificate and key; its thumbprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = certificate_pem(key)
    (directory / "mail.crt").write_bytes(pem)
    (directory / "mail.key").touch(mode=0o600)
    (directory / "mail.key").write_bytes(key_pem(key))
    return thumbprint(pem.decode())


def thumbprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def shown(runtime: Runtime) -> str:
    return thumbprint(ssl.get_server_certificate(("127.0.0.1", runtime.ports.imaps), timeout=30))


def checkout(runtime: Runtime, directory: Path) -> Path:
    """The estate with a certificate from files, not made yet."""
    write_estate(directory, runtime.ports)
    estate = directory / "estate.yaml"
    text = estate.read_text(encoding="utf-8")
    estate.write_text(
        text.replace("selfSigned: {}", "certificateFile: mail.crt, privateKeyFile: mail.key"),
        encoding="utf-8",
    )
    return directory


@pytest.fixture
def one(applied: Runtime, tmp_path: Path) -> Path:
    """A checkout whose certificate is live."""
    directory = checkout(applied, tmp_path / "one")
    certify(directory)
    applied.reconcile("apply", "--yes", str(directory))
    return directory


def test_another_checkout_of_the_same_plans_nothing(applied: Runtime, one: Path, tmp_path: Path) -> None:
    other = shutil.copytree(one, tmp_path / "other")
    assert "No changes" in applied.reconcile("plan", str(other)).stdout
    assert str(one) not in applied.reconcile("live", "get", CERTIFICATE).stdout


def test_the_runtime_starts_again_when_the_checkout_that_was_applied_is_gone(
    applied: Runtime, one: Path
) -> None:
    wanted = thumbprint((one / "mail.crt").read_text())
    shutil.rmtree(one)
    applied.reconcile("runtime", "stop")
    applied.reconcile("runtime", "start")
    assert applied.service("imap4")["state"] == "running"
    assert shown(applied) == wanted


def test_a_renewed_file_is_a_new_thumbprint_and_a_reload(applied: Runtime, one: Path) -> None:
    before = thumbprint((one / "mail.crt").read_text())
    after = certify(one)
    plan = json.loads(applied.reconcile("plan", str(one), "--format", "json", expect=2).stdout)
    (change,) = plan["changes"]
    assert [(one["path"], one["old"], one["new"]) for one in change["fields"]] == [
        ("thumbprint", before, after)
    ]
    assert {one["action"] for one in plan["services"]} == {"reload"}
    applied.reconcile("apply", "--yes", str(one))
    assert shown(applied) == after


def test_a_plan_right_after_an_import_is_empty_and_holds_no_path(
    applied: Runtime, one: Path, tmp_path: Path
) -> None:
    wanted = thumbprint((one / "mail.crt").read_text())
    shutil.rmtree(one)
    out = tmp_path / "imported"
    applied.reconcile("import", "--out", str(out))
    assert "No changes" in applied.reconcile("plan", str(out)).stdout
    written = (out / "servers/ex01/server.yaml").read_text(encoding="utf-8")
    assert f"thumbprint: {wanted}" in written.replace('"', "")
    assert "File" not in written
    assert not list(out.rglob("*.key"))


def test_a_rollback_brings_the_old_certificate_back_without_its_file(applied: Runtime, one: Path) -> None:
    before = thumbprint((one / "mail.crt").read_text())
    number = len(applied.reconcile("history").stdout.splitlines()) - 1
    certify(one)
    applied.reconcile("apply", "--yes", str(one))
    shutil.rmtree(one)
    applied.reconcile("rollback", "--to", str(number), "--yes")
    assert shown(applied) == before


def test_a_thumbprint_that_the_server_has_not_got_is_refused_and_nothing_changes(
    applied: Runtime, one: Path
) -> None:
    wanted = thumbprint((one / "mail.crt").read_text())
    estate = one / "estate.yaml"
    text = estate.read_text(encoding="utf-8")
    estate.write_text(
        text.replace("certificateFile: mail.crt, privateKeyFile: mail.key", f"thumbprint: '{'ab' * 32}'"),
        encoding="utf-8",
    )
    done = applied.reconcile("apply", "--yes", str(one), expect=1)
    assert f"ex01 has no certificate {'ab' * 32}" in done.stderr
    assert "everything was rolled back" in done.stderr
    assert shown(applied) == wanted
