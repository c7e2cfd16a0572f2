"""SEARCH through both hops, and the texts it looks into."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from runtime.protocols.imap4.search_keys import AndKey, FlagKey, HeaderKey, NotKey, SizeKey, TextKey
from runtime.services.imap4_backend import body_text, envelope, search
from runtime.store.mime import parse_message, render_envelope
from tests.runtime.services.imap4_estate import serving

ONE = (
    b"Date: Wed, 17 Jul 1996 23:30:00 -0700\r\nFrom: Alice Liddell <alice@contoso.example>\r\n"
    b"To: bob@contoso.example\r\nCc: carol@contoso.example\r\nSubject: Quarterly report\r\n"
    b"Message-ID: <1@contoso.example>\r\n\r\nSee the numbers.\r\n"
)
TWO = (
    b"Date: Fri, 19 Jul 1996 01:00:00 +0000\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@contoso.example>\r\n"
    b"Subject: =?utf-8?b?" + base64.b64encode("Grüße".encode()) + b"?=\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes("Schöne Grüße an alle".encode()).replace(b"\n", b"\r\n")
)
THREE = b"Subject: re: quarterly\r\n\treport\r\nX-Tag: blue\r\n\r\n" + b"filler\r\n" * 400


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (b"ALL", b" 1 2 3"),
        (b"2:*", b" 2 3"),
        (b"UID 1,3", b" 1 3"),
        (b"SUBJECT report", b" 1 3"),
        (b'SUBJECT "Quarterly report"', b" 1 3"),
        (b"FROM alice@contoso.example", b" 1"),
        (b'FROM "Alice Liddell <alice"', b" 1"),
        (b"FROM contoso", b" 1 2"),
        (b"TO bob CC carol", b" 1"),
        (b"BCC x", b""),
        (b"CHARSET UTF-8 FROM {7+}\r\n" + "jürgen".encode(), b" 2"),
        (b"CHARSET UTF-8 SUBJECT {7+}\r\n" + "GRÜSSE".encode(), b" 2"),
        (b"CHARSET UTF-8 BODY {6+}\r\n" + "Schön".encode(), b" 2"),
        (b"BODY numbers", b" 1"),
        (b"BODY Quarterly", b""),
        (b"TEXT quarterly", b" 1 3"),
        (b"TEXT alle", b" 2"),
        (b"HEADER Message-ID 1@contoso", b" 1"),
        (b'HEADER X-Tag ""', b" 3"),
        (b"HEADER X-Tag red", b""),
        (b"LARGER 1000", b" 3"),
        (b"SMALLER 1000", b" 1 2"),
        (b"SENTON 17-Jul-1996", b" 1"),
        (b"SENTSINCE 18-Jul-1996", b" 2"),
        (b"SENTBEFORE 18-Jul-1996", b" 1"),
        (b"SINCE 1-Jan-2020", b" 1 2 3"),
        (b"BEFORE 1-Jan-2020", b""),
        (b"SEEN", b" 2"),
        (b"UNSEEN", b" 1 3"),
        (b"KEYWORD WORK", b" 2"),
        (b"UNKEYWORD work", b" 1 3"),
        (b"RECENT", b" 1 2 3"),
        (b"NEW", b" 1 3"),
        (b"OLD", b""),
        (b"NOT SEEN NOT SUBJECT report", b""),
        (b"OR SEEN LARGER 1000", b" 2 3"),
        (b"NOT (OR SEEN LARGER 1000)", b" 1"),
        (b"(SEEN 2) ALL", b" 2"),
    ],
)
def test_search(tmp_path: Path, keys: bytes, found: bytes) -> None:
    with serving(tmp_path, ONE, TWO, THREE) as imap, imap.raw() as client:
        client.select().ask(b"STORE 2 FLAGS.SILENT (\\Seen work)")
        assert client.ask(b"SEARCH " + keys) == [b"* SEARCH" + found + b"\r\n", b"x OK SEARCH completed.\r\n"]


def test_uid_search(tmp_path: Path) -> None:
    with serving(tmp_path, ONE, TWO, THREE) as imap, imap.raw() as client:
        client.select().ask(b"STORE 1 FLAGS.SILENT (\\Deleted)")
        client.ask(b"EXPUNGE")
        assert client.ask(b"UID SEARCH SUBJECT report")[0] == b"* SEARCH 3\r\n"
        assert client.ask(b"SEARCH SUBJECT report")[0] == b"* SEARCH 2\r\n"


def test_an_unknown_charset(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        (reply,) = client.select().ask(b"SEARCH CHARSET KOI8-R ALL")
        assert reply.startswith(b"x NO [BADCHARSET (US-ASCII UTF-8)] ")


def test_a_number_that_does_not_exist(tmp_path: Path) -> None:
    with serving(tmp_path, ONE) as imap, imap.raw() as client:
        assert client.select().ask(b"SEARCH 2")[0].startswith(b"x BAD ")


def test_a_search_that_takes_long_lets_others_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SLICE", 0.0)
    with serving(tmp_path, ONE, TWO, THREE) as imap, imap.raw() as client:
        assert client.select().ask(b"SEARCH TEXT report BODY numbers")[0] == b"* SEARCH 1\r\n"


def test_cheap_keys_come_first() -> None:
    text, header = TextKey("x", is_body_only=True), HeaderKey("SUBJECT", "x")
    flag, size = FlagKey("\\Seen", is_set=True), SizeKey(is_larger=True, size=1)
    keys = AndKey((text, HeaderKey("X-TAG", "x"), header, NotKey(size), flag))
    assert min(keys.keys, key=search.cost) is flag
    assert max(keys.keys, key=search.cost) is text


@pytest.mark.parametrize(
    "header",
    [
        b'From: "a (b) \\"c\\" \\\\" <x@y>\r\nSubject: "quoted" (\\) {3}',
        b"Subject: \xff\xfe raw",
        b"From: group: a@b, c@d;\r\nTo: <>\r\nSubject:",
        b"",
    ],
)
def test_any_envelope_is_read_back(header: bytes) -> None:
    content = header + b"\r\n\r\n"
    rendered = render_envelope(content, parse_message(content))
    assert len(envelope.parse(rendered)) == 10
    for name in envelope.FIELDS:
        envelope.field_text(rendered, name)


@pytest.mark.parametrize(
    ("kind", "encoding", "body", "needle", "is_there"),
    [
        (b"text/plain; charset=iso-8859-1", b"quoted-printable", b"caf=E9", "café", True),
        (b"text/plain; charset=utf-16", b"base64", base64.b64encode("hello".encode("utf-16")), "hello", True),
        (b"text/plain; charset=no-such", b"8bit", b"hello", "hello", True),
        (b"text/plain; charset=punycode", b"8bit", b"hello-", "hello", True),
        (b"text/plain; charset=hex", b"8bit", b"hello", "hello", True),
        (b"text/plain", b"base64", b"!", "hello", False),
        (b"application/octet-stream", b"7bit", b"hello", "hello", False),
    ],
)
def test_text_of_a_body(kind: bytes, encoding: bytes, body: bytes, needle: str, is_there: bool) -> None:
    content = b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b\r\n" % (kind, encoding, body)
    assert body_text.holds(content, parse_message(content), needle, is_body_only=True) is is_there


def test_text_of_an_enclosed_message() -> None:
    content = b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?inner?=\r\n\r\ninside\r\n"
    structure = parse_message(content)
    assert body_text.holds(content, structure, "inner", is_body_only=True)
    assert body_text.holds(content, structure, "inside", is_body_only=True)
    assert not body_text.holds(content, structure, "rfc822", is_body_only=True)
