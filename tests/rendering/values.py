"""One plan with a bit of everything, as planning makes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.model import (
    Action,
    Change,
    FieldChange,
    Hold,
    Key,
    Lifecycle,
    LiveState,
    Observed,
    Plan,
    Position,
    Present,
    Prune,
    Resource,
    Selection,
    Unreadable,
)
from reconciler.planning import make_plan
from reconciler.secret import SecretRef
from tests.planning.builders import AUTOMATIC, RUNNING_IMAP, desired, live, resource, running, server

PASSWORD = {"password": SecretRef("file", "/estate/secrets/alice")}
ALICE: dict[str, object] = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}
BOB: dict[str, object] = {"database": "db01", "primarySmtpAddress": "bob@contoso.example"}
NOTE = "${limit} is set at overlays/test/variables.yaml:7:24"


def declared() -> list[Resource]:
    """What is declared: a limit raised, a password changed, a mailbox added, a connector enlarged."""
    connector = {
        "bindings": ["127.0.0.1:10587"],
        "transportRole": "FrontendTransport",
        "maxMessageSize": "64MB",
    }
    return [
        server(services=RUNNING_IMAP),
        resource("ImapSettings", "ex01", {"maxConnectionsPerUser": 32}, lines={"maxConnectionsPerUser": 14}),
        resource("ReceiveConnector", "ex01/client", connector, lines={"": 20, "maxMessageSize": 27}),
        resource("Mailbox", "alice", ALICE, secrets=PASSWORD, lines={"": 30, "password": 36}),
        resource("Mailbox", "bob", BOB, lines={"": 40, "database": 44, "primarySmtpAddress": 45}),
        resource("Mailbox", "carol", BOB | {"primarySmtpAddress": "carol@contoso.example"}),
    ]


def observed() -> LiveState:
    """What is live instead."""
    connector = {"bindings": ["127.0.0.1:10587"], "transportRole": "FrontendTransport"}
    state = live(
        server(services=RUNNING_IMAP),
        server("ex09"),
        resource("ImapSettings", "ex01", {"banner": "tuned by hand"}),
        resource("ReceiveConnector", "ex01/client", connector),
        resource("Mailbox", "alice", ALICE, secrets=PASSWORD),
        services=[
            running("ex01/imap4", 41),
            running("ex01/imap4-backend", 40),
            running("ex01/frontend-transport", 3),
            running(
                "ex01/transport", 1, pending="restart", pending_fields=((Key("Server", "ex01"), "fqdn"),)
            ),
        ],
    )
    unreadable: dict[Key, Observed] = {Key("Mailbox", "carol"): Unreadable("the runtime answered 503")}
    return LiveState({**state.resources, **unreadable}, state.services)


def plan() -> Plan:
    """The plan between the two."""
    return make_plan(desired(*declared()), observed(), digests={Key("Mailbox", "alice"): {"password": "new"}})


def empty_plan() -> Plan:
    """A plan that does nothing."""
    return make_plan(desired(server()), live(server()), digests={})


def first_plan() -> Plan:
    """A plan on an empty runtime."""
    return make_plan(desired(server(services={"imap4": AUTOMATIC})), LiveState({}, {}), digests={})


def noted_plan() -> Plan:
    """A plan whose only new value comes from a variable."""
    here, whole = (Position(Path("base/imap.yaml"), line, column) for line, column in ((10, 26), (1, 1)))
    field = FieldChange("maxConnectionsPerUser", 16, 32, position=here, note=NOTE)
    change = Change(Key("ImapSettings", "ex01"), Action.UPDATE, (field,), 7, whole)
    return Plan("0" * 64, (change,), (), {change.key: 7})


def patched_plan() -> Plan:
    """A plan whose only new value stands in an overlay, and its resource in the base."""
    (change,) = noted_plan().changes
    field = replace(change.fields[0], position=Position(Path("overlays/test/imap.yaml"), 22, 5), note="")
    return Plan("0" * 64, (replace(change, fields=(field,)),), (), {change.key: 7})


def every_plan() -> Plan:
    """What the others lack: a selection, a rename, deletions with a cascade, a refusal, a hold, a secret that cannot be
    opened."""
    renamed = resource("Mailbox", "ally", ALICE, lines={"": 30})
    locked = resource("Mailbox", "dora", BOB, secrets=PASSWORD)
    held = Hold("AcceptedDomain/held", "2030-01-31T18:00:00Z", "a migration", "bob", since="")
    declared = desired(
        server(services=RUNNING_IMAP), replace(renamed, lifecycle=Lifecycle(True, "alice")), locked
    )
    state = live(
        server(services=RUNNING_IMAP),
        resource("Mailbox", "alice", ALICE),
        resource("Mailbox", "bob", BOB),
        locked,
        resource("MailboxDatabase", "db01", {"server": "ex01"}),
        resource("AcceptedDomain", "held", {"domainName": "held.example", "domainType": "Authoritative"}),
        resource("ImapSettings", "ex01", {"maxConnectionsPerUser": 32}),
        resource("PopSettings", "ex01"),
        resource("AcceptedDomain", "old", {"domainName": "old.example", "domainType": "Authoritative"}),
        services=[running("ex01/imap4", 41), running("ex01/imap4-backend", 40)],
    )
    managed = {
        key: replace(found, managed_by="reconciler", protected=key.kind == "AcceptedDomain")
        for key, found in state.resources.items()
        if isinstance(found, Present)
    }
    prune = Prune(True, frozenset({Key("Mailbox", "bob"), Key("MailboxDatabase", "db01")}))
    selection = Selection(exclude=("PopSettings/*",))
    return make_plan(
        declared,
        LiveState({**managed}, state.services),
        digests={},
        selection=selection,
        prune=prune,
        holds=[held],
    )
