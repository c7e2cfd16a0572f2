"""What is valid and probably not meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.declared.remarks import remarks
from reconciler.declared.source import DirectorySource
from reconciler.model import Diagnostic
from tests.declared.builders import DATABASE, SERVER, desired, document, loaded, mailbox
from tests.declared.pem import certificate_pem, key_pem

DOMAIN = document("AcceptedDomain", "contoso", "{domainName: contoso.example}")
RUNNING = SERVER.replace("{fqdn:", "{services: {imap4: {startupType: Automatic}}, fqdn:")


def said(directory: Path, *documents: str) -> list[Diagnostic]:
    return list(remarks(desired(loaded(directory, *documents)), DirectorySource(directory)))


def certificate(directory: Path, spec: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    (directory / "one.crt").write_bytes(certificate_pem(key))
    (directory / "one.key").touch(mode=0o600)
    (directory / "one.key").write_bytes(key_pem(key))
    files = "certificateFile: one.crt, privateKeyFile: one.key"
    return document("Certificate", "one", f"{{servers: [ex01], {files}{spec}}}")


def test_nothing_is_said_of_an_estate_that_is_as_it_should_be(tmp_path: Path) -> None:
    good = certificate(tmp_path, ", services: [IMAP]")
    assert said(tmp_path, RUNNING, DATABASE, DOMAIN, mailbox("alice"), good) == []


def test_fields_that_are_not_enforced_are_named_once(tmp_path: Path) -> None:
    quota = ", prohibitSendQuota: 1GB"
    people = [mailbox(name, quota) for name in ("alice", "bob")] + [mailbox("ann", ", recipientLimits: 7")]
    (remark,) = said(tmp_path, SERVER, DATABASE, DOMAIN, *people)
    assert remark.message == (
        "declared, not yet enforced: Mailbox/alice and 1 other prohibitSendQuota, Mailbox/ann recipientLimits"
    )
    assert remark.hint == "see `reconcile explain Mailbox`"


def test_a_default_that_is_written_out_is_not_named(tmp_path: Path) -> None:
    assert said(tmp_path, SERVER, DATABASE, DOMAIN, mailbox("alice", ", antispamBypassEnabled: false")) == []


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    server = RUNNING.replace("ex01.contoso.example", "mail.contoso.example")
    (remark,) = said(tmp_path, server, certificate(tmp_path, ", services: [IMAP]"))
    assert remark.code == "certificate-name"
    assert "(ex01.contoso.example) do not cover mail.contoso.example" in remark.message


@pytest.mark.parametrize("services", [", services: []", ", services: [SMTP]"])
def test_a_service_that_starts_without_a_certificate(tmp_path: Path, services: str) -> None:
    (remark,) = said(tmp_path, RUNNING, certificate(tmp_path, services))
    assert (remark.code, remark.hint) == ("no-certificate", "declare a Certificate with services: [IMAP]")


def test_a_service_without_tls_ports_needs_none(tmp_path: Path) -> None:
    settings = document("ImapSettings", "imap", "{servers: [ex01], sslBindings: []}")
    assert said(tmp_path, RUNNING, settings) == []


def test_a_domain_that_nobody_accepts_is_named_once(tmp_path: Path) -> None:
    (remark,) = said(tmp_path, SERVER, DATABASE, mailbox("alice"), mailbox("bob"))
    assert "no AcceptedDomain covers contoso.example" in remark.message


@pytest.mark.parametrize("domain", ["'*.example'", "example, matchSubDomains: true"])
def test_a_domain_below_an_accepted_one_is_covered(tmp_path: Path, domain: str) -> None:
    accepted = document("AcceptedDomain", "all", f"{{domainName: {domain}}}")
    assert said(tmp_path, SERVER, DATABASE, accepted, mailbox("alice")) == []
