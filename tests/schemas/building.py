"""Builders of spec data: the least that each kind needs, to which a test adds what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from schemas.v1.base import Spec
from schemas.v1.codec import parse_spec

LEAST: Mapping[str, Mapping[str, Any]] = {
    "Server": {"fqdn": "ex01.contoso.example"},
    "Certificate": {"selfSigned": {}, "services": ["IMAP"]},
    "AcceptedDomain": {"domainName": "contoso.example"},
    "ThrottlingPolicy": {},
    "MailboxDatabase": {"server": "ex01"},
    "ImapSettings": {},
    "PopSettings": {},
    "ReceiveConnector": {"bindings": ["127.0.0.1:10025"]},
    "Mailbox": {"database": "db01", "primarySmtpAddress": "alice@contoso.example"},
}


def data(kind: str, **changes: Any) -> dict[str, Any]:
    """The least data of the kind with these fields, in YAML names."""
    return {**LEAST[kind], **changes}


def spec(kind: str, **changes: Any) -> Spec:
    """The spec of that data."""
    return parse_spec(kind, data(kind, **changes))


def errors(kind: str, **changes: Any) -> list[tuple[str, str]]:
    """(YAML path, message) of everything that is wrong with that data."""
    try:
        spec(kind, **changes)
    except ValidationError as error:
        return [(".".join(map(str, line["loc"])), line["msg"]) for line in error.errors()]
    return []
