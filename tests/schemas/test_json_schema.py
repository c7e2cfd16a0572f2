"""The JSON Schemas: up to date, valid, and of one mind with the models."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from schemas.v1.codec import dump_spec, parse_spec
from schemas.v1.document import parse_document
from schemas.v1.facts import fields
from schemas.v1.json_schema import document_schema, estate_schema, generated
from schemas.v1.kinds import KINDS
from tests.schemas.building import data, spec


@cache
def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(document_schema(KINDS[kind]))


@cache
def estate() -> Draft202012Validator:
    return Draft202012Validator(estate_schema())


def document(kind: str, **changes: Any) -> dict[str, Any]:
    """A document of the kind in the form of YAML, its spec with these fields."""
    servers = {"servers": ["ex01"]} if KINDS[kind].selects_servers else {}
    return {
        "apiVersion": "reconciler/v1",
        "kind": kind,
        "metadata": {"name": "it", "labels": {"site": "dublin"}},
        "spec": {**servers, **data(kind, **changes)},
    }


def is_valid_to_models(found: dict[str, Any]) -> bool:
    try:
        checked = parse_document(found)
        parse_spec(checked.kind, {name: value for name, value in checked.spec.items() if name != "servers"})
    except ValidationError:
        return False
    return True


GOOD = [
    (
        "Server",
        {"services": {"imap4": {"startupType": "Automatic"}, "pop3-backend": {}}, "drainTimeout": "1m"},
    ),
    ("Certificate", {"selfSigned": None, "certificateFile": "a.crt", "privateKeyFile": "a.key"}),
    ("Certificate", {"selfSigned": None, "thumbprint": "AB:" * 31 + "AB", "chain": ["cd" * 32]}),
    ("AcceptedDomain", {"domainName": "*.contoso.example", "addressBookEnabled": None}),
    ("ThrottlingPolicy", {"popMaxConcurrency": None, "imapMaxConcurrency": "unlimited", "popMaxBurst": 5}),
    ("MailboxDatabase", {"issueWarningQuota": "1.75 GB", "deletedItemRetention": "14.00:00:00"}),
    (
        "ImapSettings",
        {"sslBindings": None, "logPerFileSizeQuota": 0, "internalConnectionSettings": ["a.example:993:ssl"]},
    ),
    (
        "PopSettings",
        {"maxCommandSize": 40, "messageRetrievalSortOrder": "Descending", "x509CertificateName": None},
    ),
    ("ReceiveConnector", {"remoteIPRanges": ["192.0.2.0/24", "::1-::9", "192.0.2.7"], "tarpitInterval": 0}),
    (
        "ReceiveConnector",
        {
            "maxMessageSize": "36 MB (37,748,736 bytes)",
            "tlsDomainCapabilities": ["a.example:AcceptCloudServicesMail"],
        },
    ),
    (
        "ReceiveConnector",
        {"extendedRights": {"anonymousLogon": ["ms-Exch-SMTP-Submit"], "authenticatedUsers": None}},
    ),
    ("Mailbox", {"password": {"secretRef": {"env": "ALICE"}}, "sclJunkThreshold": None, "alias": "a.b"}),
    ("Mailbox", {"emailAddresses": ["SMTP:alice@contoso.example", "x500:/o=Contoso/cn=alice"]}),
]

BAD = [
    ("Server", {"services": {"imap5": {}}}),
    ("Server", {"passwordHashing": {"memoryCost": 1}}),
    ("Certificate", {"selfSigned": {"validDays": 0}}),
    ("Certificate", {"chain": ["ab" * 32]}),
    ("Certificate", {"selfSigned": None, "privateKeyFile": "a.key", "thumbprint": "ab" * 32}),
    ("AcceptedDomain", {"domainName": "contoso..example"}),
    ("AcceptedDomain", {"domainType": "authoritative"}),
    ("ThrottlingPolicy", {"popMaxConcurrency": -1}),
    ("ThrottlingPolicy", {"popMaxConcurrency": "20"}),
    ("MailboxDatabase", {"server": 5}),
    ("MailboxDatabase", {"mailboxRetention": "a month"}),
    ("ImapSettings", {"maxCommandSize": 1023}),
    ("ImapSettings", {"loginType": 3}),
    ("ImapSettings", {"protocolLogEnabled": "yes"}),
    ("ImapSettings", {"sslBindings": "127.0.0.1:993"}),
    ("PopSettings", {"banner": "two\nlines"}),
    ("ReceiveConnector", {"maxInboundConnectionPerSource": 10001}),
    ("ReceiveConnector", {"maxMessageSize": "36 MiB"}),
    (
        "ReceiveConnector",
        {"extendedRights": {"anonymousLogon": ["ms-Exch-SMTP-Accept-Authoritative-Domain"]}},
    ),
    ("ReceiveConnector", {"extendedRights": ["ms-Exch-SMTP-Submit"]}),
    ("Mailbox", {"password": "hunter2"}),
    ("Mailbox", {"password": {"secretRef": {"env": "A", "file": "b"}}}),
    ("Mailbox", {"sclJunkThreshold": 10}),
    *((kind, {"bogus": 1}) for kind in KINDS),
]


def test_the_checked_in_files_are_up_to_date() -> None:
    assert generated().stale() == ()


@pytest.mark.parametrize("text", generated().texts.values(), ids=list(generated().texts))
def test_making_them_again_gives_the_same(text: str) -> None:
    assert text in generated().texts.values()


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_a_schema(kind: str) -> None:
    Draft202012Validator.check_schema(document_schema(KINDS[kind]))


def test_the_estate_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(estate_schema())


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_document_is_accepted(kind: str) -> None:
    assert validator(kind).is_valid(document(kind))
    assert estate().is_valid(document(kind))


@pytest.mark.parametrize(("kind", "changes"), GOOD)
def test_what_the_models_accept_is_accepted(kind: str, changes: dict[str, Any]) -> None:
    assert is_valid_to_models(document(kind, **changes))
    assert [error.message for error in validator(kind).iter_errors(document(kind, **changes))] == []


@pytest.mark.parametrize(("kind", "changes"), BAD)
def test_what_is_plainly_wrong_is_refused_by_both(kind: str, changes: dict[str, Any]) -> None:
    assert not is_valid_to_models(document(kind, **changes))
    assert not validator(kind).is_valid(document(kind, **changes))
    assert not estate().is_valid(document(kind, **changes))


@pytest.mark.parametrize("kind", KINDS)
def test_the_canonical_form_is_accepted(kind: str) -> None:
    found = document(kind) | {"spec": dump_spec(spec(kind))}
    if KINDS[kind].selects_servers:
        found["spec"]["servers"] = {"matchLabels": {"site": "dublin"}}
    assert [error.message for error in validator(kind).iter_errors(found)] == []


def test_servers_are_asked_for() -> None:
    found = document("ImapSettings")
    del found["spec"]["servers"]
    assert not validator("ImapSettings").is_valid(found)


def test_bindings_are_asked_for_unless_the_usage_gives_them() -> None:
    found = document("ReceiveConnector", usage="Internet")
    del found["spec"]["bindings"]
    assert not validator("ReceiveConnector").is_valid(found)
    found["spec"]["usage"] = "Client"
    assert validator("ReceiveConnector").is_valid(found)


def test_an_unknown_kind_is_refused() -> None:
    assert not estate().is_valid(document("Mailbox") | {"kind": "MailServer"})


def test_a_kind_may_leave_fields_to_others() -> None:
    ignore = {"lifecycle": {"ignore": [{"path": "banner", "reason": "the branch office sets it"}]}}
    assert validator("ImapSettings").is_valid(document("ImapSettings") | ignore)
    assert not validator("ImapSettings").is_valid(document("ImapSettings") | {"lifecycle": {"prune": True}})


def test_facts_go_along() -> None:
    found = document_schema(KINDS["ImapSettings"])["properties"]["spec"]["properties"][
        "maxConnectionsPerUser"
    ]
    assert found == {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 2147483647},
            {"type": "string", "pattern": r"\$\{"},
        ],
        "default": 16,
        "x-exchange-name": "MaxConnectionsPerUser",
        "x-unit": "connections",
        "x-range": "between 1 and 2147483647",
        "x-impact": "restart",
        "x-services": ["imap4", "imap4-backend"],
        "x-security": "limits how many connections one client can hold",
        "description": fields("ImapSettings")["maxConnectionsPerUser"].description,
    }


def test_what_is_not_enforced_is_marked() -> None:
    found = document_schema(KINDS["ImapSettings"])["properties"]["spec"]["properties"]["suppressReadReceipt"]
    assert found["x-not-yet-enforced"] is True
