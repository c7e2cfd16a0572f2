from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import Key, Lifecycle, LiveState, Plan, Present, Resource, Unreadable
from reconciler.planning import make_plan
from reconciler.planning.fingerprint import moved
from reconciler.secret import SecretRef
from tests.planning.builders import desired, live, present, resource, server

IMAP = Key("ImapSettings", "ex01")


def _plan_of_limit() -> Plan:
    declared = resource("ImapSettings", "ex01", {"maxConnectionsPerUser": 32})
    return make_plan(
        desired(server(), declared), live(server(), resource("ImapSettings", "ex01")), digests={}
    )


def test_equal_is_empty() -> None:
    plan = make_plan(desired(server()), live(server()), digests={})
    assert plan.is_empty
    assert plan.fingerprint == {}


def test_unreadable_is_no_change_and_is_listed() -> None:
    observed = LiveState({Key("Server", "ex01"): Unreadable("503")}, {})
    plan = make_plan(desired(server()), observed, digests={})
    assert plan.changes == ()
    assert plan.unreadable == ((Key("Server", "ex01"), "503"),)


PASSWORD = {"password": SecretRef("encrypted", "alice.age")}
FIELDS = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}
ALICE = resource("Mailbox", "alice", FIELDS, secrets=PASSWORD)


def test_a_secret_that_nobody_here_can_open_is_listed() -> None:
    plan = make_plan(desired(ALICE), live(ALICE), digests={})
    assert plan.is_empty
    assert plan.is_complete
    assert plan.uncompared == ((ALICE.key, "password"),)


def test_so_is_one_of_a_mailbox_that_is_renamed() -> None:
    ally = replace(ALICE, key=Key("Mailbox", "ally"), lifecycle=Lifecycle(renamed_from="alice"))
    assert make_plan(desired(ally), live(ALICE), digests={}).uncompared == ((ally.key, "password"),)


@pytest.mark.parametrize(
    ("declared", "now"),
    [
        (ALICE, live()),
        (ALICE, live(resource("Mailbox", "alice", FIELDS))),
        (resource("Mailbox", "alice", FIELDS, secrets=PASSWORD, ignore=["password"]), live(ALICE)),
    ],
)
def test_a_secret_that_has_to_be_written_or_is_ignored_is_not(declared: Resource, now: LiveState) -> None:
    assert make_plan(desired(declared), now, digests={}).uncompared == ()


def test_a_secret_that_was_compared_is_not() -> None:
    assert make_plan(desired(ALICE), live(ALICE), digests={ALICE.key: {"password": "old"}}).uncompared == ()


def test_undeclared_is_listed_and_never_deleted() -> None:
    plan = make_plan(desired(server()), live(server(), server("ex02")), digests={})
    assert plan.is_empty
    assert plan.undeclared == (Key("Server", "ex02"),)


def test_probe_mailboxes_never_show_up() -> None:
    fields = {"database": "db01", "primarySmtpAddress": "healthmailbox@contoso.example"}
    plan = make_plan(
        desired(server()), live(server(), resource("Mailbox", "HealthMailbox-ex01", fields)), digests={}
    )
    assert plan.undeclared == ()


def test_the_fingerprint_holds_the_revision_of_what_is_touched() -> None:
    assert _plan_of_limit().fingerprint == {IMAP: 7}


def test_a_plan_is_stale_when_a_touched_resource_moved() -> None:
    state = live(server(), resource("ImapSettings", "ex01"), revision=8)
    assert moved(_plan_of_limit(), state) == (IMAP,)


def test_a_plan_is_good_when_another_resource_moved() -> None:
    state = live(server(), resource("ImapSettings", "ex01"))
    others = {**state.resources, Key("Server", "ex01"): present(server(), 99)}
    assert moved(_plan_of_limit(), LiveState(others, {})) == ()


def test_a_created_resource_is_stale_once_it_is_there() -> None:
    plan = make_plan(desired(server()), LiveState({}, {}), digests={})
    assert moved(plan, live(server())) == (Key("Server", "ex01"),)
    assert isinstance(live(server()).resources[Key("Server", "ex01")], Present)
