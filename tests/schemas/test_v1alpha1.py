"""The first version of the contract: its schema, and the way to the present one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import schemas.v1alpha1
from schemas.v1.codec import parse_spec
from schemas.v1alpha1.upgrade import upgrade

SCHEMA = json.loads((Path(schemas.v1alpha1.__path__[0]) / "json/reconciler.schema.json").read_text())


def document(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "reconciler/v1alpha1",
        "kind": kind,
        "metadata": {"name": "it", "labels": {"site": "dublin"}},
        "spec": spec,
    }


OLD_AND_NEW = [
    (
        "Server",
        {"fqdn": "a.example", "services": [{"name": "imap4", "startup": "Automatic"}, {"name": "pop3"}]},
        {"fqdn": "a.example", "services": {"imap4": {"startupType": "Automatic"}, "pop3": {}}},
    ),
    (
        "Certificate",
        {"server": "ex01", "selfSigned": {}, "services": ["IMAP"]},
        {"servers": ["ex01"], "selfSigned": {}, "services": ["IMAP"]},
    ),
    (
        "ReceiveConnector",
        {"serverLabels": {"site": "dublin"}, "bindings": ["127.0.0.1:25"]},
        {"servers": {"matchLabels": {"site": "dublin"}}, "bindings": ["127.0.0.1:25"]},
    ),
    (
        "PopSettings",
        {
            "server": "ex01",
            "listen": {"plain": [], "tls": ["127.0.0.1:995"]},
            "limits": {"connections": 9, "perAddress": 8, "perUser": 7, "commandSize": 45},
            "timeouts": {"authenticated": "30m", "preAuthenticated": "1m"},
        },
        {
            "servers": ["ex01"],
            "unencryptedOrTLSBindings": [],
            "sslBindings": ["127.0.0.1:995"],
            "maxConnections": 9,
            "maxConnectionFromSingleIP": 8,
            "maxConnectionsPerUser": 7,
            "maxCommandSize": 45,
            "authenticatedConnectionTimeout": "30m",
            "preAuthenticatedConnectionTimeout": "1m",
        },
    ),
    (
        "Mailbox",
        {
            "database": "db01",
            "addresses": {"primary": "a@b.example", "others": ["c@b.example"]},
            "password": {"env": "A"},
        },
        {
            "database": "db01",
            "primarySmtpAddress": "a@b.example",
            "emailAddresses": ["c@b.example"],
            "password": {"secretRef": {"env": "A"}},
        },
    ),
    ("AcceptedDomain", {"domainName": "contoso.example"}, {"domainName": "contoso.example"}),
]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(("kind", "old", "new"), OLD_AND_NEW)
def test_it_has_another_shape_and_the_same_meaning(
    kind: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert Draft202012Validator(SCHEMA).is_valid(document(kind, old))
    found = upgrade(document(kind, old)).document
    assert found["apiVersion"] == "reconciler/v1"
    assert list(found["spec"].items()) == list(new.items())
    assert parse_spec(kind, {name: value for name, value in new.items() if name != "servers"}) is not None


@pytest.mark.parametrize(("kind", "old", "new"), OLD_AND_NEW)
def test_the_argument_stays_as_it_was(kind: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    before = document(kind, old)
    copy = json.loads(json.dumps(before))
    upgrade(before)
    assert before == copy
    assert new


@pytest.mark.parametrize(("kind", "old", "new"), OLD_AND_NEW)
def test_every_new_node_comes_from_an_old_one(kind: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    before = document(kind, old)
    for trail, origin in upgrade(before).origins.items():
        value: Any = before
        for step in origin:
            value = value[step]
        assert trail == () or value is not None
    assert new


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ImapSettings", {}),
        ("ImapSettings", {"limits": 5}),
        ("ImapSettings", {"limits": {"other": 1}}),
        ("Server", {"services": [1]}),
        ("Server", {"services": [{"startup": "Manual"}]}),
        ("Unknown", {"server": None}),
    ],
)
def test_what_it_does_not_know_stays(kind: str, spec: dict[str, Any]) -> None:
    assert upgrade(document(kind, spec)).document["spec"] == spec


def test_one_server_or_labels() -> None:
    both = {"server": "ex01", "serverLabels": {"site": "dublin"}, "services": ["IMAP"]}
    assert not Draft202012Validator(SCHEMA).is_valid(document("Certificate", both))
    assert not Draft202012Validator(SCHEMA).is_valid(document("Certificate", {}))
