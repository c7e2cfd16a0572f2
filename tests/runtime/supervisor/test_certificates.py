"""Certificates: declared files checked, self-signed ones made and kept."""

from __future__ import annotations

import shutil
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.net.tls import server_context
from runtime.services.base import CertificateFiles
from runtime.supervisor import certificates
from runtime.supervisor.certificates import CertificateError, prepare, read_facts
from runtime.supervisor.layout import Layout
from schemas.v1.certificate import Certificate
from schemas.v1.codec import parse_spec
from tests.runtime.certificates import make_pair, with_unreadable_names


def declared(**spec: Any) -> Certificate:
    found = parse_spec("Certificate", {"services": ["IMAP"]} | spec)
    assert isinstance(found, Certificate)
    return found


def make(state: Path, *, name: str = "development", **self_signed: Any) -> CertificateFiles:
    return prepared(state, declared(selfSigned=self_signed), name=name)


def prepared(state: Path, spec: Certificate, *, name: str = "development") -> CertificateFiles:
    return prepare(Layout(state), server="ex01", fqdn="ex01.contoso.example", name=name, spec=spec)


def from_files(certificate: Path, key: Path) -> Certificate:
    return declared(certificateFile=str(certificate), privateKeyFile=str(key))


def test_a_self_signed_certificate_is_for_the_server_and_loopback(tmp_path: Path) -> None:
    files = make(tmp_path)
    names = {"ex01.contoso.example", "ex01", "localhost", "127.0.0.1", "::1"}
    assert set(files.subject_alternative_names) == names
    assert files.services == {"IMAP"}


def test_declared_names_are_the_only_ones(tmp_path: Path) -> None:
    files = make(tmp_path, subjectAlternativeNames=["mail.contoso.example"])
    assert files.subject_alternative_names == ("mail.contoso.example",)


def test_it_is_valid_for_the_declared_time(tmp_path: Path) -> None:
    left = read_facts(make(tmp_path, validDays=30).certificate_file).not_after - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)


def test_the_key_is_its_owners_alone_and_nothing_is_left_over(tmp_path: Path) -> None:
    files = make(tmp_path)
    assert stat.S_IMODE(files.private_key_file.stat().st_mode) == 0o600
    assert {file.name for file in files.certificate_file.parent.iterdir()} == {
        "development.crt",
        "development.key",
    }


def test_it_is_kept_while_the_declaration_stays(tmp_path: Path) -> None:
    before = make(tmp_path).certificate_file.read_bytes()
    assert make(tmp_path).certificate_file.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [{"validDays": 31}, {"keyType": "RSA-2048"}, {"subjectAlternativeNames": ["mail.contoso.example"]}],
)
def test_it_is_made_again_when_the_declaration_changes(tmp_path: Path, change: dict[str, Any]) -> None:
    before = make(tmp_path).certificate_file.read_bytes()
    assert make(tmp_path, **change).certificate_file.read_bytes() != before
    after = make(tmp_path, **change).certificate_file.read_bytes()
    assert make(tmp_path, **change).certificate_file.read_bytes() == after


def test_it_is_made_again_when_it_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make(tmp_path, validDays=1).certificate_file.read_bytes()

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=2)

    monkeypatch.setattr(certificates, "datetime", Later)
    assert make(tmp_path, validDays=1).certificate_file.read_bytes() != before


def test_it_is_made_again_when_its_names_cannot_be_read(tmp_path: Path) -> None:
    files = make(tmp_path, subjectAlternativeNames=["localhost"])
    with_unreadable_names(files.certificate_file)
    assert make(tmp_path, subjectAlternativeNames=["localhost"]).subject_alternative_names == ("localhost",)


def test_one_whose_names_cannot_be_read_serves_without_them(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    with_unreadable_names(pair.certificate)
    assert prepared(tmp_path, from_files(pair.certificate, pair.key)).subject_alternative_names == ()


def test_it_is_made_again_when_half_of_the_pair_is_another(tmp_path: Path) -> None:
    files, other = make(tmp_path), make(tmp_path, name="other")
    shutil.copy(other.private_key_file, files.private_key_file)
    make(tmp_path)
    server_context(files.certificate_file, files.private_key_file)


@pytest.mark.parametrize("key_type", ["ECDSA-P256", "RSA-2048"])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "ex01.contoso.example"])
def test_a_strict_client_that_trusts_it_verifies_it(tmp_path: Path, key_type: str, name: str) -> None:
    files = make(tmp_path, keyType=key_type)
    client = ssl.create_default_context(cafile=files.certificate_file)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert (
        handshake(server_context(files.certificate_file, files.private_key_file), client, name) == "TLSv1.3"
    )


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(theirs, server_side=True) as tls:
            tls.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as tls:
            tls.send(b"x")
            return tls.version()
    finally:
        thread.join()


def test_declared_files_are_used_where_they_lie(tmp_path: Path) -> None:
    made = make(tmp_path / "elsewhere")
    files = prepared(tmp_path, from_files(made.certificate_file, made.private_key_file))
    assert files.certificate_file == made.certificate_file
    assert files.subject_alternative_names == made.subject_alternative_names


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    made = make(tmp_path)
    made.private_key_file.chmod(mode)
    with pytest.raises(
        CertificateError, match=f"certificate ex01/declared cannot be used.*chmod 600 {made.private_key_file}"
    ):
        prepared(tmp_path, from_files(made.certificate_file, made.private_key_file), name="declared")


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    one, other = make(tmp_path), make(tmp_path, name="other")
    with pytest.raises(CertificateError, match="cannot use certificate"):
        prepared(tmp_path, from_files(one.certificate_file, other.private_key_file), name="mixed")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"nowhere\.key"):
        prepared(tmp_path, from_files(tmp_path / "nowhere.crt", tmp_path / "nowhere.key"))


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.certificate_file.write_text("not PEM", encoding="utf-8")
    with pytest.raises(CertificateError, match=r"development\.crt"):
        prepared(tmp_path, from_files(made.certificate_file, made.private_key_file))
