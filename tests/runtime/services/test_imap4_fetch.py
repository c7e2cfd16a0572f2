"""FETCH through both hops."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.runtime.aio import on_both_loops
from tests.runtime.services.imap4_estate import serving

HEADER = b"From: Bob <bob@contoso.example>\r\nSubject: hello\r\nX-Long: a\r\n\tb\r\n\r\n"
MESSAGE = HEADER + b"one\r\ntwo\r\n"
INNER = b"Subject: inner\r\n\r\ninside\r\n"
NESTED = (
    b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--b--\r\n"
)


def literal(label: bytes, value: bytes) -> bytes:
    return b"%b {%d}\r\n%b" % (label, len(value), value)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (b"UID", b"UID 1"),
        (b"(UID RFC822.SIZE)", b"UID 1 RFC822.SIZE %d" % len(MESSAGE)),
        (b"FLAGS", b"FLAGS (\\Recent)"),
        (b"BODY.PEEK[]", literal(b"BODY[]", MESSAGE)),
        (b"BODY.PEEK[HEADER]", literal(b"BODY[HEADER]", HEADER)),
        (b"BODY.PEEK[TEXT]", literal(b"BODY[TEXT]", b"one\r\ntwo\r\n")),
        (b"BODY.PEEK[1]", literal(b"BODY[1]", b"one\r\ntwo\r\n")),
        (b"BODY.PEEK[2]", b"BODY[2] NIL"),
        (b"BODY.PEEK[TEXT]<1.4>", literal(b"BODY[TEXT]<1>", b"ne\r\n")),
        (b"BODY.PEEK[TEXT]<99.4>", literal(b"BODY[TEXT]<99>", b"")),
        (
            b"BODY.PEEK[HEADER.FIELDS (SUBJECT x-long)]",
            literal(b"BODY[HEADER.FIELDS (SUBJECT x-long)]", b"Subject: hello\r\nX-Long: a\r\n\tb\r\n\r\n"),
        ),
        (
            b"BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT X-Long)]",
            literal(b"BODY[HEADER.FIELDS.NOT (SUBJECT X-Long)]", b"From: Bob <bob@contoso.example>\r\n\r\n"),
        ),
        (b"RFC822.HEADER", literal(b"RFC822.HEADER", HEADER)),
        (
            b"ENVELOPE",
            b'ENVELOPE (NIL "hello" (%b) (%b) (%b) NIL NIL NIL NIL NIL)'
            % ((b'("Bob" NIL "bob" "contoso.example")',) * 3),
        ),
    ],
)
def test_an_item(tmp_path: Path, items: bytes, expected: bytes) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        client.select()
        lines = client.ask(b"FETCH 1 " + items)
        assert b"".join(lines[:-1]) == b"* 1 FETCH (" + expected + b")\r\n"
        assert lines[-1] == b"x OK FETCH completed.\r\n"


@pytest.mark.parametrize(
    ("section", "value"),
    [
        (b"1", b"first"),
        (b"1.MIME", b"Content-Type: text/plain\r\n\r\n"),
        (b"2", INNER),
        (b"2.HEADER", b"Subject: inner\r\n\r\n"),
        (b"2.TEXT", b"inside\r\n"),
        (b"2.1", b"inside\r\n"),
        (b"2.HEADER.FIELDS (Subject)", b"Subject: inner\r\n\r\n"),
    ],
)
def test_a_section_of_a_part(tmp_path: Path, section: bytes, value: bytes) -> None:
    with serving(tmp_path, NESTED) as imap, imap.raw() as client:
        lines = client.select().ask(b"FETCH 1 BODY.PEEK[" + section + b"]")
        assert b"".join(lines[:-1]) == b"* 1 FETCH (" + literal(b"BODY[" + section + b"]", value) + b")\r\n"


@pytest.mark.parametrize("section", [b"3", b"1.HEADER", b"2.2", b"1.1"])
def test_a_part_that_is_not_there(tmp_path: Path, section: bytes) -> None:
    with serving(tmp_path, NESTED) as imap, imap.raw() as client:
        lines = client.select().ask(b"FETCH 1 BODY.PEEK[" + section + b"]")
        assert lines[0] == b"* 1 FETCH (BODY[" + section + b"] NIL)\r\n"


def test_a_full_macro_through_imaplib(tmp_path: Path) -> None:
    with serving(tmp_path) as imap:
        client = imap.imaplib()
        client.append("INBOX", None, '"17-Jul-1996 02:44:25 -0700"', MESSAGE)
        client.noop()
        _, data = client.fetch("1", "FULL")
        assert isinstance(data[0], bytes)
        assert b'INTERNALDATE "17-Jul-1996 ' in data[0]
        assert b'BODY ("TEXT" "PLAIN"' in data[0].upper()
        client.logout()


def test_fetching_a_body_marks_it_seen_and_tells_so(tmp_path: Path) -> None:
    with serving(tmp_path, MESSAGE, MESSAGE) as imap, imap.raw() as client:
        client.select()
        assert b"FLAGS (\\Seen \\Recent))\r\n" in client.ask(b"FETCH 1 BODY[TEXT]")[-2]
        assert b"FLAGS" not in client.ask(b"FETCH 1 BODY[TEXT]")[-2]
        assert client.ask(b"FETCH 2 FLAGS")[0] == b"* 2 FETCH (FLAGS (\\Recent))\r\n"


@pytest.mark.parametrize("items", [b"BODY.PEEK[]", b"RFC822.HEADER", b"ENVELOPE"])
def test_what_does_not_mark_a_message_seen(tmp_path: Path, items: bytes) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        client.select().ask(b"FETCH 1 " + items)
        assert client.ask(b"FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS (\\Recent))\r\n"


def test_examine_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        assert client.log_on().ask(b"EXAMINE INBOX")[-1] == b"x OK [READ-ONLY] EXAMINE completed.\r\n"
        client.ask(b"FETCH 1 BODY[]")
        assert client.ask(b"FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS (\\Recent))\r\n"
        assert client.ask(b"STORE 1 FLAGS (\\Seen)")[-1].startswith(b"x NO [READ-ONLY]")
        assert client.ask(b"EXPUNGE")[-1].startswith(b"x NO [READ-ONLY]")


def test_numbers_and_uids_that_do_not_exist(tmp_path: Path) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        client.select()
        assert client.ask(b"FETCH 2 FLAGS")[0].startswith(b"x BAD ")
        assert client.ask(b"UID FETCH 99 FLAGS") == [b"x OK FETCH completed.\r\n"]
        assert client.ask(b"UID FETCH 1:* UID")[0] == b"* 1 FETCH (UID 1)\r\n"


def test_more_messages_than_one_batch(tmp_path: Path) -> None:
    with serving(tmp_path, *[MESSAGE] * 600) as imap, imap.raw() as client:
        lines = client.select().ask(b"FETCH 1:* (UID ENVELOPE)")
        assert len(lines) == 601
        assert [line.split()[1] for line in lines[:-1]] == [b"%d" % number for number in range(1, 601)]


@on_both_loops
def test_a_slow_reader_gets_every_byte(tmp_path: Path, loop: str) -> None:
    """More than any buffer holds: the answer is made as it is taken."""
    body = b"x" * 98 + b"\r\n"
    large = b"Subject: large\r\n\r\n" + body * 10_000
    with serving(tmp_path, *[large] * 8, loop=loop) as imap, imap.raw() as client:
        client.select()
        client.send(b"x FETCH 1:* BODY.PEEK[]\r\ny NOOP\r\n")
        for number in range(1, 9):
            assert client.line() == b"* %d FETCH (BODY[] {%d}\r\n" % (number, len(large))
            assert client.read(len(large)) == large
            assert client.line() == b")\r\n"
        assert client.line() == b"x OK FETCH completed.\r\n"
        assert client.line() == b"y OK NOOP completed.\r\n"


def test_a_client_that_leaves_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    large = b"Subject: large\r\n\r\n" + b"x" * 2_000_000 + b"\r\n"
    with serving(tmp_path, large, large) as imap:
        with imap.raw() as client:
            client.select().send(b"x FETCH 1:* BODY.PEEK[]\r\n")
            client.read(1000)
        with imap.raw() as client:
            assert client.select().ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_others_are_served_while_a_large_answer_is_made(tmp_path: Path) -> None:
    large = b"Subject: large\r\n\r\n" + b"x" * 3_000_000 + b"\r\n"
    with serving(tmp_path, *[large] * 4) as imap, imap.raw() as slow, imap.raw() as quick:
        slow.select().send(b"x FETCH 1:* BODY.PEEK[]\r\n")
        quick.select()
        assert quick.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]
        reader = threading.Thread(target=slow.until, args=(b"x ",))
        reader.start()
        assert quick.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]
        reader.join(20)
