"""Sets of messages, mailbox names in modified UTF-7, and encoders that cannot break out of their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.imap4 import utf7, writer
from runtime.protocols.imap4.grammar import GrammarError
from runtime.protocols.imap4.values import MailboxName, SequenceSet


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (b"INBOX", "INBOX"),
        (b"&-", "&"),
        (b"a&-b", "a&b"),
        (b"&AOk-&-&AOk-", "é&é"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"&2D3eAA-", "😀"),
    ],
)
def test_utf7_both_ways(encoded: bytes, text: str) -> None:
    assert utf7.decode(encoded) == text
    assert utf7.encode(text) == encoded


@pytest.mark.parametrize(
    "encoded",
    [
        b"&",
        b"&AOk",
        b"&AOl-",
        b"&A-",
        b"&AGE-",
        b"&AOk-&AOk-",
        b"&2D0-",
        b"&AO/-",
        b"\xc3\xa9",
        b"a\x00",
        b"& -",
        b"&AOk=-",
    ],
)
def test_utf7_refuses_other_spellings(encoded: bytes) -> None:
    with pytest.raises(GrammarError):
        utf7.decode(encoded)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_utf7_of_any_name_comes_back(name: str) -> None:
    encoded = utf7.encode(name)
    assert all(0x20 <= octet < 0x7F for octet in encoded)
    assert utf7.decode(encoded) == name


@given(st.binary(max_size=40))
def test_utf7_of_any_octets_is_refused_or_the_only_spelling(encoded: bytes) -> None:
    try:
        name = utf7.decode(encoded)
    except GrammarError:
        return
    assert utf7.encode(name) == encoded


@pytest.mark.parametrize(
    ("encoded", "text"), [(b"inBox", "INBOX"), (b"Inbox/x", "INBOX/x"), (b"inboxes", "inboxes")]
)
def test_inbox_is_the_same_in_any_case(encoded: bytes, text: str) -> None:
    assert MailboxName.parse(encoded).text == text


@pytest.mark.parametrize(
    ("text", "count", "numbers"),
    [
        (b"1", 3, [1]),
        (b"*", 3, [3]),
        (b"2:*", 3, [2, 3]),
        (b"*:2", 3, [2, 3]),
        (b"3,1:2,2:3", 3, [1, 2, 3]),
        (b"1:*", 0, []),
    ],
)
def test_numbers_of_a_set(text: bytes, count: int, numbers: list[int]) -> None:
    assert list(SequenceSet.parse(text).numbers(count)) == numbers


def test_a_number_beyond_the_mailbox() -> None:
    with pytest.raises(GrammarError):
        SequenceSet.parse(b"2:4").numbers(3)


@pytest.mark.parametrize(
    ("text", "indexes"),
    [(b"1:4294967295", [0, 1, 2]), (b"10", [0]), (b"11:29", [1]), (b"*", [2]), (b"99:*", [2]), (b"5", [])],
)
def test_uids_of_a_set(text: bytes, indexes: list[int]) -> None:
    assert list(SequenceSet.parse(text).indexes([10, 20, 30])) == indexes


def test_uids_of_an_empty_mailbox() -> None:
    assert list(SequenceSet.parse(b"1:*").indexes([])) == []


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (b"a b", b'"a b"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xe9", b"{1}\r\n\xe9"),
        (b"", b'""'),
    ],
)
def test_a_string(value: bytes, encoded: bytes) -> None:
    assert writer.string(value) == encoded


@given(st.binary())
def test_no_quoted_string_holds_a_line_end(value: bytes) -> None:
    try:
        encoded = writer.astring(value)
    except ValueError:
        assert b"\x00" in value
        return
    if not encoded.startswith(b"{"):
        assert not {0, 10, 13} & set(encoded)


@pytest.mark.parametrize("value", [b"", b"a b", b"a\r\n", b"(", b'"'])
def test_what_is_no_atom_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="not an atom"):
        writer.atom(value)


def test_a_text_loses_its_control_characters() -> None:
    assert writer.tagged(b"a", "NO", "x\r\nb OK") == b"a NO x??b OK\r\n"


def test_what_is_no_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="not a tag"):
        writer.tagged(b"a b", "OK", "")


def test_what_is_no_flag_is_refused() -> None:
    with pytest.raises(ValueError, match="not a flag"):
        writer.flags(["a)\r\n"])


@pytest.mark.parametrize(
    ("numbers", "encoded"),
    [([], b""), ([1], b"1"), ([1, 2, 3, 7, 9, 10], b"1:3,7,9:10"), ([3, 2, 1], b"3,2,1")],
)
def test_a_number_set(numbers: list[int], encoded: bytes) -> None:
    assert writer.number_set(numbers) == encoded
