"""The POP3 core: grammar, line buffer, limits. Every script is fed whole, byte by byte, and with trailing bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.pop3 import writer
from runtime.protocols.pop3.connection import TOO_LONG, Pop3Connection
from runtime.protocols.pop3.events import (
    Auth,
    AuthResponse,
    BadCommand,
    Capa,
    Command,
    Dele,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Secret,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
)
from runtime.protocols.pop3.grammar import ARGUMENTS, UNKNOWN
from runtime.protocols.pop3.state import NOT_NOW, Offer, State, capabilities

BEFORE_LOGON: list[tuple[bytes, Command]] = [
    (b"USER alice\r\n", User("alice")),
    (b"user CONTOSO\\alice\r\n", User("CONTOSO\\alice")),
    (b"USER alice@contoso.example \r\n", User("alice@contoso.example")),
    (b"USER\r\n", BadCommand("USER", ARGUMENTS)),
    (b"USER \xff\r\n", BadCommand("USER", ARGUMENTS)),
    (b"PASS open sesame \r\n", Pass(Secret(b"open sesame "))),
    (b"PASS\r\n", BadCommand("PASS", ARGUMENTS)),
    (b"AUTH\r\n", Auth("", None)),
    (b"AUTH plain\r\n", Auth("PLAIN", None)),
    (b"AUTH PLAIN AGEAYg==\r\n", Auth("PLAIN", Secret(b"AGEAYg=="))),
    (b"AUTH PLAIN a b\r\n", BadCommand("AUTH", ARGUMENTS)),
    (b"CAPA\r\n", Capa()),
    (b"capa\n", Capa()),
    (b"STLS\r\n", Stls()),
    (b"STLS now\r\n", BadCommand("STLS", ARGUMENTS)),
    (b"QUIT\r\n", Quit()),
    (b"STAT\r\n", BadCommand("STAT", NOT_NOW)),
    (b"NOOP\r\n", BadCommand("NOOP", NOT_NOW)),
    (b"XYZZY\r\n", BadCommand("XYZZY", UNKNOWN)),
    (b"\r\n", BadCommand("", UNKNOWN)),
]

AFTER_LOGON: list[tuple[bytes, Command]] = [
    (b"STAT\r\n", Stat()),
    (b"LIST\r\n", List(None)),
    (b"LIST 2\r\n", List(2)),
    (b"LIST two\r\n", BadCommand("LIST", ARGUMENTS)),
    (b"UIDL\r\n", Uidl(None)),
    (b"UIDL 3\r\n", Uidl(3)),
    (b"RETR 1\r\n", Retr(1)),
    (b"RETR\r\n", BadCommand("RETR", ARGUMENTS)),
    (b"RETR -1\r\n", BadCommand("RETR", ARGUMENTS)),
    (b"RETR 99999999999\r\n", BadCommand("RETR", ARGUMENTS)),
    (b"DELE 1\r\n", Dele(1)),
    (b"DELE 1 2\r\n", BadCommand("DELE", ARGUMENTS)),
    (b"TOP 1 0\r\n", Top(1, 0)),
    (b"TOP 1\r\n", BadCommand("TOP", ARGUMENTS)),
    (b"NOOP\r\n", Noop()),
    (b"RSET\r\n", Rset()),
    (b"QUIT\r\n", Quit()),
    (b"CAPA\r\n", Capa()),
    (b"USER alice\r\n", BadCommand("USER", NOT_NOW)),
    (b"STLS\r\n", BadCommand("STLS", NOT_NOW)),
]


def _core(state: State, size: int = 512) -> Pop3Connection:
    return Pop3Connection(state, max_command_size=size)


def _drain(core: Pop3Connection) -> list[Command]:
    found = []
    while (command := core.next_command()) is not None:
        found.append(command)
    return found


def _byte_by_byte(core: Pop3Connection, data: bytes) -> list[Command]:
    found: list[Command] = []
    for position in range(len(data)):
        core.receive(data[position : position + 1])
        found += _drain(core)
    return found


@pytest.mark.parametrize(("line", "command"), BEFORE_LOGON)
def test_before_logon_whole(line: bytes, command: Command) -> None:
    core = _core(State.AUTHORIZATION)
    core.receive(line)
    assert _drain(core) == [command]


@pytest.mark.parametrize(("line", "command"), BEFORE_LOGON)
def test_before_logon_byte_by_byte(line: bytes, command: Command) -> None:
    assert _byte_by_byte(_core(State.AUTHORIZATION), line) == [command]


@pytest.mark.parametrize(("line", "command"), AFTER_LOGON)
def test_after_logon_whole(line: bytes, command: Command) -> None:
    core = _core(State.TRANSACTION)
    core.receive(line)
    assert _drain(core) == [command]


@pytest.mark.parametrize(("line", "command"), AFTER_LOGON)
def test_after_logon_byte_by_byte(line: bytes, command: Command) -> None:
    assert _byte_by_byte(_core(State.TRANSACTION), line) == [command]


@pytest.mark.parametrize(("line", "command"), AFTER_LOGON)
def test_after_logon_with_trailing_bytes(line: bytes, command: Command) -> None:
    core = _core(State.TRANSACTION)
    core.receive(line + b"NOO")
    assert core.next_command() == command
    assert core.has_input
    core.receive(b"P\r\n")
    assert _drain(core) == [Noop()]


def test_pipelined_commands_keep_their_order() -> None:
    core = _core(State.TRANSACTION)
    core.receive(b"STAT\r\nLIST\r\nQUIT\r\n")
    assert _drain(core) == [Stat(), List(None), Quit()]


def test_what_follows_the_logon_is_handed_over_unparsed() -> None:
    core = _core(State.AUTHORIZATION)
    core.receive(b"PASS x\r\nSTAT\r\nLI")
    core.next_command()
    assert core.take_rest() == b"STAT\r\nLI"
    assert not core.has_input


def test_a_sasl_response_is_no_command() -> None:
    core = _core(State.AUTHORIZATION)
    core.expect_response()
    core.receive(b"QUIT\r\nQUIT\r\n")
    assert _drain(core) == [AuthResponse(Secret(b"QUIT")), Quit()]


@pytest.mark.parametrize(
    "line", [line for line, _ in BEFORE_LOGON if line[:4].upper() in (b"USER", b"PASS", b"AUTH", b"XYZZ")]
)
def test_every_command_with_a_string_at_the_limit_of_25_octets(line: bytes) -> None:
    keyword = line[:4]
    core = _core(State.AUTHORIZATION, 25)
    core.receive(keyword + b" " + b"a" * 18 + b"\r\n")
    assert _drain(core) != [BadCommand("", TOO_LONG)]
    core.receive(keyword + b" " + b"a" * 19 + b"\r\nCAPA\r\n")
    assert _drain(core) == [BadCommand("", TOO_LONG), Capa()]


@pytest.mark.parametrize("keyword", [b"LIST", b"UIDL", b"RETR", b"DELE", b"TOP"])
def test_every_command_after_logon_at_the_limit_of_25_octets(keyword: bytes) -> None:
    core = _core(State.TRANSACTION, 25)
    core.receive(keyword + b" " + b"1" * 24 + b"\r\nNOOP\r\n")
    assert _drain(core) == [BadCommand("", TOO_LONG), Noop()]


def test_a_sasl_response_has_its_own_limit() -> None:
    core = Pop3Connection(State.AUTHORIZATION, max_command_size=512, max_sasl_response=25)
    core.expect_response()
    core.receive(b"a" * 24 + b"\r\nCAPA\r\n")
    assert _drain(core) == [BadCommand("", TOO_LONG), Capa()]


def test_a_line_without_end_is_not_kept() -> None:
    core = _core(State.AUTHORIZATION, 25)
    for _ in range(1000):
        core.receive(b"x" * 1000)
        assert core.next_command() is None
    assert not core.has_input
    core.receive(b"\r\nCAPA\r\n")
    assert _drain(core) == [BadCommand("", TOO_LONG), Capa()]


def test_a_password_does_not_show() -> None:
    assert "sesame" not in repr(Pass(Secret(b"open sesame")))


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_in_any_pieces_are_read_alike(pieces: list[bytes]) -> None:
    whole, parts = _core(State.AUTHORIZATION, 40), _core(State.AUTHORIZATION, 40)
    whole.receive(b"".join(pieces) + b"\r\n")
    found = []
    for piece in [*pieces, b"\r\n"]:
        parts.receive(piece)
        found += _drain(parts)
    assert found == _drain(whole)


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
        (b"no end", b"no end\r\n.\r\n"),
        (b"", b".\r\n"),
    ],
)
def test_byte_stuffing(content: bytes, wire: bytes) -> None:
    assert b"".join(writer.stuffed(content)) == wire


@given(st.lists(st.text(".ab", max_size=4)))
def test_stuffing_can_be_undone(rows: list[str]) -> None:
    content = "".join(row + "\r\n" for row in rows).encode()
    wire = b"".join(writer.stuffed(content)).split(b"\r\n")
    end = wire.index(b".")
    plain = [row[1:] if row.startswith(b".") else row for row in wire[:end]]
    assert b"".join(row + b"\r\n" for row in plain) == content


@pytest.mark.parametrize(
    ("lines", "found"),
    [(0, b"A: b\r\n\r\n"), (1, b"A: b\r\n\r\n1\r\n"), (9, b"A: b\r\n\r\n1\r\n2\r\n")],
)
def test_top_of_a_message(lines: int, found: bytes) -> None:
    assert writer.top(b"A: b\r\n\r\n1\r\n2\r\n", lines) == found


def test_top_of_a_message_without_body() -> None:
    assert writer.top(b"A: b\r\n", 5) == b"A: b\r\n"


def test_a_text_cannot_break_the_line() -> None:
    assert writer.err("a\r\n+OK b\x00") == b"-ERR a +OK b\r\n"


def test_a_reply_line_has_at_most_512_octets() -> None:
    assert len(writer.ok("x" * 1000)) == 512


def test_capabilities_in_clear_with_secure_login() -> None:
    assert capabilities(Offer(accepts_plain=False, starttls=True)) == (
        "TOP",
        "UIDL",
        "STLS",
        "PIPELINING",
        "RESP-CODES",
    )


def test_capabilities_inside_tls() -> None:
    assert "SASL PLAIN" in capabilities(Offer(accepts_plain=True, starttls=False))
    assert "STLS" not in capabilities(Offer(accepts_plain=True, starttls=False))
