from __future__ import annotations

from dataclasses import replace

from reconciler.model import (
    Action,
    Change,
    Desired,
    Diagnostic,
    Key,
    Lifecycle,
    LiveState,
    Plan,
    Position,
    Resource,
    Severity,
)
from reconciler.planning import make_plan
from reconciler.planning.rename import rename_remarks
from tests.planning.builders import AUTOMATIC, FILE, desired, live, resource, running, server

ALICE = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}


def mailbox(name: str, **fields: object) -> Resource:
    return resource("Mailbox", name, {**ALICE, **fields})


def was(item: Resource, name: str) -> Resource:
    return replace(item, lifecycle=Lifecycle(renamed_from=name))


def plan(declared: Desired, state: LiveState) -> Plan:
    return make_plan(declared, state, digests={})


def only(found: Plan) -> Change:
    (change,) = found.changes
    return change


def test_a_rename_is_one_update() -> None:
    found = plan(desired(was(mailbox("ally"), "alice")), live(mailbox("alice")))
    change = only(found)
    assert (change.key, change.action, change.renamed_from) == (
        Key("Mailbox", "ally"),
        Action.UPDATE,
        "alice",
    )
    assert found.undeclared == ()


def test_a_rename_is_bound_to_both_names() -> None:
    found = plan(desired(was(mailbox("ally"), "alice")), live(mailbox("alice")))
    assert found.fingerprint == {Key("Mailbox", "alice"): 7, Key("Mailbox", "ally"): None}


def test_fields_that_change_along_are_shown() -> None:
    declared = was(mailbox("ally", imapEnabled=False), "alice")
    (field,) = (
        f for f in only(plan(desired(declared), live(mailbox("alice")))).fields if f.path == "imapEnabled"
    )
    assert (field.old, field.new) == (True, False)


def test_after_the_rename_nothing_is_left_to_do() -> None:
    assert plan(desired(was(mailbox("ally"), "alice")), live(mailbox("ally"))).is_empty


def test_without_the_old_one_it_is_made_anew() -> None:
    assert only(plan(desired(was(mailbox("ally"), "alice")), live())).action is Action.CREATE


def test_a_connector_keeps_its_server() -> None:
    fields = {"bindings": ["127.0.0.1:10587"], "transportRole": "FrontendTransport"}
    node = server(services={"frontend-transport": AUTOMATIC})
    declared = desired(node, was(resource("ReceiveConnector", "ex01/inbound", fields), "client"))
    state = live(
        node,
        resource("ReceiveConnector", "ex01/client", fields),
        services=[running("ex01/frontend-transport", 3)],
    )
    found = plan(declared, state)
    assert only(found).renamed_from == "ex01/client"
    assert [(i.service, i.action.value) for i in found.impacts] == [("ex01/frontend-transport", "reload")]


def test_protection_is_a_change_of_its_own() -> None:
    declared = replace(mailbox("alice"), lifecycle=Lifecycle(protect=True))
    (field,) = only(plan(desired(declared), live(mailbox("alice")))).fields
    assert (field.path, field.old, field.new) == ("lifecycle.protect", False, True)


def remarks(declared: Resource, *now: Resource) -> list[Diagnostic]:
    wanted, state = desired(declared), live(*now)
    return list(rename_remarks(plan(wanted, state), wanted, state))


def test_a_source_that_is_not_live_is_told_where_it_is_declared() -> None:
    declared = was(mailbox("ally"), "alise")
    positions = {**declared.positions, "lifecycle.renamedFrom": Position(FILE, 4, 3)}
    (remark,) = remarks(replace(declared, positions=positions), mailbox("alice"), mailbox("bob"))
    assert (remark.code, remark.severity, remark.position) == (
        "rename-source",
        Severity.WARNING,
        Position(FILE, 4, 3),
    )
    assert remark.message.startswith("Mailbox/ally lifecycle.renamedFrom: no Mailbox/alise is live")
    assert "Mailbox/alice is live and not declared; was it meant?" in str(remark.hint)


def test_a_source_that_is_live_is_not_told() -> None:
    assert remarks(was(mailbox("ally"), "alice"), mailbox("alice")) == []


def test_a_rename_that_is_done_is_not_told() -> None:
    done = was(mailbox("ally"), "alice")
    assert remarks(done, mailbox("ally")) == []
    assert remarks(done, mailbox("ally", popEnabled=False), mailbox("bob")) == []


def test_an_estate_that_is_new_is_not_warned_of_old_names() -> None:
    assert remarks(was(mailbox("ally"), "alice"), server()) == []


def test_another_server_has_nothing_to_do_with_it() -> None:
    fields = {"bindings": ["127.0.0.1:10587"], "transportRole": "FrontendTransport"}
    declared = was(resource("ReceiveConnector", "ex01/inbound", fields), "client")
    assert remarks(declared, resource("ReceiveConnector", "ex02/client", fields)) == []
    assert len(remarks(declared, resource("ReceiveConnector", "ex01/other", fields))) == 1
