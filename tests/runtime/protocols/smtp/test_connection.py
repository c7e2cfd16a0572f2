"""The core as a whole: limits, pipelining, STARTTLS, SASL, and the same events however the bytes are cut."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.connection import NEED_DATA, SequenceError
from runtime.protocols.smtp.state import State
from tests.runtime.protocols.smtp.dialogue import answer_all, converse, core, in_transaction, refusals

CONTENT_AND_MORE = (
    b"Subject: x\r\n\r\n..dot\r\nbody\r\n.\r\nMAIL FROM:<>\r\n"
    b"RCPT TO:<c@d.example>\r\nBDAT 3\r\nabcBDAT 2 LAST\r\n\r\nRSET\r\n"
)
GROUPS = (
    b"EHLO client.example\r\n",
    b"MAIL FROM:<a@b.example> SIZE=100\r\nRCPT TO:<c@d.example>\r\nNOOP\r\nDATA\r\n",
    CONTENT_AND_MORE,
    b"MAIL FROM:<a@b.example\r\nQUIT\r\n",
)


def test_fed_byte_by_byte_means_the_same_as_whole() -> None:
    whole = converse(core(), *GROUPS)
    assert converse(core(), *(bytes([byte]) for group in GROUPS for byte in group)) == whole
    assert len(whole) == 16


@given(st.binary(max_size=400))
def test_any_bytes_are_survived(data: bytes) -> None:
    server = core()
    converse(server, b"EHLO a.example\r\n", data, b"\r\n")
    assert server.buffered <= 512


@given(
    st.lists(
        st.sampled_from(
            [
                b"EHLO a.b\r\n",
                b"MAIL FROM:<a@b.c>\r\n",
                b"RCPT TO:<a@b.c>\r\n",
                b"DATA\r\n",
                b"x\r\n.\r\n",
                b"RSET\r\n",
                b"BDAT 3\r\nabc",
                b"BDAT 0 LAST\r\n",
                b"AUTH LOGIN\r\n",
                b"*\r\n",
                b"QUIT\r\n",
                b"NOOP\r\n",
                b"bad\n",
            ]
        ),
        max_size=25,
    )
)
def test_any_order_of_commands_keeps_the_core_usable(lines: list[bytes]) -> None:
    server = core()
    for event in converse(server, *lines):
        assert isinstance(event, ev.Event)
    assert not server.is_awaiting_reply


@pytest.mark.parametrize(
    "command",
    [
        b"EHLO ",
        b"HELO ",
        b"MAIL FROM:",
        b"RCPT TO:",
        b"VRFY ",
        b"NOOP ",
        b"HELP ",
        b"RSET ",
        b"QUIT ",
        b"XYZZY ",
    ],
)
def test_command_lines_of_25_octets(command: bytes) -> None:
    server = core(command_line=25)
    line = command + b"a" * (24 - len(command)) + b"\r\n"
    assert refusals(converse(server, line, b"NOOP\r\n")) == ["500 5.5.2 Line too long"]


def test_a_line_of_the_limit_is_taken() -> None:
    assert converse(core(command_line=25), b"NOOP " + b"a" * 18 + b"\r\n") == [ev.Noop()]


def test_the_limit_holds_byte_by_byte_and_nothing_is_kept() -> None:
    server = core(command_line=25)
    for _ in range(1000):
        server.receive(b"a")
        assert server.next_event() is NEED_DATA
        assert server.buffered < 25
    assert refusals(converse(server, b"\r\n")) == ["500 5.5.2 Line too long"]


def test_sasl_may_be_longer_than_a_command() -> None:
    response = base64.b64encode(b"\0alice\0" + b"p" * 600)
    server = core()
    events = converse(
        server, b"EHLO a.example\r\n", *(bytes([one]) for one in b"AUTH PLAIN " + response + b"\r\n")
    )
    assert isinstance(events[-1], ev.Auth)
    assert events[-1].initial is not None
    assert events[-1].initial.reveal().endswith(b"p" * 600)


def test_sasl_has_a_limit_too() -> None:
    events = converse(core(), b"EHLO a.example\r\n", b"AUTH LOGIN\r\n", b"A" * 13_000 + b"\r\n")
    assert refusals(events) == ["500 5.5.2 Line too long"]


@pytest.mark.parametrize("response", [b"not base64!", b"QQ", b"\xff"])
def test_sasl_responses_that_are_no_base64(response: bytes) -> None:
    server = core()
    events = converse(server, b"EHLO a.example\r\n", b"AUTH LOGIN\r\n", response + b"\r\n")
    assert len(refusals(events)) == 1
    assert server.state is State.READY


def test_sasl_cancelled() -> None:
    events = converse(core(), b"EHLO a.example\r\n", b"AUTH LOGIN\r\n", b"*\r\n")
    assert refusals(events) == ["501 5.7.0 Authentication cancelled"]


def test_secrets_do_not_show() -> None:
    assert "cGFzcw" not in repr(ev.AuthResponse(ev.SecretBytes(b"cGFzcw")))


@pytest.mark.parametrize(
    "command", [b"EHLO a.example", b"HELO a.example", b"DATA", b"STARTTLS", b"AUTH LOGIN"]
)
def test_bytes_behind_a_command_that_ends_a_group_end_the_session(command: bytes) -> None:
    server = in_transaction()
    events = converse(server, command + b"\r\nNOOP\r\n")
    assert refusals(events) == ["554 5.5.0 Improper use of command pipelining, closing transmission channel"]
    assert server.state is State.CLOSED


def test_starttls_forgets_the_greeting() -> None:
    server = core()
    converse(server, b"EHLO a.example\r\n", b"STARTTLS\r\n")
    server.tls_started()
    assert refusals(converse(server, b"MAIL FROM:<>\r\n")) == ["503 5.5.2 Send hello first"]


def test_starttls_bytes_in_clear_before_the_handshake_are_not_executed() -> None:
    server = core()
    converse(server, b"EHLO a.example\r\n", b"STARTTLS\r\n")
    assert converse(server, b"NOOP\r\n") == []
    server.tls_started()
    assert answer_all(server) == []


def test_a_refused_sender_leaves_no_transaction() -> None:
    server = core()
    converse(server, b"EHLO a.example\r\n")
    server.receive(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
    server.next_event()
    server.reply(replies.NOT_SENDER)
    assert refusals(answer_all(server)) == ["503 5.5.1 Bad sequence of commands"]


def test_data_without_an_accepted_recipient_is_out_of_order() -> None:
    server = core()
    converse(server, b"EHLO a.example\r\n", b"MAIL FROM:<>\r\n")
    server.receive(b"RCPT TO:<c@d.example>\r\nDATA\r\n")
    server.next_event()
    server.reply(replies.USER_UNKNOWN)
    assert refusals(answer_all(server)) == ["503 5.5.1 Bad sequence of commands"]


def test_an_event_must_be_answered_before_the_next() -> None:
    server = core()
    server.receive(b"NOOP\r\n")
    server.next_event()
    with pytest.raises(SequenceError):
        server.next_event()


def test_an_answer_needs_an_event() -> None:
    with pytest.raises(SequenceError):
        core().reply(replies.OK)


def test_421_ends_the_session() -> None:
    server = core()
    server.receive(b"NOOP\r\nNOOP\r\n")
    server.next_event()
    server.reply(replies.SERVICE_STOPPING)
    assert server.next_event() is NEED_DATA
