"""DATA and BDAT: the true end, the dots, the line ends, the limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp.connection import ServerConnection
from runtime.protocols.smtp.content import DotDecoder, LineEndings
from tests.runtime.protocols.smtp.dialogue import (
    CONTENT,
    converse,
    core,
    fault,
    in_transaction,
    message,
    refusals,
)

HEADER = b"Subject: x\r\n\r\n"


def receive(content: bytes, server: ServerConnection | None = None) -> list[ev.Event]:
    return converse(in_transaction(server), b"DATA\r\n", content)[1:]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"..a\r\n...\r\n.\r\n", b".a\r\n..\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"\r\n.\r\n", b"\r\n"),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
    ],
)
def test_dots(sent: bytes, meant: bytes) -> None:
    assert message(receive(sent)) == meant


def test_commands_behind_the_end_are_commands() -> None:
    events = receive(HEADER + b"body\r\n.\r\nNOOP\r\nRSET\r\n")
    assert events[-2:] == [ev.Noop(), ev.Reset()]


@pytest.mark.parametrize(
    "smuggled", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n\n.\r\n"]
)
def test_smuggling_no_other_sequence_ends_a_message(smuggled: bytes) -> None:
    """CVE-2023-51764 and its kin: what follows is content, to the true end."""
    events = receive(HEADER + b"x" + smuggled + b"MAIL FROM:<evil@b.example>\r\nmore\r\n.\r\nNOOP\r\n")
    assert not any(isinstance(event, ev.Mail) for event in events)
    assert fault(events) is ev.Fault.BARE_LINE_ENDING


@pytest.mark.parametrize("bare", [b"a\nb\r\n", b"a\rb\r\n", b"\n", b"a\r\r\n", b"a\n\r\n"])
def test_bare_line_ends_are_rejected_at_the_true_end(bare: bytes) -> None:
    events = receive(HEADER + bare + b"\r\n.\r\n")
    assert fault(events) is ev.Fault.BARE_LINE_ENDING


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"a\nb\r\n", b"a\r\nb\r\n"),
        (b"a\rb\r\n", b"a\r\nb\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\nb\r\n", b"a\r\n\r\nb\r\n"),
    ],
)
def test_bare_line_ends_are_converted_when_they_are_accepted(sent: bytes, meant: bytes) -> None:
    server = core(line_endings=LineEndings.CONVERT)
    assert message(receive(HEADER + sent + b".\r\n", server)) == HEADER + meant


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\r\n."]), max_size=30), st.integers(1, 7)
)
def test_any_content_means_the_same_however_it_is_cut(tokens: list[bytes], size: int) -> None:
    data = b"".join(tokens) + b"\r\n.\r\nNOOP\r\n"
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    def feed(*parts: bytes) -> list[ev.Event]:
        server = core(line_endings=LineEndings.CONVERT)
        return converse(in_transaction(server), b"DATA\r\n", *parts)

    assert message(feed(*pieces)) == message(feed(data))


@given(st.binary(max_size=300))
def test_stuffing_is_undone(content: bytes) -> None:
    text = content.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
    stuffed = (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:]
    assert DotDecoder().feed(stuffed + b".\r\nrest") == (text, b"rest")


def test_the_header_section_comes_alone() -> None:
    events = receive(HEADER + b"body\r\n.\r\n")
    assert events == [ev.Header(HEADER), ev.Content(b"body\r\n"), ev.EndOfMessage(len(HEADER) + 6, None)]


def test_a_message_without_a_header_section() -> None:
    assert receive(b"\r\nbody\r\n.\r\n")[:2] == [ev.Header(b"\r\n"), ev.Content(b"body\r\n")]


def test_a_message_of_nothing_but_header() -> None:
    assert receive(b"Subject: x\r\n.\r\n")[0] == ev.Header(b"Subject: x\r\n")


@pytest.mark.parametrize(("size", "expected"), [(25, None), (26, ev.Fault.TOO_LARGE)])
def test_message_size_of_25(size: int, expected: ev.Fault | None) -> None:
    server = core(content=replace(CONTENT, message=25))
    assert fault(receive(b"a" * (size - 2) + b"\r\n.\r\n", server)) is expected


@pytest.mark.parametrize(("size", "expected"), [(25, None), (26, ev.Fault.HEADER_TOO_LARGE)])
def test_header_size_of_25(size: int, expected: ev.Fault | None) -> None:
    server = core(content=replace(CONTENT, header=25))
    header = b"A: " + b"a" * (size - 7) + b"\r\n\r\n"
    assert fault(receive(header + b"body\r\n.\r\n", server)) is expected


def test_an_endless_header_is_not_kept() -> None:
    server = in_transaction(core(content=replace(CONTENT, header=25)))
    events = converse(server, b"DATA\r\n", *[b"A: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"] * 50, b".\r\n")
    assert fault(events) is ev.Fault.HEADER_TOO_LARGE
    assert message(events) == b""


@pytest.mark.parametrize(("hops", "expected"), [(25, None), (26, ev.Fault.TOO_MANY_HOPS)])
def test_25_hops(hops: int, expected: ev.Fault | None) -> None:
    server = core(content=replace(CONTENT, hops=25, local_hops=0))
    content = b"Received: from a by b.example\r\n" * hops + b"\r\nbody\r\n.\r\n"
    assert fault(receive(content, server)) is expected


@pytest.mark.parametrize("name", [b"Received :", b"received\t :"])
def test_blanks_before_the_colon_hide_no_hop(name: bytes) -> None:
    server = core(content=replace(CONTENT, hops=25, local_hops=0))
    content = (name + b" from a by b.example\r\n") * 26 + b"\r\nbody\r\n.\r\n"
    assert fault(receive(content, server)) is ev.Fault.TOO_MANY_HOPS


@pytest.mark.parametrize(("hops", "expected"), [(8, None), (9, ev.Fault.LOCAL_LOOP)])
def test_hops_of_this_server(hops: int, expected: ev.Fault | None) -> None:
    content = b"Received: from a\r\n\tby EX01.contoso.example with ESMTP\r\n" * hops + b"\r\nbody\r\n.\r\n"
    assert fault(receive(content)) is expected


def test_other_servers_are_no_local_hops() -> None:
    content = b"Received: from ex01.contoso.example by b.example\r\n" * 9 + b"\r\nbody\r\n.\r\n"
    assert fault(receive(content)) is None


def test_chunks() -> None:
    server = in_transaction()
    events = converse(server, b"BDAT 14\r\n" + HEADER, b"BDAT 6 LAST\r\nbody\r\nNOOP\r\n")
    assert events == [
        ev.Header(HEADER),
        ev.EndOfChunk(14),
        ev.Content(b"body\r\n"),
        ev.EndOfMessage(20, None),
        ev.Noop(),
    ]


def test_a_chunk_is_counted_not_searched() -> None:
    content = b"\r\n\r\n.\r\nMAIL FROM:<>\r\n\r\n"
    events = converse(in_transaction(), b"BDAT %d LAST\r\n" % len(content) + content + b"NOOP\r\n")
    assert message(events) == content
    assert events[-1] == ev.Noop()


def test_a_line_end_that_two_chunks_share() -> None:
    events = converse(in_transaction(), b"BDAT 2\r\na\r", b"BDAT 1 LAST\r\n\n")
    assert message(events) == b"a\r\n"
    assert fault(events) is None


def test_a_chunk_out_of_order_is_read_over() -> None:
    events = converse(core(), b"EHLO a.example\r\n", b"BDAT 12 LAST\r\nMAIL FROM:<>NOOP\r\n")
    assert refusals(events) == ["503 5.5.1 Bad sequence of commands"]
    assert events[-1] == ev.Noop()


def test_a_chunk_without_size_ends_the_session() -> None:
    events = converse(in_transaction(), b"BDAT soon\r\nNOOP\r\n")
    assert isinstance(events[-1], ev.Refused)
    assert events[-1].is_final


def test_mail_between_chunks_is_out_of_order() -> None:
    events = converse(in_transaction(), b"BDAT 1\r\na", b"MAIL FROM:<>\r\n", b"BDAT 0 LAST\r\n")
    assert refusals(events) == ["503 5.5.1 Bad sequence of commands"]
    assert fault(events) is None
