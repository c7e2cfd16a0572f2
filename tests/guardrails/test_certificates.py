from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.guardrails.certificates import certificate_facts
from schemas.v1.certificate import Certificate
from schemas.v1.codec import parse_spec
from tests.declared.pem import (
    certificate_pem,
    of_no_version,
    on_an_unknown_curve,
    signed_in_an_unknown_way,
    with_names,
)


def facts(**spec: object) -> dict[str, object]:
    found = parse_spec("Certificate", {"services": ["IMAP"], **spec})
    assert isinstance(found, Certificate)
    return dict(certificate_facts(found, "ex01.contoso.example"))


def test_a_file_tells_names_dates_and_key(tmp_path: Path) -> None:
    file = tmp_path / "mail.crt"
    file.write_bytes(certificate_pem(ec.generate_private_key(ec.SECP256R1()), days=30))
    found = facts(certificateFile=str(file), privateKeyFile="mail.key")
    assert found["names"] == ["ex01.contoso.example"]
    assert (found["isSelfSigned"], found["keyAlgorithm"], found["keyBits"]) == (True, "EC", 256)
    assert (found["signatureHash"], found["services"]) == ("sha256", ["IMAP"])
    assert datetime.fromisoformat(str(found["notAfter"])).tzinfo is not None


def test_nothing_is_known_of_one_whose_key_nobody_knows(tmp_path: Path) -> None:
    file = tmp_path / "mail.crt"
    file.write_bytes(on_an_unknown_curve(certificate_pem(ec.generate_private_key(ec.SECP256R1()))))
    found = facts(certificateFile=str(file), privateKeyFile="mail.key")
    assert (found["names"], found["keyAlgorithm"]) == ([], None)


def test_nothing_is_known_of_one_that_cannot_be_read(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "mail.crt"
    for pem in (with_names(key, b"garbage"), of_no_version(certificate_pem(key))):
        file.write_bytes(pem)
        found = facts(certificateFile=str(file), privateKeyFile="mail.key")
        assert (found["names"], found["keyAlgorithm"]) == ([], None)


def test_a_signature_that_nobody_knows_hides_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "mail.crt"
    file.write_bytes(signed_in_an_unknown_way(certificate_pem(ec.generate_private_key(ec.SECP256R1()))))
    found = facts(certificateFile=str(file), privateKeyFile="mail.key")
    assert (found["keyAlgorithm"], found["signatureHash"]) == ("EC", None)


def test_one_that_is_yet_to_be_made_has_no_dates() -> None:
    found = facts(selfSigned={"keyType": "RSA-2048"})
    assert found["names"] == ["ex01.contoso.example"]
    assert (found["notAfter"], found["isSelfSigned"], found["keyBits"]) == (None, True, 2048)


def test_its_own_names_win() -> None:
    assert facts(selfSigned={"subjectAlternativeNames": ["mail.contoso.example"]})["names"] == [
        "mail.contoso.example"
    ]


def test_of_a_thumbprint_alone_nothing_else_is_known() -> None:
    found = facts(thumbprint="ab" * 32)
    assert (found["names"], found["keyAlgorithm"], found["services"]) == ([], None, ["IMAP"])


def test_a_file_that_is_not_there_tells_nothing() -> None:
    found = facts(certificateFile="/nowhere/mail.crt", privateKeyFile="mail.key")
    assert (found["names"], found["notAfter"], found["services"]) == ([], None, ["IMAP"])
