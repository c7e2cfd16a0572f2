"""SEARCH's grammar."""

from __future__ import annotations

from datetime import date

import pytest

from runtime.protocols.imap4 import events
from runtime.protocols.imap4.connection import ServerConnection
from runtime.protocols.imap4.grammar import Limits
from runtime.protocols.imap4.search_keys import (
    AllKey,
    AndKey,
    DateKey,
    FlagKey,
    HeaderKey,
    NotKey,
    OrKey,
    RecentKey,
    SearchKey,
    SetKey,
    SizeKey,
    TextKey,
)
from runtime.protocols.imap4.state import State
from runtime.protocols.imap4.values import SequenceSet

SEEN = FlagKey("\\Seen", is_set=True)
DAY = date(1994, 2, 1)


def parse(text: bytes) -> events.Event | None:
    wire = ServerConnection(limits=Limits(), state=State.SELECTED)
    wire.receive_data(b"a SEARCH " + text + b"\r\n")
    return wire.next_event()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"ALL", AllKey()),
        (b"unseen", FlagKey("\\Seen", is_set=False)),
        (b"NEW", AndKey((RecentKey(is_recent=True), FlagKey("\\Seen", is_set=False)))),
        (b"OLD", RecentKey(is_recent=False)),
        (b"KEYWORD $mdnsent", FlagKey("$MDNSent", is_set=True)),
        (b"UNKEYWORD work", FlagKey("work", is_set=False)),
        (b"1:3", SetKey(SequenceSet(((1, 3),)), is_uid=False)),
        (b"UID 5:*", SetKey(SequenceSet(((5, 0),)), is_uid=True)),
        (b"LARGER 10", SizeKey(is_larger=True, size=10)),
        (b"SMALLER 10", SizeKey(is_larger=False, size=10)),
        (b"SUBJECT hello", HeaderKey("SUBJECT", "hello")),
        (b'HEADER Message-Id ""', HeaderKey("MESSAGE-ID", "")),
        (b"BODY x", TextKey("x", is_body_only=True)),
        (b"TEXT x", TextKey("x", is_body_only=False)),
        (b"SINCE 1-Feb-1994", DateKey("since", DAY, is_sent=False)),
        (b'SENTON "01-feb-1994"', DateKey("on", DAY, is_sent=True)),
        (b"CHARSET UTF-8 TO {2+}\r\n\xc3\xa9", HeaderKey("TO", "é")),
        (b"NOT SEEN", NotKey(SEEN)),
        (b"OR SEEN ALL", OrKey(SEEN, AllKey())),
        (b"OR NOT SEEN OR ALL SEEN", OrKey(NotKey(SEEN), OrKey(AllKey(), SEEN))),
        (b"(SEEN)", SEEN),
        (b"SEEN ALL", AndKey((SEEN, AllKey()))),
        (
            b"NOT (SEEN (ALL)) 1",
            AndKey((NotKey(AndKey((SEEN, AllKey()))), SetKey(SequenceSet(((1, 1),)), is_uid=False))),
        ),
        (b"OR (SEEN ALL) (ALL)", OrKey(AndKey((SEEN, AllKey())), AllKey())),
    ],
)
def test_a_key(text: bytes, key: SearchKey) -> None:
    assert parse(text) == events.Search(b"a", is_uid=False, key=key)


@pytest.mark.parametrize(
    "text",
    [b"NOT", b"OR SEEN", b"OR SEEN)", b"(SEEN", b"SEEN)", b"()", b"(NOT)", b"SEEN  ALL", b"BOGUS", b"SUBJECT",
     b"SINCE 31-Feb-1994", b"SINCE 1-Foo-1994", b"LARGER x", b"CHARSET UTF-8", b"TO {2+}\r\n\xc3\xa9",
     b"CHARSET UTF-8 TO {1+}\r\n\xc3", b"SUBJECT {1+}\r\n\x00", b"KEYWORD \\Recent"],
)  # fmt: skip
def test_what_is_no_key(text: bytes) -> None:
    assert isinstance(parse(text), events.Bad)


def test_an_unknown_charset_has_its_own_answer() -> None:
    assert parse(b"CHARSET KOI8-R TO x") == events.UnknownCharset(b"a")
