"""Replies: what they hold, how they look, how they are read; EHLO's table; the client's side."""

from __future__ import annotations

import pytest

from runtime.protocols.smtp import client, replies
from runtime.protocols.smtp.ehlo import Offer, ehlo_reply
from runtime.protocols.smtp.replies import Reply, parse_reply, render_reply

EVERYTHING = Offer(
    size_mode="Enabled",
    size=37748736,
    has_pipelining=True,
    has_enhanced_codes=True,
    has_starttls=True,
    mechanisms=("LOGIN",),
    has_eight_bit=True,
    has_chunking=True,
)
NOTHING = Offer(
    size_mode="Disabled",
    size=0,
    has_pipelining=False,
    has_enhanced_codes=False,
    has_starttls=False,
    mechanisms=(),
    has_eight_bit=False,
    has_chunking=False,
)


def test_a_reply_of_one_line() -> None:
    assert render_reply(replies.USER_UNKNOWN) == b"550 5.1.1 User unknown\r\n"


def test_without_enhanced_codes() -> None:
    assert render_reply(replies.USER_UNKNOWN, is_enhanced=False) == b"550 User unknown\r\n"


def test_a_reply_of_many_lines_repeats_the_enhanced_code() -> None:
    assert render_reply(Reply(550, "5.1.1", ("one", "two"))) == b"550-5.1.1 one\r\n550 5.1.1 two\r\n"


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\0", "é"])
def test_a_reply_cannot_hold_a_line_end_or_anything_but_ascii(text: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Reply(250, None, (text,))


@pytest.mark.parametrize("text", ["250 2.1.0 Sender OK", "250 x", "334 ", "220 2.x no code", "250"])
def test_a_reply_read_is_the_reply_written(text: str) -> None:
    assert render_reply(parse_reply((text,))).rstrip() == text.rstrip().encode()


@pytest.mark.parametrize("lines", [("hello",), ("",), ("250-a", "251 b"), ("999 x",)])
def test_what_is_no_reply(lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="reply"):
        parse_reply(lines)


def test_ehlo_offers_in_the_order_of_the_table() -> None:
    assert ehlo_reply("mail.contoso.example", "192.0.2.1", EVERYTHING).lines == (
        "mail.contoso.example Hello [192.0.2.1]",
        "SIZE 37748736",
        "PIPELINING",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "AUTH LOGIN",
        "8BITMIME",
        "CHUNKING",
    )


def test_ehlo_offers_nothing_that_is_off() -> None:
    assert ehlo_reply("a.example", "::1", NOTHING).lines == ("a.example Hello [::1]",)


def test_size_without_value() -> None:
    offer = Offer("EnabledwithoutValue", 5, False, False, False, (), False, False)
    assert ehlo_reply("a.example", "::1", offer).lines[1:] == ("SIZE",)


def test_client_commands() -> None:
    assert client.mail("", is_eight_bit=False) == b"MAIL FROM:<>\r\n"
    assert client.mail("a@b.example", is_eight_bit=True) == b"MAIL FROM:<a@b.example> BODY=8BITMIME\r\n"
    assert client.recipient("a@b.example") == b"RCPT TO:<a@b.example>\r\n"
    assert client.chunk(5, is_last=True) == b"BDAT 5 LAST\r\n"


@pytest.mark.parametrize(
    "address", ["a@b.example>\r\nRCPT TO:<x@y.example", "a", "a b@c.example", "a@b>.example", "\n@b"]
)
def test_client_commands_cannot_hold_a_second_command(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        client.recipient(address)


def test_the_client_pairs_replies_with_what_it_sent() -> None:
    core = client.ClientConnection()
    core.expect("first", "second")
    for byte in b"250-2.0.0 a\r\n250 2.0.0 b\r\n550 5.1.1 User unknown\r\n421 4.3.2 bye\r\n":
        core.receive(bytes([byte]))
    answers = [core.next_answer() for _ in range(4)]
    assert [(one.tag, one.reply.code) for one in answers if one] == [
        ("first", 250),
        ("second", 550),
        (None, 421),
    ]


@pytest.mark.parametrize("data", [b"hello\r\n", b"250" + b"x" * 5000 + b"\r\n", b"250-a\r\n" * 200])
def test_the_client_refuses_what_is_no_reply(data: bytes) -> None:
    core = client.ClientConnection()
    core.receive(data)
    with pytest.raises(client.ReplyError):
        core.next_answer()
