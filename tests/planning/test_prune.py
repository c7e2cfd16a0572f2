from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import Action, Key, LiveState, Observed, Plan, Present, Prune, Resource, Unreadable
from reconciler.planning import make_plan
from reconciler.planning.selection import SelectionError
from tests.planning.builders import desired, live, resource, server

PRUNE = Prune(is_on=True)
NAMES = [f"domain{number:02}" for number in range(20)]


def domain(name: str) -> Resource:
    return resource("AcceptedDomain", name, {"domainName": f"{name}.example", "domainType": "Authoritative"})


def mailbox(name: str, database: str = "db01") -> Resource:
    return resource("Mailbox", name, {"database": database, "primarySmtpAddress": f"{name}@contoso.example"})


def database(name: str = "db01") -> Resource:
    return resource("MailboxDatabase", name, {"server": "ex01"})


def managed(*resources: Resource, protected: bool = False) -> LiveState:
    """Live, and made by applies."""
    state = live(*resources)
    found: dict[Key, Observed] = {
        key: replace(one, managed_by="reconciler", protected=protected)
        for key, one in state.resources.items()
        if isinstance(one, Present)
    }
    return LiveState(found, {})


def named(*keys: str, prune: bool = False) -> Prune:
    return Prune(prune, frozenset(Key(*key.split("/", 1)) for key in keys))


def plan(state: LiveState, prune: Prune, *declared: Resource) -> Plan:
    return make_plan(desired(*declared), state, digests={}, prune=prune)


def deleted(found: Plan) -> list[str]:
    assert all(change.action is Action.DELETE for change in found.changes)
    return [str(change.key) for change in found.changes]


def reason(found: Plan, key: str) -> str:
    return next(refusal.reason for refusal in found.refused if str(refusal.key) == key)


def test_pruning_is_off_by_default() -> None:
    found = make_plan(desired(), managed(domain("old")), digests={})
    assert found.changes == ()
    assert found.undeclared == (Key("AcceptedDomain", "old"),)


def test_what_an_apply_made_and_nobody_declares_goes() -> None:
    found = plan(managed(domain("old")), PRUNE)
    assert deleted(found) == ["AcceptedDomain/old"]
    assert found.undeclared == ()
    assert found.fingerprint == {Key("AcceptedDomain", "old"): 7}


def test_what_somebody_made_by_hand_stays() -> None:
    found = plan(live(domain("old")), PRUNE)
    assert found.changes == ()
    assert found.undeclared == (Key("AcceptedDomain", "old"),)


def test_what_was_made_by_hand_stays_also_when_it_is_named() -> None:
    found = plan(live(domain("old")), named("AcceptedDomain/old"))
    assert "not made by an apply" in reason(found, "AcceptedDomain/old")


def test_a_protected_resource_stays() -> None:
    found = plan(managed(domain("old"), protected=True), named("AcceptedDomain/old", prune=True))
    assert found.changes == ()
    assert "it is protected" in reason(found, "AcceptedDomain/old")
    assert found.undeclared == (Key("AcceptedDomain", "old"),)


@pytest.mark.parametrize("stays", [mailbox("bob"), database(), server()])
def test_mailboxes_databases_and_servers_have_to_be_named(stays: Resource) -> None:
    found = plan(managed(stays), PRUNE)
    assert found.changes == ()
    assert f"--delete {stays.key}" in reason(found, str(stays.key))


def test_a_named_mailbox_goes_without_prune() -> None:
    assert deleted(plan(managed(mailbox("bob")), named("Mailbox/bob"))) == ["Mailbox/bob"]


def test_naming_one_deletes_only_that_one() -> None:
    found = plan(managed(mailbox("bob"), domain("old")), named("Mailbox/bob"))
    assert deleted(found) == ["Mailbox/bob"]


def test_more_than_a_third_of_a_kind_is_refused() -> None:
    declared = [domain(name) for name in NAMES[:13]]
    found = plan(managed(*map(domain, NAMES)), PRUNE, *declared)
    assert found.changes == ()
    assert "7 of 20 AcceptedDomain would go, more than 30%" in reason(found, "AcceptedDomain/domain13")


def test_up_to_the_share_goes() -> None:
    declared = [domain(name) for name in NAMES[:14]]
    assert len(deleted(plan(managed(*map(domain, NAMES)), PRUNE, *declared))) == 6


def test_a_small_population_has_no_threshold() -> None:
    assert len(deleted(plan(managed(*map(domain, NAMES[:9])), PRUNE))) == 9


def test_naming_passes_the_threshold() -> None:
    wanted = named(*(f"AcceptedDomain/{name}" for name in NAMES))
    assert len(deleted(plan(managed(*map(domain, NAMES)), wanted))) == 20


def test_the_probe_mailboxes_are_never_pruned() -> None:
    assert plan(managed(mailbox("HealthMailbox-ex01")), PRUNE) == plan(managed(), PRUNE)


def test_what_something_that_stays_refers_to_stays() -> None:
    found = plan(managed(database(), mailbox("bob")), named("MailboxDatabase/db01"))
    assert found.changes == ()
    assert reason(found, "MailboxDatabase/db01") == "Mailbox/bob refers to it and stays"


def test_what_a_staying_resource_holds_is_held_all_the_way() -> None:
    state = managed(server(), database(), mailbox("bob"))
    found = plan(state, named("Server/ex01", "MailboxDatabase/db01"))
    assert reason(found, "Server/ex01") == "MailboxDatabase/db01 refers to it and stays"


def test_what_goes_along_is_a_cascade_and_goes_first() -> None:
    state = managed(server(), database(), mailbox("bob"), resource("ImapSettings", "ex01"))
    wanted = named("Server/ex01", "MailboxDatabase/db01", "Mailbox/bob", prune=True)
    found = plan(state, wanted)
    assert deleted(found) == ["Mailbox/bob", "ImapSettings/ex01", "MailboxDatabase/db01", "Server/ex01"]
    assert found.changes[2].cascades == (Key("Mailbox", "bob"),)
    assert found.changes[3].cascades == (Key("ImapSettings", "ex01"), Key("MailboxDatabase", "db01"))


def test_a_declared_mailbox_that_moves_away_holds_nothing() -> None:
    state = managed(server(), database(), database("db02"), mailbox("bob", "db02"))
    found = plan(state, named("MailboxDatabase/db02"), server(), database(), mailbox("bob", "db01"))
    assert [str(change.key) for change in found.changes] == ["Mailbox/bob", "MailboxDatabase/db02"]


def test_what_cannot_be_read_may_refer_to_it() -> None:
    state = managed(database())
    unreadable = LiveState({**state.resources, Key("Mailbox", "bob"): Unreadable("503")}, {})
    found = plan(unreadable, named("MailboxDatabase/db01"))
    assert reason(found, "MailboxDatabase/db01") == "Mailbox/bob refers to it and stays"


def test_naming_what_is_declared_is_an_error() -> None:
    with pytest.raises(SelectionError, match=r"Mailbox/bob is declared at estate.yaml:1:3"):
        plan(managed(mailbox("bob")), named("Mailbox/bob"), mailbox("bob"))


def test_naming_what_is_not_live_is_an_error_with_a_hint() -> None:
    with pytest.raises(SelectionError, match="did you mean Mailbox/bob"):
        plan(managed(mailbox("bob")), named("Mailbox/bobb"))
