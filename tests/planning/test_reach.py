from __future__ import annotations

from reconciler.model import Reach
from reconciler.planning import make_plan
from tests.planning.builders import RUNNING_IMAP, desired, live, resource, running, server

DATABASE = resource("MailboxDatabase", "db01", {"server": "ex01"})
ELSEWHERE = resource("MailboxDatabase", "db02", {"server": "ex02"})
MAILBOXES = [
    resource("Mailbox", name, {"database": database, "primarySmtpAddress": f"{name}@contoso.example"})
    for name, database in (("alice", "db01"), ("bob", "db01"), ("carol", "db02"))
]
ESTATE = (server(services=RUNNING_IMAP), server("ex02"), DATABASE, ELSEWHERE, *MAILBOXES)
SERVICES = [running("ex01/imap4", 2), running("ex01/imap4-backend", 2)]


def test_an_empty_plan_reaches_nobody() -> None:
    assert make_plan(desired(*ESTATE), live(*ESTATE, services=SERVICES), digests={}).reach == Reach()


def test_a_restart_reaches_the_mailboxes_of_its_server() -> None:
    declared = desired(*ESTATE, resource("ImapSettings", "ex01", {"maxConnectionsPerUser": 32}))
    state = live(*ESTATE, resource("ImapSettings", "ex01"), services=SERVICES)
    assert make_plan(declared, state, digests={}).reach == Reach(("ex01",), 2)


def test_a_mailbox_reaches_itself_and_its_server() -> None:
    changed = resource(
        "Mailbox",
        "carol",
        {"database": "db02", "primarySmtpAddress": "carol@contoso.example", "popEnabled": False},
    )
    declared = desired(*ESTATE[:-1], changed)
    assert make_plan(declared, live(*ESTATE, services=SERVICES), digests={}).reach == Reach(("ex02",), 1)


def test_a_database_reaches_its_mailboxes() -> None:
    changed = resource("MailboxDatabase", "db01", {"server": "ex01", "issueWarningQuota": "1GB"})
    declared = desired(*(item for item in ESTATE if item is not DATABASE), changed)
    assert make_plan(declared, live(*ESTATE, services=SERVICES), digests={}).reach == Reach(("ex01",), 2)
