"""What changes cost which services, as a table: kind, live name, before, after, effects."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from schemas.v1.base import Spec
from schemas.v1.effects import Effect, changed_fields, effects
from schemas.v1.impact import Impact
from tests.schemas.building import spec

Found = tuple[str, Impact, tuple[str, ...]]


class Case(NamedTuple):
    about: str
    kind: str
    name: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    expected: list[Found]


def restart(*services: str, fields: tuple[str, ...] = ()) -> list[Found]:
    return [(service, Impact.RESTART, fields) for service in services]


def reload(*services: str, fields: tuple[str, ...] = ()) -> list[Found]:
    return [(service, Impact.RELOAD, fields) for service in services]


AUTOMATIC = {"startupType": "Automatic"}
MANUAL = {"startupType": "Manual"}
NO_TRANSPORT = {"frontend-transport": MANUAL, "transport": MANUAL}
FRONT = {"transportRole": "FrontendTransport"}
STARTUP = "services.{}.startupType"

CASES = [
    Case("nothing changed", "ImapSettings", "ex01", {}, {}, []),
    Case(
        "a limit restarts both halves of the protocol",
        "ImapSettings",
        "ex01",
        {},
        {"maxConnectionsPerUser": 32},
        restart("imap4", "imap4-backend", fields=("maxConnectionsPerUser",)),
    ),
    Case(
        "two fields are one restart with two causes",
        "PopSettings",
        "ex01",
        {"banner": "a"},
        {"banner": "b", "loginType": "PlainTextLogin"},
        restart("pop3", "pop3-backend", fields=("banner", "loginType")),
    ),
    Case(
        "new settings are compared with the defaults that ran so far",
        "ImapSettings",
        "ex01",
        None,
        {"banner": "a"},
        restart("imap4", "imap4-backend", fields=("banner",)),
    ),
    Case("new settings that say nothing new", "ImapSettings", "ex01", None, {}, []),
    Case(
        "settings that go leave the defaults",
        "ImapSettings",
        "ex01",
        {"banner": "a"},
        None,
        restart("imap4", "imap4-backend", fields=("banner",)),
    ),
    Case(
        "a startup type concerns its own service",
        "Server",
        "ex01",
        {},
        {"services": {"pop3-backend": AUTOMATIC}},
        restart("pop3-backend", fields=(STARTUP.format("pop3-backend"),)),
    ),
    Case(
        "a new server starts what is automatic",
        "Server",
        "ex01",
        None,
        {"services": {**NO_TRANSPORT, "imap4": AUTOMATIC}},
        restart("imap4", fields=(STARTUP.format("imap4"),)),
    ),
    Case(
        "a server that goes ends what runs",
        "Server",
        "ex01",
        {"services": {**NO_TRANSPORT, "pop3": AUTOMATIC}},
        None,
        restart("pop3"),
    ),
    Case(
        "the server's name is in every greeting",
        "Server",
        "ex01",
        {},
        {"fqdn": "ex02.contoso.example"},
        restart("imap4", "pop3", "frontend-transport", "transport", fields=("fqdn",)),
    ),
    Case("the drain time takes effect at once", "Server", "ex01", {}, {"drainTimeout": "5s"}, []),
    Case("hashing takes effect at once", "Server", "ex01", {}, {"passwordHashing": {"timeCost": 3}}, []),
    Case(
        "a new certificate",
        "Certificate",
        "ex01/dev",
        None,
        {"services": ["IMAP", "SMTP"]},
        reload("imap4", "frontend-transport", "transport"),
    ),
    Case("a certificate that goes", "Certificate", "ex01/dev", {"services": ["POP"]}, None, reload("pop3")),
    Case("a certificate for the web only", "Certificate", "ex01/dev", None, {"services": ["IIS"]}, []),
    Case(
        "a certificate enabled for one more service",
        "Certificate",
        "ex01/dev",
        {"services": ["IMAP"]},
        {"services": ["IMAP", "POP"]},
        reload("pop3", fields=("services",)),
    ),
    Case(
        "a certificate with other names",
        "Certificate",
        "ex01/dev",
        {"services": ["IMAP"]},
        {"services": ["IMAP"], "selfSigned": {"subjectAlternativeNames": ["mail.contoso.example"]}},
        reload("imap4", fields=("selfSigned.subjectAlternativeNames",)),
    ),
    Case(
        "a file instead of a self-signed one",
        "Certificate",
        "ex01/dev",
        {"services": ["IMAP"]},
        {"services": ["IMAP"], "selfSigned": None, "certificateFile": "/a.crt", "privateKeyFile": "/a.key"},
        reload("imap4", fields=("certificateFile", "privateKeyFile", "selfSigned")),
    ),
    Case("a new connector", "ReceiveConnector", "ex01/client", None, FRONT, reload("frontend-transport")),
    Case("a new connector that is closed", "ReceiveConnector", "ex01/client", None, {"enabled": False}, []),
    Case("a connector that goes", "ReceiveConnector", "ex01/client", {}, None, reload("transport")),
    Case(
        "a connector's limit",
        "ReceiveConnector",
        "ex01/client",
        FRONT,
        {**FRONT, "maxHopCount": 5},
        reload("frontend-transport", fields=("maxHopCount",)),
    ),
    Case(
        "a connector that changes hands",
        "ReceiveConnector",
        "ex01/client",
        {},
        FRONT,
        reload("frontend-transport", "transport", fields=("transportRole",)),
    ),
    Case(
        "a connector that opens",
        "ReceiveConnector",
        "ex01/client",
        {"enabled": False},
        {},
        reload("transport", fields=("enabled",)),
    ),
    Case(
        "a closed connector",
        "ReceiveConnector",
        "ex01/client",
        {"enabled": False},
        {"enabled": False, "maxHopCount": 5},
        [],
    ),
    Case("a connector's comment", "ReceiveConnector", "ex01/client", {}, {"comment": "for printers"}, []),
    Case("a mailbox", "Mailbox", "alice", {}, {"imapEnabled": False}, []),
    Case("a new mailbox", "Mailbox", "alice", None, {}, []),
    Case("a database", "MailboxDatabase", "db01", {}, {"mountAtStartup": False}, []),
    Case("an accepted domain", "AcceptedDomain", "contoso", None, {}, []),
    Case("a throttling policy", "ThrottlingPolicy", "strict", {}, {"popMaxConcurrency": 5}, []),
]


def built(kind: str, changes: dict[str, Any] | None) -> Spec | None:
    return None if changes is None else spec(kind, **changes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_a_change_costs(case: Case) -> None:
    found = effects(case.kind, case.name, built(case.kind, case.old), built(case.kind, case.new))
    assert [(effect.service, effect.impact, effect.fields) for effect in found] == case.expected


def test_an_effect_names_its_server() -> None:
    found = effects("Certificate", "ex02/dev", None, spec("Certificate", services=["POP"]))
    assert found == (Effect("ex02", "pop3", Impact.RELOAD, ()),)


def test_changed_fields_are_paths_of_what_differs_in_meaning() -> None:
    old = spec("Server", drainTimeout="30s")
    new = spec("Server", drainTimeout="00:00:30", services={"imap4": AUTOMATIC}, site="Dublin")
    assert changed_fields(old, new) == ("services.imap4.startupType", "site")
