"""The table of kinds, and what must hold between it and the declarations."""

from __future__ import annotations

import subprocess
import sys

import pytest

from schemas.v1.document import KindName
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS, Kind

REFERENCES = [
    (kind, field.path, field.reference)
    for kind in KINDS
    for field in fields(kind).values()
    if field.reference is not None
]


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_a_spec_has_the_name_of_its_kind(kind: Kind) -> None:
    assert kind.spec.__name__ == kind.name


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_every_kind_says_what_a_change_costs(kind: Kind) -> None:
    assert kind.spec.default_impact is not None


@pytest.mark.parametrize(("kind", "path", "target"), REFERENCES)
def test_a_reference_points_to_a_lower_rank(kind: str, path: str, target: str) -> None:
    assert KINDS[target].rank < KINDS[kind].rank, path


def test_the_references_are_these() -> None:
    assert REFERENCES == [
        ("MailboxDatabase", "server", "Server"),
        ("Mailbox", "database", "MailboxDatabase"),
        ("Mailbox", "throttlingPolicy", "ThrottlingPolicy"),
    ]


def test_documents_know_the_same_kinds() -> None:
    assert list(KindName) == list(KINDS)


@pytest.mark.parametrize(
    ("kind", "live_name"),
    [("Mailbox", "client"), ("ImapSettings", "ex01"), ("ReceiveConnector", "ex01/client")],
)
def test_the_scope_makes_the_live_name(kind: str, live_name: str) -> None:
    assert KINDS[kind].live_name("client", "ex01") == live_name


def test_a_kind_that_selects_servers_needs_one() -> None:
    with pytest.raises(ValueError, match="belongs to a server"):
        KINDS["ImapSettings"].live_name("imap")


@pytest.mark.parametrize(
    ("kind", "live_name", "server"),
    [
        ("Server", "ex01", "ex01"),
        ("ImapSettings", "ex01", "ex01"),
        ("Certificate", "ex01/dev", "ex01"),
        ("Mailbox", "alice", None),
    ],
)
def test_the_live_name_tells_the_server(kind: str, live_name: str, server: str | None) -> None:
    assert KINDS[kind].server_of(live_name) == server


def test_the_table_is_read_without_pydantic() -> None:
    program = "import sys, schemas.v1.kinds, schemas.v1.services; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
