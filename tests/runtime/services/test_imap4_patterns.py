"""Mailbox patterns, sections, and the capability table without a server."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.imap4.values import Section
from runtime.services import imap4_words as words
from runtime.services.imap4_backend.patterns import Pattern
from runtime.services.imap4_backend.sections import cut, pick_fields


def as_expression(pattern: str) -> str:
    return "".join({"*": ".*", "%": "[^/]*"}.get(char, re.escape(char)) for char in pattern)


@given(st.text("a/%*", max_size=8), st.text("ab/", max_size=8))
def test_a_pattern_matches_what_its_expression_matches(pattern: str, name: str) -> None:
    assert Pattern.compile(pattern).matches(name) == bool(re.fullmatch(as_expression(pattern), name))


def test_a_pattern_that_would_ruin_a_backtracking_matcher() -> None:
    assert not Pattern.compile("*a" * 4000).matches("a" * 3999)


@pytest.mark.parametrize(
    "content", [b"", b"\r\n", b"\r\nbody", b"a: b", b"a: b\r\n", b"a: b\r\n\r\n", b"\n\nx"]
)
def test_header_and_text_are_the_whole(content: bytes) -> None:
    header, text = (cut(content, Section(text=name), None) for name in ("HEADER", "TEXT"))
    assert header is not None
    assert text is not None
    assert bytes(header) + bytes(text) == content


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"A: 1\r\nB: 2\r\n\r\n", b"A: 1\r\n\r\n"),
        (b"a : 1\r\n 2\r\n\t3\r\nB: 2\r\n\r\n", b"a : 1\r\n 2\r\n\t3\r\n\r\n"),
        (b"B: 2\r\n\r\n", b"\r\n"),
        (b"no colon\r\nA: 1\r\nA: 2\r\n\r\n", b"A: 1\r\nA: 2\r\n\r\n"),
        (b"", b"\r\n"),
    ],
)
def test_header_fields(header: bytes, expected: bytes) -> None:
    assert pick_fields(header, Section(text="HEADER.FIELDS", fields=(b"A",))) == expected


def test_a_header_of_ten_thousand_fields() -> None:
    header = b"A: 1\r\nB: 2\r\n" * 10_000 + b"\r\n"
    picked = pick_fields(header, Section(text="HEADER.FIELDS.NOT", fields=(b"b",)))
    assert picked == b"A: 1\r\n" * 10_000 + b"\r\n"


@pytest.mark.parametrize(
    ("situation", "has", "has_not"),
    [
        (words.Situation(may_log_on=True), "AUTH=PLAIN", "LOGINDISABLED"),
        (words.Situation(can_start_tls=True), "LOGINDISABLED", "AUTH=PLAIN"),
        (words.Situation(is_logged_on=True, may_log_on=True, can_start_tls=True), "MOVE", "STARTTLS"),
    ],
)
def test_capabilities(situation: words.Situation, has: str, has_not: str) -> None:
    names = words.capability(situation).decode().split()
    assert has in names
    assert has_not not in names
