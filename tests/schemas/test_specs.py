"""Rules and peculiarities of the other kinds."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.v1.codec import dump_spec
from schemas.v1.mailbox import Mailbox
from schemas.v1.server import Server
from schemas.v1.services import SERVICES
from tests.schemas.building import errors, spec

FILES = {"selfSigned": None, "certificateFile": "a.crt", "privateKeyFile": "a.key"}


@pytest.mark.parametrize(
    ("kind", "changes", "path"),
    [
        ("ImapSettings", {"calendarItemRetrievalOption": "Custom"}, "calendarItemRetrievalOption"),
        ("PopSettings", {"calendarItemRetrievalOption": "Custom"}, "calendarItemRetrievalOption"),
        ("Certificate", {**FILES, "selfSigned": {}}, "selfSigned"),
        ("Certificate", {"selfSigned": None}, "certificateFile"),
        ("Certificate", {**FILES, "privateKeyFile": None}, "privateKeyFile"),
        ("Certificate", {**FILES, "certificateFile": None}, "certificateFile"),
        ("Certificate", {"thumbprint": "ab" * 32}, "thumbprint"),
        ("Certificate", {**FILES, "thumbprint": "ab"}, "thumbprint"),
        ("Certificate", {"chain": ["ab" * 32]}, "chain"),
        ("Certificate", {"selfSigned": {"subjectAlternativeNames": ["*.contoso.example"]}}, "services"),
        ("AcceptedDomain", {"domainName": "*.contoso.example", "makeDefault": True}, "makeDefault"),
        ("MailboxDatabase", {"issueWarningQuota": "3GB"}, "issueWarningQuota"),
        ("MailboxDatabase", {"prohibitSendQuota": "3GB"}, "prohibitSendQuota"),
        ("MailboxDatabase", {"recoverableItemsWarningQuota": "31GB"}, "recoverableItemsWarningQuota"),
        ("MailboxDatabase", {"calendarLoggingQuota": "31GB"}, "calendarLoggingQuota"),
        ("Mailbox", {"issueWarningQuota": "3GB", "prohibitSendReceiveQuota": "2GB"}, "issueWarningQuota"),
        ("Mailbox", {"emailAddresses": ["SMTP:bob@contoso.example"]}, "emailAddresses"),
        (
            "Mailbox",
            {"acceptMessagesOnlyFrom": ["bob"], "acceptMessagesOnlyFromSendersOrMembers": ["bob"]},
            "acceptMessagesOnlyFromSendersOrMembers",
        ),
        ("Mailbox", {"alias": "a b"}, "alias"),
        ("Server", {"fqdn": "ex 01"}, "fqdn"),
        ("Server", {"services": {"imap4": {"startupType": "automatic"}}}, "services.imap4.startupType"),
        ("Server", {"services": {"imap4": "Automatic"}}, "services.imap4"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(kind: str, changes: dict[str, Any], path: str) -> None:
    assert [found for found, _ in errors(kind, **changes)] == [path]


def test_quotas_without_limit_break_no_order() -> None:
    assert not errors("Mailbox", prohibitSendReceiveQuota="2GB")


def test_a_thumbprint_is_kept_as_lower_case_digits() -> None:
    assert (
        dump_spec(spec("Certificate", **FILES, thumbprint=":".join(["AB"] * 32)))["thumbprint"] == "ab" * 32
    )


def test_a_certificate_is_live_by_its_thumbprint_and_without_its_files() -> None:
    known = {"selfSigned": None, "thumbprint": "ab" * 32, "chain": ["cd" * 32]}
    assert spec("Certificate", **FILES | known).as_live() == spec("Certificate", **known)
    assert spec("Certificate", **FILES).as_live() == spec("Certificate", **FILES)


def test_services_start_as_exchange_has_them() -> None:
    services = Server(fqdn="ex01.contoso.example").services
    found = {
        services.yaml_name(name): getattr(services, name).startup_type for name in type(services).model_fields
    }
    assert found == {name: facts.default_startup_type for name, facts in SERVICES.items()}


def test_null_is_unlimited_in_a_throttling_policy() -> None:
    assert dump_spec(spec("ThrottlingPolicy", popMaxConcurrency=None))["popMaxConcurrency"] == "Unlimited"


def test_the_primary_address_is_not_kept_twice() -> None:
    found = spec(
        "Mailbox", emailAddresses=["SMTP:Alice@contoso.example", "smtp:a@contoso.example", "X500:/o=Contoso"]
    )
    assert isinstance(found, Mailbox)
    assert found.email_addresses == ("a@contoso.example", "x500:/o=Contoso")
    assert found.smtp_addresses == ("alice@contoso.example", "a@contoso.example")


@pytest.mark.parametrize(
    "reference", [{"file": "secrets/alice"}, {"env": "ALICE"}, {"encrypted": "secrets/alice.age"}]
)
def test_a_password_is_a_reference(reference: dict[str, str]) -> None:
    found = spec("Mailbox", password={"secretRef": reference})
    assert isinstance(found, Mailbox)
    assert found.password is not None
    assert {found.password.source: found.password.location} == reference


@pytest.mark.parametrize(
    "value",
    [
        "hunter2",
        42,
        ["hunter2"],
        {"secretRef": "hunter2"},
        {"secretRef": {"file": ""}},
        {"secretRef": {"vault": "hunter2"}},
        {"value": "hunter2"},
    ],
)
def test_a_password_in_the_clear_is_refused_and_not_repeated(value: object) -> None:
    [(path, message)] = errors("Mailbox", password=value)
    assert path == "password"
    assert message.startswith(
        "expected {secretRef: {file: PATH}}, {secretRef: {env: NAME}} or {secretRef: {encrypted: PATH}}, got something else"  # noqa: E501
    )
    assert "hunter2" not in message
