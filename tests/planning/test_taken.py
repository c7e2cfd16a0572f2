"""A logon name of a live mailbox that stays is not given to another."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model import Diagnostic, Key, LiveState, Present, Prune, Resource
from reconciler.planning import make_plan
from reconciler.planning.moves import move_problems, refused_moves
from tests.planning.builders import desired, live, resource

LINES = {"primarySmtpAddress": 5, "domainName": 5}


def mailbox(name: str, address: str) -> Resource:
    return resource("Mailbox", name, {"database": "db01", "primarySmtpAddress": address}, lines=LINES)


DORA = mailbox("dora", "dora@contoso.example")


def problems(*declared: Resource, now: tuple[Resource, ...]) -> list[Diagnostic]:
    wanted, state = desired(*declared), live(*now)
    plan = make_plan(wanted, state, digests={})
    return list(move_problems(plan, wanted, state))


def test_a_new_mailbox_with_the_address_of_an_undeclared_one_is_refused() -> None:
    (problem,) = problems(mailbox("dorothea", "Dora@contoso.example"), now=(DORA,))
    assert problem.code == "name-taken"
    assert "dora@contoso.example belongs to Mailbox/dora" in problem.message
    assert problem.position is not None
    assert problem.position.line == LINES["primarySmtpAddress"]
    assert problem.hint is not None
    assert "lifecycle: {renamedFrom: dora}" in problem.hint
    assert "--delete Mailbox/dora" in problem.hint


def test_an_update_to_the_address_of_an_undeclared_one_is_refused() -> None:
    before = mailbox("anna", "anna@contoso.example")
    wanted, state = desired(mailbox("anna", "dora@contoso.example")), live(before, DORA)
    plan = make_plan(wanted, state, digests={})
    assert [key for key, _ in refused_moves(plan, wanted, state)] == [Key("Mailbox", "anna")]


def test_two_that_swap_are_not() -> None:
    before = mailbox("anna", "anna@contoso.example")
    after = (mailbox("anna", "dora@contoso.example"), mailbox("dora", "anna@contoso.example"))
    assert problems(*after, now=(before, DORA)) == []


def test_the_address_of_one_that_is_deleted_is_free() -> None:
    database = resource("MailboxDatabase", "db01", {"server": "ex01"})
    found = live(database, DORA).resources.items()
    ours = {key: replace(one, managed_by="reconciler") for key, one in found if isinstance(one, Present)}
    wanted, state = desired(database, mailbox("dorothea", "dora@contoso.example")), LiveState(ours, {})
    plan = make_plan(wanted, state, digests={}, prune=Prune(named=frozenset({Key("Mailbox", "dora")})))
    assert list(move_problems(plan, wanted, state)) == []


def domain(name: str, text: str = "contoso.example") -> Resource:
    return resource("AcceptedDomain", name, {"domainName": text}, lines=LINES)


def test_a_new_domain_resource_with_the_domain_of_an_undeclared_one_is_refused() -> None:
    (problem,) = problems(domain("contoso"), now=(domain("old"),))
    assert problem.code == "name-taken"
    assert "domainName: contoso.example belongs to AcceptedDomain/old" in problem.message
    assert problem.hint == (
        "if it is the same, write lifecycle: {renamedFrom: old}; or delete the other: --delete AcceptedDomain/old"
    )


def test_a_domain_is_no_logon_name() -> None:
    held = mailbox("contoso.example", "dora@contoso.example")
    assert problems(domain("contoso"), domain("other", "other.example"), held, now=(held,)) == []
