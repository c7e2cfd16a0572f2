from __future__ import annotations

import pytest

from reconciler.model import Key, LiveState, Plan, Selection, ServiceState, Unreadable
from reconciler.planning import make_plan
from reconciler.planning.selection import SelectionError
from tests.planning.builders import RUNNING_IMAP, desired, live, resource, running, server

POP = {"pop3": {"startupType": "Automatic"}, "pop3-backend": {"startupType": "Automatic"}}
SERVICES = [running(f"ex01/{name}", 5) for name in ("imap4", "imap4-backend", "pop3", "pop3-backend")]
IMAP = Key("ImapSettings", "ex01")
MAILBOX = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}


def select(*only: str, exclude: tuple[str, ...] = (), services: list[ServiceState] = SERVICES) -> Plan:
    """A plan of two changed limits on ex01 and a mailbox that is new."""
    node = server(services=RUNNING_IMAP | POP)
    database = resource("MailboxDatabase", "db01", {"server": "ex01"})
    declared = desired(
        node,
        database,
        resource("ImapSettings", "ex01", {"maxConnectionsPerUser": 32}),
        resource("PopSettings", "ex01", {"maxConnectionsPerUser": 32}),
        resource("Mailbox", "alice", MAILBOX),
    )
    state = live(
        node,
        database,
        resource("ImapSettings", "ex01"),
        resource("PopSettings", "ex01"),
        resource("AcceptedDomain", "other", {"domainName": "other.example", "domainType": "Authoritative"}),
        services=services,
    )
    return make_plan(declared, state, digests={}, selection=Selection(only, exclude))


def names(plan: Plan) -> list[str]:
    return [str(change.key) for change in plan.changes]


def test_without_a_selection_the_plan_is_whole() -> None:
    assert len(select().changes) == 3
    assert not select().selection.is_partial


def test_only_takes_a_glob() -> None:
    assert names(select("ImapSettings/*")) == ["ImapSettings/ex01"]


def test_a_kind_alone_is_all_of_it() -> None:
    assert names(select("PopSettings")) == ["PopSettings/ex01"]


def test_several_patterns_add_up() -> None:
    assert len(select("ImapSettings", "Mailbox/a*").changes) == 2


def test_exclude_wins() -> None:
    assert names(select("*", exclude=("PopSettings/*", "Mailbox"))) == ["ImapSettings/ex01"]


def test_a_server_is_all_that_belongs_to_it() -> None:
    assert len(select("server=ex01").changes) == 3
    assert select(exclude=("server=ex01",)).changes == ()


def test_only_services_of_what_is_selected_are_touched() -> None:
    assert {impact.service for impact in select("ImapSettings").impacts} == {
        "ex01/imap4",
        "ex01/imap4-backend",
    }


def test_what_is_not_selected_is_not_listed_as_undeclared() -> None:
    assert select("Mailbox").undeclared == ()
    assert select().undeclared == (Key("AcceptedDomain", "other"),)


def test_what_a_service_waits_for_is_owed_only_when_it_is_selected() -> None:
    waiting = [
        running("ex01/pop3", 5, pending="restart", pending_fields=((Key("PopSettings", "ex01"), "banner"),))
    ]
    assert select("ImapSettings", services=waiting).owed == ()
    assert [impact.service for impact in select(exclude=("ImapSettings",), services=waiting).impacts] == [
        "ex01/pop3",
        "ex01/pop3-backend",
    ]


def test_a_server_that_is_left_out_does_not_decide_what_runs() -> None:
    declared = desired(
        server(services={"imap4": {"startupType": "Disabled"}}),
        resource("ImapSettings", "ex01", {"maxConnectionsPerUser": 32}),
    )
    state = live(server(services=RUNNING_IMAP), resource("ImapSettings", "ex01"), services=SERVICES[:2])
    plan = make_plan(declared, state, digests={}, selection=Selection(exclude=("Server/*",)))
    assert [impact.action.value for impact in plan.impacts] == ["restart", "restart"]


def test_what_is_unreadable_and_left_out_leaves_the_plan_complete() -> None:
    state = LiveState({Key("Server", "ex01"): Unreadable("503")}, {})
    selection = Selection(exclude=("Server/ex01",))
    assert make_plan(desired(server()), state, digests={}, selection=selection).is_complete
    assert not make_plan(desired(server()), state, digests={}).is_complete


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("ImapSetings/*", "ImapSettings/*"),
        ("Mailbox/alize", "Mailbox/alice"),
        ("server=ex10", "server=ex01"),
        ("imapsettings", "ImapSettings"),
    ],
)
def test_what_matches_nothing_is_an_error_with_a_hint(pattern: str, meant: str) -> None:
    with pytest.raises(SelectionError, match="selects nothing") as error:
        select(pattern)
    assert f"did you mean {meant}?" in str(error.value)
