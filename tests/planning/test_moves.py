"""Changes that would leave mail behind are refused before anything is written."""

from __future__ import annotations

import pytest

from reconciler.model import Diagnostic, Resource
from reconciler.planning import make_plan
from reconciler.planning.moves import move_problems
from tests.planning.builders import desired, live, resource

LINES = {"database": 7}


def mailbox(database: str, *, ignore: tuple[str, ...] = ()) -> Resource:
    spec = {"database": database, "primarySmtpAddress": "alice@contoso.example"}
    return resource("Mailbox", "alice", spec, lines=LINES, ignore=ignore)


def database(server: str) -> Resource:
    return resource("MailboxDatabase", "db01", {"server": server})


def problems(declared: Resource, now: Resource | None) -> list[Diagnostic]:
    wanted, state = desired(declared), live(now) if now else live()
    return list(move_problems(make_plan(wanted, state, digests={}), wanted, state))


def test_another_database_is_refused_at_its_line() -> None:
    (problem,) = problems(mailbox("db02"), mailbox("db01"))
    assert problem.message == (
        "Mailbox/alice database: mail cannot be moved between databases yet; "
        "its mail lies in db01 and would not be found in db02"
    )
    assert problem.hint == "write database: db01, or declare a new mailbox under another name for db02"
    assert problem.position is not None
    assert problem.position.line == LINES["database"]


def test_another_server_of_a_database_is_refused() -> None:
    (problem,) = problems(database("ex02"), database("ex01"))
    assert "databases cannot be moved between servers yet" in problem.message


@pytest.mark.parametrize(
    ("declared", "now"),
    [
        (mailbox("db01"), mailbox("db01")),
        (mailbox("db02"), None),
        (mailbox("db02", ignore=("database",)), mailbox("db01")),
    ],
)
def test_what_stays_or_is_new_is_not(declared: Resource, now: Resource | None) -> None:
    assert problems(declared, now) == []
