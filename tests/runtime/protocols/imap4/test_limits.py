"""Each limit at 25 octets (or a small count), with what happens at it and beyond it."""

from __future__ import annotations

import pytest

from runtime.protocols.imap4 import events
from runtime.protocols.imap4.connection import ServerConnection
from runtime.protocols.imap4.grammar import Limits
from runtime.protocols.imap4.state import State

TIGHT = Limits(
    command_line=60, literal=25, literals_total=40, literal_count=3, message=25, depth=4, list_items=10
)


def answers(octets: bytes, *, limits: Limits = TIGHT, state: State = State.SELECTED) -> list[str]:
    wire = ServerConnection(limits=limits, state=state)
    wire.receive_data(octets)
    found = []
    while (event := wire.next_event()) is not None:
        found.append(type(event).__name__)
        if isinstance(event, events.Append):
            wire.refuse_message()
    return found


STRING_COMMANDS = [
    b"LOGIN alice %b", b"SELECT %b", b"EXAMINE %b", b"CREATE %b", b"DELETE %b", b"RENAME x %b", b"SUBSCRIBE %b",
    b"UNSUBSCRIBE %b", b'LIST "" %b', b'LSUB "" %b', b"STATUS %b (MESSAGES)", b"COPY 1 %b", b"UID MOVE 1 %b",
    b"SEARCH SUBJECT %b", b"FETCH 1 BODY[HEADER.FIELDS (%b)]", b'ID ("name" %b)',
]  # fmt: skip


def state_for(command: bytes) -> State:
    return State.NOT_AUTHENTICATED if command.startswith(b"LOGIN") else State.SELECTED


@pytest.mark.parametrize("command", STRING_COMMANDS)
def test_a_literal_of_25_octets_is_taken(command: bytes) -> None:
    octets = b"a " + command % (b"{25+}\r\n" + b"x" * 25) + b"\r\nb NOOP\r\n"
    found = answers(octets, state=state_for(command))
    assert len(found) == 2
    assert not {"Bad", "TooBig", "Fatal"} & set(found)


@pytest.mark.parametrize("command", STRING_COMMANDS)
def test_a_literal_of_26_octets_is_told_too_big_while_the_client_waits(command: bytes) -> None:
    octets = b"a " + command.partition(b"%b")[0] + b"{26}\r\nb NOOP\r\n"
    assert answers(octets, state=state_for(command)) == ["TooBig", "Simple"]


@pytest.mark.parametrize("command", STRING_COMMANDS)
def test_a_literal_of_26_octets_that_is_already_coming_ends_the_session(command: bytes) -> None:
    octets = b"a " + command.partition(b"%b")[0] + b"{26+}\r\nb NOOP\r\n"
    assert answers(octets, state=state_for(command)) == ["Fatal"]


@pytest.mark.parametrize("command", STRING_COMMANDS)
def test_a_command_line_beyond_its_limit_is_bad_and_the_next_one_works(command: bytes) -> None:
    octets = b"a " + command % (b"x" * 60) + b"\r\nb NOOP\r\n"
    assert answers(octets, state=state_for(command)) == ["Bad", "Simple"]


def test_a_command_line_at_its_limit_is_taken() -> None:
    assert answers(b"a SELECT ".ljust(60, b"x") + b"\r\n") == ["OnMailbox"]
    assert answers(b"a SELECT ".ljust(61, b"x") + b"\r\n") == ["Bad"]


@pytest.mark.parametrize(("count", "expected"), [(100, "Fetch"), (101, "Bad")])
def test_data_items_of_one_fetch(count: int, expected: str) -> None:
    items = b" ".join(b"BODY.PEEK[]<%d.1>" % start for start in range(count))
    assert answers(b"a FETCH 1 (" + items + b")\r\n", limits=Limits()) == [expected]


def test_the_lines_of_one_command_count_together() -> None:
    octets = b"a LOGIN {1+}\r\nx " + b"y" * 60 + b"\r\nb NOOP\r\n"
    assert answers(octets, state=State.NOT_AUTHENTICATED) == ["Bad", "Simple"]


def test_a_line_that_never_ends_ends_the_session() -> None:
    wire = ServerConnection(limits=TIGHT, state=State.SELECTED)
    found: list[events.Event | None] = []
    for _ in range(100):
        wire.receive_data(b"x" * 1000)
        found.append(wire.next_event())
        assert wire.unread <= 1000
    assert [type(one) for one in found if one] == [events.Fatal]


def test_literals_of_one_command_count_together() -> None:
    found = answers(b"a RENAME {25+}\r\n" + b"x" * 25 + b" {16+}\r\n" + b"y" * 16 + b"\r\n")
    assert found == ["Fatal"]


def test_the_number_of_literals_is_limited() -> None:
    octets = b"a SEARCH " + b" ".join([b"TO {1+}\r\nx"] * 4) + b"\r\n"
    assert answers(octets) == ["Fatal"]


def test_a_message_at_its_limit_and_beyond() -> None:
    assert answers(b"a APPEND x {25}\r\nb NOOP\r\n") == ["Append", "Simple"]
    assert answers(b"a APPEND x {26}\r\nb NOOP\r\n") == ["TooBig", "Simple"]
    assert answers(b"a APPEND x {26+}\r\nb NOOP\r\n") == ["Fatal"]


def test_a_refused_message_that_comes_all_the_same_is_dropped() -> None:
    assert answers(b"a APPEND x {8+}\r\nz NOOP\r\n\r\nb NOOP\r\n") == ["Append", "Simple"]


def test_the_literal_of_a_bad_command_is_dropped_and_not_executed() -> None:
    assert answers(b"a BOGUS {8+}\r\nz NOOP\r\n\r\nb NOOP\r\n") == ["Bad", "Simple"]


def test_the_literal_of_a_bad_command_whose_client_waits_is_not_expected() -> None:
    assert answers(b"a BOGUS {8}\r\nb NOOP\r\n") == ["Bad", "Simple"]


def test_nesting_is_limited() -> None:
    assert answers(b"a SEARCH ((((ALL))))\r\n") == ["Search"]
    assert answers(b"a SEARCH (((((ALL)))))\r\n") == ["Bad"]
    assert answers(b"a SEARCH NOT NOT NOT NOT NOT ALL\r\n") == ["Bad"]


def test_list_items_are_limited() -> None:
    assert answers(b"a FETCH 1 (" + b" ".join([b"UID"] * 12) + b")\r\n") == ["Bad"]


def test_pymap_400_parentheses_are_bad_and_the_session_lives() -> None:
    octets = b"a SEARCH " + b"(" * 400 + b"ALL" + b")" * 400 + b"\r\nb NOOP\r\n"
    assert answers(octets, limits=Limits()) == ["Bad", "Simple"]


def test_before_logon_a_literal_may_have_4096_octets() -> None:
    limits = Limits().before_logon()
    assert answers(b"a LOGIN {4096}\r\n", limits=limits, state=State.NOT_AUTHENTICATED) == [
        "ContinuationNeeded"
    ]
    assert answers(b"a LOGIN {4097}\r\n", limits=limits, state=State.NOT_AUTHENTICATED) == ["TooBig"]
    assert answers(b"a LOGIN {59000000+}\r\n", limits=limits, state=State.NOT_AUTHENTICATED) == ["Fatal"]


def test_an_append_before_logon_is_not_stored() -> None:
    octets = b"a APPEND INBOX {9000+}\r\n"
    assert answers(octets, limits=Limits().before_logon(), state=State.NOT_AUTHENTICATED) == ["Fatal"]
