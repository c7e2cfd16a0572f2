"""Every command of the grammar, fed whole, byte by byte, and with octets behind it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from runtime.protocols.imap4 import events
from runtime.protocols.imap4.connection import ServerConnection
from runtime.protocols.imap4.grammar import Limits
from runtime.protocols.imap4.state import State
from runtime.protocols.imap4.values import FetchItem, MailboxName, Section, SequenceSet


def drain(wire: ServerConnection) -> list[Any]:
    found: list[Any] = []
    while (event := wire.next_event()) is not None:
        found.append(event)
        if isinstance(event, events.Append):
            wire.accept_message()
    return found


def fed_whole(octets: bytes, state: State) -> list[Any]:
    wire = ServerConnection(limits=Limits(), state=state)
    wire.receive_data(octets)
    return drain(wire)


def fed_by_octet(octets: bytes, state: State) -> list[Any]:
    wire = ServerConnection(limits=Limits(), state=state)
    found: list[Any] = []
    for index in range(len(octets)):
        wire.receive_data(octets[index : index + 1])
        found += drain(wire)
    return found


def fed_with_more_behind(octets: bytes, state: State) -> list[Any]:
    found = fed_whole(octets + b"z NOOP\r\nz", state)
    assert found.pop() == events.Simple(b"z", "NOOP")
    return found


Feed = Callable[[bytes, State], list[Any]]
FEEDS: list[Feed] = [fed_whole, fed_by_octet, fed_with_more_behind]
INBOX = MailboxName("INBOX")
COMMANDS: list[tuple[bytes, object]] = [
    (b"a NOOP", events.Simple(b"a", "NOOP")),
    (b"a noop", events.Simple(b"a", "NOOP")),
    (b"a.1 Capability", events.Simple(b"a.1", "CAPABILITY")),
    (b"a LOGOUT", events.Simple(b"a", "LOGOUT")),
    (b"a CHECK", events.Simple(b"a", "CHECK")),
    (b"a CLOSE", events.Simple(b"a", "CLOSE")),
    (b"a UNSELECT", events.Simple(b"a", "UNSELECT")),
    (b"a EXPUNGE", events.Simple(b"a", "EXPUNGE")),
    (b"a NAMESPACE", events.Simple(b"a", "NAMESPACE")),
    (b"a IDLE", events.Simple(b"a", "IDLE")),
    (b"a ID NIL", events.Identify(b"a", None)),
    (b"a ID ()", events.Identify(b"a", ())),
    (b'a ID ("name" "x" "os" NIL)', events.Identify(b"a", ((b"name", b"x"), (b"os", None)))),
    (b"a SELECT inbox", events.OnMailbox(b"a", "SELECT", INBOX)),
    (b'a EXAMINE "Sent Items"', events.OnMailbox(b"a", "EXAMINE", MailboxName("Sent Items"))),
    (b"a SELECT {5}\r\nINBOX", events.OnMailbox(b"a", "SELECT", INBOX)),
    (b"a CREATE Work/2026/", events.OnMailbox(b"a", "CREATE", MailboxName("Work/2026"))),
    (b"a DELETE &AOk-t&AOk-", events.OnMailbox(b"a", "DELETE", MailboxName("été"))),
    (b"a SUBSCRIBE x", events.OnMailbox(b"a", "SUBSCRIBE", MailboxName("x"))),
    (b"a UNSUBSCRIBE x]", events.OnMailbox(b"a", "UNSUBSCRIBE", MailboxName("x]"))),
    (b'a RENAME inbox/a "b c"', events.Rename(b"a", MailboxName("INBOX/a"), MailboxName("b c"))),
    (b'a LIST "" "*"', events.ListMailboxes(b"a", "LIST", "", "*")),
    (b'a LIST "" %/x', events.ListMailboxes(b"a", "LIST", "", "%/x")),
    (b"a LSUB a/ b*", events.ListMailboxes(b"a", "LSUB", "a/", "b*")),
    (
        b"a STATUS x (MESSAGES unseen)",
        events.Status(b"a", MailboxName("x"), ("MESSAGES", "UNSEEN")),
    ),
    (b"a STORE 1 FLAGS ()", events.Store(b"a", False, SequenceSet(((1, 1),)), "replace", False, ())),
    (
        b"a STORE 2:4 +FLAGS.SILENT (\\seen $mdnsent)",
        events.Store(b"a", False, SequenceSet(((2, 4),)), "add", True, ("\\Seen", "$MDNSent")),
    ),
    (
        b"a UID STORE 9:* -FLAGS \\Deleted work",
        events.Store(b"a", True, SequenceSet(((9, 0),)), "remove", False, ("\\Deleted", "work")),
    ),
    (b"a COPY 1 x", events.Transfer(b"a", "COPY", False, SequenceSet(((1, 1),)), MailboxName("x"))),
    (
        b"a UID MOVE 1,3 x",
        events.Transfer(b"a", "MOVE", True, SequenceSet(((1, 1), (3, 3))), MailboxName("x")),
    ),
    (b"a UID EXPUNGE 3:2", events.UidExpunge(b"a", SequenceSet(((2, 3),)))),
]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(("line", "expected"), COMMANDS, ids=[line.decode() for line, _ in COMMANDS])
def test_a_command_after_logon(feed: Feed, line: bytes, expected: object) -> None:
    found = [one for one in feed(line + b"\r\n", State.SELECTED) if one != events.ContinuationNeeded()]
    assert found == [expected]


@pytest.mark.parametrize("feed", FEEDS)
def test_starttls(feed: Feed) -> None:
    assert feed(b"a STARTTLS\r\n", State.NOT_AUTHENTICATED) == [events.Simple(b"a", "STARTTLS")]


LOGINS = [
    (b"a LOGIN alice secret", b"alice", b"secret"),
    (b'a LOGIN "alice" "pass word"', b"alice", b"pass word"),
    (b'a LOGIN "CONTOSO\\\\alice" "x"', b"CONTOSO\\alice", b"x"),
    (b'a LOGIN "CONTOSO\\\\\\"alice" "\\\\\\\\"', b'CONTOSO\\"alice', b"\\\\"),
    (b'a LOGIN alice@contoso.example {6}\r\np)("{ ', b"alice@contoso.example", b'p)("{ '),
    (b"a LOGIN {5+}\r\nalice {3+}\r\nx\r\n", b"alice", b"x\r\n"),
    ('a LOGIN alice "pässwörd"'.encode(), b"alice", "pässwörd".encode()),
    (b'a LOGIN alice ""', b"alice", b""),
]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(("line", "user", "password"), LOGINS)
def test_login(feed: Feed, line: bytes, user: bytes, password: bytes) -> None:
    login = feed(line + b"\r\n", State.NOT_AUTHENTICATED)[-1]
    assert (login.user, login.password.reveal()) == (user, password)


def test_a_password_is_not_shown() -> None:
    (login,) = fed_whole(b"a LOGIN alice hunter2\r\n", State.NOT_AUTHENTICATED)
    assert "hunter2" not in repr(login)


@pytest.mark.parametrize(
    ("line", "initial"),
    [
        (b"a AUTHENTICATE PLAIN", None),
        (b"a authenticate plain =", b""),
        (b"a AUTHENTICATE PLAIN AGEAYg==", b"AGEAYg=="),
    ],
)
def test_authenticate(line: bytes, initial: bytes | None) -> None:
    (event,) = fed_whole(line + b"\r\n", State.NOT_AUTHENTICATED)
    assert event.mechanism == "PLAIN"
    assert (event.initial and event.initial.reveal()) == initial or event.initial.reveal() == initial


def test_an_expected_line_is_no_command() -> None:
    wire = ServerConnection(limits=Limits(), state=State.NOT_AUTHENTICATED)
    wire.receive_data(b"a AUTHENTICATE PLAIN\r\na NOOP {5+}\r\nb NOOP\r\n")
    wire.next_event()
    wire.expect_line()
    line = wire.next_event()
    assert isinstance(line, events.Line)
    assert line.text.reveal() == b"a NOOP {5+}"
    assert wire.next_event() == events.Simple(b"b", "NOOP")


SECTIONS = [
    (b"BODY[]", b"BODY[]", Section(), True),
    (b"body.peek[]", b"BODY[]", Section(), False),
    (b"BODY[1.2.mime]", b"BODY[1.2.MIME]", Section((1, 2), "MIME"), True),
    (b"BODY.PEEK[3]<5.10>", b"BODY[3]<5>", Section((3,), partial=(5, 10)), False),
    (b"BODY[HEADER]", b"BODY[HEADER]", Section(text="HEADER"), True),
    (b"BODY[2.TEXT]", b"BODY[2.TEXT]", Section((2,), "TEXT"), True),
    (
        b'BODY.PEEK[HEADER.FIELDS (From "Subject")]<0.99>',
        b"BODY[HEADER.FIELDS (From Subject)]<0>",
        Section((), "HEADER.FIELDS", (b"From", b"Subject"), (0, 99)),
        False,
    ),
    (
        b"BODY[1.HEADER.FIELDS.NOT (To)]",
        b"BODY[1.HEADER.FIELDS.NOT (To)]",
        Section((1,), "HEADER.FIELDS.NOT", (b"To",)),
        True,
    ),
    (b"RFC822", b"RFC822", Section(), True),
    (b"RFC822.HEADER", b"RFC822.HEADER", Section(text="HEADER"), False),
    (b"RFC822.TEXT", b"RFC822.TEXT", Section(text="TEXT"), True),
]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(("text", "label", "section", "sets_seen"), SECTIONS)
def test_fetch_of_a_section(feed: Feed, text: bytes, label: bytes, section: Section, sets_seen: bool) -> None:
    (event,) = feed(b"a FETCH 1 " + text + b"\r\n", State.SELECTED)
    assert event.items == (FetchItem("BODY[]", label, section, sets_seen),)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"FLAGS", ["FLAGS"]),
        (b"(FLAGS UID FLAGS)", ["FLAGS", "UID"]),
        (b"FAST", ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]),
        (b"all", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"]),
        (b"FULL", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]),
        (b"(BODY BODYSTRUCTURE)", ["BODY", "BODYSTRUCTURE"]),
    ],
)
def test_fetch_of_plain_items(text: bytes, names: list[str]) -> None:
    (event,) = fed_whole(b"a FETCH 1:* " + text + b"\r\n", State.SELECTED)
    assert [item.name for item in event.items] == names


def test_uid_fetch_always_has_the_uid() -> None:
    (event,) = fed_whole(b"a UID FETCH 1 FLAGS\r\n", State.SELECTED)
    assert [item.name for item in event.items] == ["UID", "FLAGS"]


APPENDS = [
    (b"a APPEND INBOX {5}\r\nhello\r\n", (), None),
    (b"a APPEND {5}\r\nINBOX (\\Seen x) {5+}\r\nhello\r\n", ("\\Seen", "x"), None),
    (
        b'a APPEND INBOX "17-Jul-1996 02:44:25 -0700" {5}\r\nhello\r\n',
        (),
        datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(-timedelta(hours=7))),
    ),
    (
        b'a APPEND INBOX () " 1-Jan-2026 00:00:00 +0000" {5+}\r\nhello\r\n',
        (),
        datetime(2026, 1, 1, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(("octets", "flags", "moment"), APPENDS)
def test_append(feed: Feed, octets: bytes, flags: tuple[str, ...], moment: datetime | None) -> None:
    found = [one for one in feed(octets, State.AUTHENTICATED) if one != events.ContinuationNeeded()]
    assert (found[0].mailbox, found[0].flags, found[0].internal_date) == (INBOX, flags, moment)
    assert b"".join(one.data for one in found[1:-1]) == b"hello"
    assert found[-1] == events.MessageEnd(b"a")


WRONG = [
    b"a",
    b"a ",
    b" NOOP",
    b"a NOOP x",
    b"a  NOOP",
    b"a BOGUS",
    b"a RENAME x",
    b"a SELECT",
    b"a SELECT a b",
    b'a SELECT "a',
    b'a SELECT "\\x"',
    b"a SELECT &AOk",
    b"a SELECT \xc3\xa9",
    b"a STATUS x ()",
    b"a STATUS x (SIZE)",
    b"a FETCH 0 FLAGS",
    b"a FETCH 1, FLAGS",
    b"a FETCH 4294967296 FLAGS",
    b"a FETCH 1 BODY[",
    b"a FETCH 1 BODY[0]",
    b"a FETCH 1 BODY[MIME]",
    b"a FETCH 1 BODY[1.]",
    b"a FETCH 1 BODY[]<0.0>",
    b"a FETCH 1 BODY[HEADER.FIELDS ()]",
    b"a FETCH 1 BODY[HEADER.FIELDS (x:y)]",
    b"a FETCH 1 (FLAGS",
    b"a FETCH 1 ()",
    b"a STORE 1 FLAGS (\\Recent)",
    b"a STORE 1 FLAGS.LOUD ()",
    b"a UID NOOP",
    b"a APPEND INBOX",
    b"a SEARCH",
    b"a ID (x)",
    b"a NO\x00OP",
]


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("line", WRONG)
def test_what_does_not_follow_the_grammar_is_bad(feed: Feed, line: bytes) -> None:
    assert [type(one) for one in feed(line + b"\r\n", State.SELECTED)] == [events.Bad]


def test_a_bare_line_feed_makes_a_line_bad() -> None:
    found = fed_whole(b"a NOOP\nb NOOP\r\n", State.SELECTED)
    assert [type(one) for one in found] == [events.Bad, events.Simple]


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State.NOT_AUTHENTICATED, b"a SELECT INBOX"),
        (State.NOT_AUTHENTICATED, b"a SEARCH ((((((("),
        (State.AUTHENTICATED, b"a FETCH 1 FLAGS"),
        (State.AUTHENTICATED, b"a LOGIN a b"),
        (State.SELECTED, b"a STARTTLS"),
    ],
)
def test_a_command_in_the_wrong_state_is_not_parsed(state: State, line: bytes) -> None:
    assert [type(one) for one in fed_whole(line + b"\r\n", state)] == [events.WrongState]
