"""The JSON Schema of overlays: parts of documents, as the merge takes them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.v1.json_schema import generated, overlay_schema
from schemas.v1.kinds import KINDS
from tests.schemas.building import data


@cache
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(overlay_schema())
    return Draft202012Validator(overlay_schema())


def overlay(kind: str, spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    given = {} if spec is None else {"spec": spec}
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": "it"}, **given, **more}


@pytest.mark.parametrize(
    "document",
    [
        overlay("ImapSettings", {"maxConnectionsPerUser": 32, "banner": None}),
        overlay("Server", {"services": {"imap4": {"startupType": None}}}),
        overlay("Server") | {"$patch": "delete"},
        overlay("Certificate", {"selfSigned": {"validDays": 90}}),
        overlay("ReceiveConnector", {"maxMessageSize": "${size}"}),
        overlay("Mailbox", {"password": {"secretRef": {"env": "ALICE"}}}),
        overlay("ImapSettings", metadata={"name": "imap", "labels": {"site": None}}),
        overlay("ImapSettings", lifecycle={"ignore": [{"path": "banner", "$patch": "delete"}]}),
        overlay("Variables", {"domain": {"value": "contoso.example"}}),
    ],
)
def test_a_part_is_enough(document: dict[str, Any]) -> None:
    validator().validate(document)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_document_is_taken_too(kind: str) -> None:
    servers = {"servers": ["ex01"]} if KINDS[kind].selects_servers else {}
    validator().validate(overlay(kind, {**servers, **data(kind)}))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_may_be_taken_back(kind: str) -> None:
    validator().validate(overlay(kind, dict.fromkeys(data(kind), None)))


@pytest.mark.parametrize(
    "document",
    [
        overlay("ImapSettings", {"maxConnectionsPerUser": "many"}),
        overlay("ImapSettings", {"maxConnectionPerUser": 5}),
        overlay("Server", {"services": {"imap5": None}}),
        overlay("Server") | {"$patch": "remove"},
        overlay("Mailbox", {"password": {"secretRef": {}}}),
        overlay("ImapSettings", {"servers": {}}),
        overlay("ImapSettings", {}, metadata={"labels": {"site": "dublin"}}),
    ],
)
def test_what_no_merge_makes_good_is_refused(document: dict[str, Any]) -> None:
    assert not validator().is_valid(document)


def test_it_is_published_with_the_others() -> None:
    assert "overlay.schema.json" in generated().texts
