"""Command lines become events, or the reply that refuses them."""

from __future__ import annotations

import pytest

from runtime.protocols.smtp import events as ev
from tests.runtime.protocols.smtp.dialogue import converse, core, in_transaction, refusals

HELLO = b"EHLO client.example\r\n"


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"EHLO client.example", ev.Hello("client.example", is_extended=True)),
        (b"ehlo [127.0.0.1]", ev.Hello("[127.0.0.1]", is_extended=True)),
        (b"EHLO [IPv6:2001:db8::1]", ev.Hello("[IPv6:2001:db8::1]", is_extended=True)),
        (b"EHLO DESKTOP_42", ev.Hello("DESKTOP_42", is_extended=True)),
        (b"HELO client.example", ev.Hello("client.example", is_extended=False)),
        (b"EHLO", ev.Hello("", is_extended=True)),
        (b"NOOP anything at all", ev.Noop()),
        (b"RSET", ev.Reset()),
        (b"HELP MAIL", ev.Help()),
        (b"VRFY alice", ev.Verify()),
        (b"QUIT", ev.Quit()),
    ],
)
def test_a_command_at_any_time(line: bytes, event: ev.Event) -> None:
    assert converse(core(), line + b"\r\n") == [event]


@pytest.mark.parametrize(
    ("argument", "event"),
    [
        (b"FROM:<a@b.example>", ev.Mail("a@b.example", None, is_eight_bit=False)),
        (b"from:<>", ev.Mail("", None, is_eight_bit=False)),
        (b"FROM: <a@b.example>", ev.Mail("a@b.example", None, is_eight_bit=False)),
        (b"FROM:<a@b.example> SIZE=1000", ev.Mail("a@b.example", 1000, is_eight_bit=False)),
        (b"FROM:<a@b.example> BODY=8BITMIME SIZE=7", ev.Mail("a@b.example", 7, is_eight_bit=True)),
        (b"FROM:<a@b.example> AUTH=<>", ev.Mail("a@b.example", None, is_eight_bit=False)),
        (b"FROM:<@x.example,@y.example:a@b.example>", ev.Mail("a@b.example", None, is_eight_bit=False)),
        (b'FROM:<"a b"@c.example>', ev.Mail('"a b"@c.example', None, is_eight_bit=False)),
    ],
)
def test_mail(argument: bytes, event: ev.Event) -> None:
    assert converse(core(), HELLO, b"MAIL " + argument + b"\r\n")[1:] == [event]


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (b"a@b.example", "550 5.1.7 Invalid address"),
        (b"FROM:a@b.example", "550 5.1.7 Invalid address"),
        (b"FROM:<a@b.example", "550 5.1.7 Invalid address"),
        (b"FROM:<a b@c.example>", "550 5.1.7 Invalid address"),
        (b"FROM:<a@-b.example>", "550 5.1.7 Invalid address"),
        (b"FROM:<" + b"a" * 316 + b"@b.example>", "550 5.1.7 Invalid address"),
        (b"FROM:<a@b.example> SIZE=many", "501 5.5.4 Invalid arguments"),
        (b"FROM:<a@b.example> SIZE", "501 5.5.4 Invalid arguments"),
        (b"FROM:<a@b.example> SIZE=1 SIZE=2", "501 5.5.4 Invalid arguments"),
        (b"FROM:<a@b.example> BODY=BINARYMIME", "501 5.5.4 Invalid arguments"),
        (b"FROM:<a@b.example> FOO=1", "501 5.5.4 Unrecognized parameter"),
        (b"FROM:<a@b.example>SIZE=1", "501 5.5.4 Invalid arguments"),
    ],
)
def test_mail_refused(argument: bytes, text: str) -> None:
    assert refusals(converse(core(), HELLO, b"MAIL " + argument + b"\r\n")) == [text]


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        (b"TO:<c@d.example>", "c@d.example"),
        (b"TO:<Postmaster>", "postmaster"),
        (b"to: <c@[127.0.0.1]>", "c@[127.0.0.1]"),
    ],
)
def test_recipient(argument: bytes, address: str) -> None:
    events = converse(core(), HELLO, b"MAIL FROM:<>\r\nRCPT " + argument + b"\r\n")
    assert events[-1] == ev.Recipient(address)


@pytest.mark.parametrize(
    "argument", [b"TO:<>", b"TO:<c>", b"TO:<c@d@e>", b"<c@d.example>", b"TO:<c@d.example\0>"]
)
def test_recipient_refused(argument: bytes) -> None:
    events = converse(core(), HELLO, b"MAIL FROM:<>\r\nRCPT " + argument + b"\r\n")
    assert isinstance(events[-1], ev.Refused)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (b"MAIL FROM:<>\r\n", "503 5.5.2 Send hello first"),
        (b"RCPT TO:<c@d.example>\r\n", "503 5.5.2 Send hello first"),
        (b"DATA\r\n", "503 5.5.2 Send hello first"),
        (b"AUTH PLAIN\r\n", "503 5.5.2 Send hello first"),
        (b"STARTTLS\r\n", "503 5.5.2 Send hello first"),
        (b"EHLO bad host\r\n", "501 5.5.4 Invalid domain name"),
        (b"FROBNICATE\r\n", "500 5.3.3 Unrecognized command"),
        (b"12345\r\n", "500 5.3.3 Unrecognized command"),
        (b"\r\n", "500 5.3.3 Unrecognized command"),
        (b"RSET now\r\n", "501 5.5.4 Invalid arguments"),
        (b"VRFY\r\n", "501 5.5.4 Invalid arguments"),
        (b"NOOP\n", "500 5.5.2 A command line is ASCII text ended by CRLF"),
        (b"NO\rOP\r\n", "500 5.5.2 A command line is ASCII text ended by CRLF"),
        (b"NOOP \0\r\n", "500 5.5.2 A command line is ASCII text ended by CRLF"),
        (b"NOOP \xff\r\n", "500 5.5.2 A command line is ASCII text ended by CRLF"),
    ],
)
def test_refused_at_the_beginning(lines: bytes, text: str) -> None:
    assert refusals(converse(core(), lines)) == [text]


@pytest.mark.parametrize("line", [b"RCPT TO:<c@d.example>\r\n", b"DATA\r\n", b"BDAT 0 LAST\r\n"])
def test_out_of_order_after_hello(line: bytes) -> None:
    assert refusals(converse(core(), HELLO, line)) == ["503 5.5.1 Bad sequence of commands"]


def test_a_second_mail_is_out_of_order() -> None:
    events = converse(in_transaction(), b"MAIL FROM:<x@y.example>\r\n")
    assert refusals(events) == ["503 5.5.1 Bad sequence of commands"]


def test_reset_ends_the_transaction() -> None:
    events = converse(in_transaction(), b"RSET\r\n", b"RCPT TO:<c@d.example>\r\n")
    assert refusals(events) == ["503 5.5.1 Bad sequence of commands"]


def test_private_verbs_are_unknown_to_a_core_that_was_not_told() -> None:
    assert refusals(converse(core(), b"XORIGIN abc\r\n")) == ["500 5.3.3 Unrecognized command"]


def test_private_verbs() -> None:
    server = core(private_verbs=frozenset({"XORIGIN"}))
    assert converse(server, b"XORIGIN abc\r\n") == [ev.Private("XORIGIN", "abc")]
