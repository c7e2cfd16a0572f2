"""ENVELOPE, BODY and BODYSTRUCTURE, octet for octet."""

from __future__ import annotations

import pytest

from runtime.store.mime import Limits, parse_message, render_body, render_envelope
from runtime.store.mime.addresses import render_addresses
from runtime.store.mime.wire import nstring, string


def envelope(header: bytes) -> bytes:
    data = header + b"\r\nbody\r\n"
    return render_envelope(data, parse_message(data))


def structure(data: bytes, *, extended: bool) -> bytes:
    return render_body(parse_message(data), data, extended=extended)


def test_a_full_envelope() -> None:
    assert envelope(
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
        b"From: Alice <alice@contoso.example>\r\n"
        b"Subject: IMAP4rev1 WG mtg summary\r\n"
        b"To: bob@contoso.example\r\n"
        b'Cc: minutes@contoso.example, "List, The" <list@contoso.example>\r\n'
        b"Message-Id: <B27397-0100000@contoso.example>\r\n"
    ) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary" '
        b'(("Alice" NIL "alice" "contoso.example")) (("Alice" NIL "alice" "contoso.example")) '
        b'(("Alice" NIL "alice" "contoso.example")) ((NIL NIL "bob" "contoso.example")) '
        b'((NIL NIL "minutes" "contoso.example")("List, The" NIL "list" "contoso.example")) '
        b'NIL NIL "<B27397-0100000@contoso.example>")'
    )


def test_missing_text_is_nil_and_empty_text_is_empty() -> None:
    assert envelope(b"Subject:\r\nMessage-ID: \r\n") == b'(NIL "" NIL NIL NIL NIL NIL NIL NIL "")'


def test_empty_sender_and_reply_to_are_the_authors() -> None:
    author = b'((NIL NIL "a" "b"))'
    assert envelope(b"From: a@b\r\nSender:\r\n") == b"(NIL NIL %b %b %b NIL NIL NIL NIL NIL)" % (
        author,
        author,
        author,
    )


def test_sender_and_reply_to_of_their_own() -> None:
    assert envelope(b"From: a@b\r\nSender: c@d\r\nReply-To: e@f\r\n") == (
        b'(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "c" "d")) ((NIL NIL "e" "f")) NIL NIL NIL NIL NIL)'
    )


def test_the_first_field_of_a_name_counts() -> None:
    assert b'"one"' in envelope(b"Subject: one\r\nSubject: two\r\n")


def test_encoded_words_stay() -> None:
    assert b'"=?utf-8?q?R=C3=A9union?="' in envelope(b"Subject: =?utf-8?q?R=C3=A9union?=\r\n")


def test_eight_bit_text_is_a_literal() -> None:
    assert b" {4}\r\ncaf\xe9 " in envelope(b"Subject: caf\xe9\r\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"alice@contoso.example", b'((NIL NIL "alice" "contoso.example"))'),
        (b"<alice@contoso.example>", b'((NIL NIL "alice" "contoso.example"))'),
        (b"John Q. Public <jq@c.example>", b'(("John Q. Public" NIL "jq" "c.example"))'),
        (b"jq@c.example (John (Q) Public)", b'(("John (Q) Public" NIL "jq" "c.example"))'),
        (rb'"a \"b\" \\c" <x@y>', rb'(("a \"b\" \\c" NIL "x" "y"))'),
        (b'"quoted local"@y', b'((NIL NIL "quoted local" "y"))'),
        (b"a . b @ c . d", b'((NIL NIL "a.b" "c.d"))'),
        (b"x@[192.0.2.1]", b'((NIL NIL "x" "[192.0.2.1]"))'),
        (b"<@r1,@r2:u@h>", b'((NIL "@r1,@r2" "u" "h"))'),
        (
            b"Team: a@b, Bob <c@d>;",
            b'((NIL NIL "Team" NIL)(NIL NIL "a" "b")("Bob" NIL "c" "d")(NIL NIL NIL NIL))',
        ),
        (b"undisclosed-recipients:;", b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'),
        (b"Open: a@b", b'((NIL NIL "Open" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))'),
        (b"postmaster", b'((NIL NIL "postmaster" ""))'),
        (b"<>", b'((NIL NIL "" ""))'),
        (b", ,", b"NIL"),
        (b"", b"NIL"),
        (b"(only a comment", b"NIL"),
        (b'"open', b'((NIL NIL "open" ""))'),
        (b"caf\xe9 <x@y>", b'(({4}\r\ncaf\xe9 NIL "x" "y"))'),
    ],
)
def test_address_lists(value: bytes, expected: bytes) -> None:
    assert render_addresses(value, Limits()) == expected


def test_addresses_beyond_the_limit_are_left_out() -> None:
    rendered = render_addresses(b", ".join([b"a@b"] * 100), Limits(addresses=25))
    assert rendered.count(b'"a"') == 25


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", b'""'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a\r\nb\0c", b'"a  b c"'),
        (b"\xc3\xa9\r\n", b"{4}\r\n\xc3\xa9  "),
        (b"{5}", b'"{5}"'),
    ],
)
def test_strings(value: bytes, expected: bytes) -> None:
    assert string(value) == expected


def test_nil_and_the_empty_string_differ() -> None:
    assert (nstring(None), nstring(b"")) == (b"NIL", b'""')


def test_plain_text() -> None:
    data = b"Subject: x\r\n\r\none\r\ntwo\r\n"
    assert structure(data, extended=False) == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2)'
    assert structure(data, extended=True) == (
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2 NIL NIL NIL NIL)'
    )


def test_every_field_of_a_part() -> None:
    data = (
        b"Content-Type: image/png; name=a.png\r\nContent-ID: <1@x>\r\nContent-Description: a picture\r\n"
        b"Content-Transfer-Encoding: BASE64\r\nContent-MD5: Q2hlY2s=\r\n"
        b'Content-Disposition: Attachment; filename="a b.png"; size=3\r\n'
        b"Content-Language: en, de\r\nContent-Location: http://x/\r\n\r\nAAAA"
    )
    assert structure(data, extended=True) == (
        b'("image" "png" ("name" "a.png") "<1@x>" "a picture" "base64" 4 "Q2hlY2s=" '
        b'("attachment" ("filename" "a b.png" "size" "3")) ("en" "de") "http://x/")'
    )
    assert structure(data, extended=False) == (
        b'("image" "png" ("name" "a.png") "<1@x>" "a picture" "base64" 4)'
    )


MULTIPART = (
    b"Content-Type: multipart/mixed; boundary=b\r\nContent-Language: en\r\n\r\n"
    b"--b\r\n\r\nhi\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n\r\n--b--\r\n"
)


def test_a_multipart_with_a_message() -> None:
    assert structure(MULTIPART, extended=False) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 2 0)'
        b'("message" "rfc822" NIL NIL NIL "7bit" 18 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1) 3) "mixed")'
    )


def test_a_multiparts_extension_data() -> None:
    assert structure(MULTIPART, extended=True).endswith(b' "mixed" ("boundary" "b") NIL "en" NIL)')
