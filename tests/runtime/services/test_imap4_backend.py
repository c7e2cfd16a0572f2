"""The back end as a service: who may speak to it, errors, limits, the end of sessions."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from runtime.services.imap4_backend import messages
from tests.runtime.aio import on_both_loops
from tests.runtime.services.imap4_estate import serving

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
RESTART = b"* BYE Connection is closed: the server is being restarted, connect again.\r\n"


def test_it_tells_nothing_to_somebody_who_is_no_front_end(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as imap,
        socket.create_connection(("127.0.0.1", imap.estate.hop), timeout=10) as client,
    ):
        client.sendall(b"a LOGIN bob bob-secret\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_a_command_that_breaks_is_answered_and_the_session_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(messages, "respond", break_down)
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        assert client.select().ask(b"FETCH 1 FLAGS") == [b"x NO [SERVERBUG] Server Unavailable. 15\r\n"]
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]
    assert "ZeroDivisionError: planted" in caplog.text


def test_an_answer_that_breaks_off_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> Iterator[bytes]:
        yield b"* 1 FETCH (UID 1)\r\n"
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(messages, "respond", break_down)
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        lines = client.select().ask(b"FETCH 1 FLAGS")
        assert lines == [b"* 1 FETCH (UID 1)\r\n", b"x NO [SERVERBUG] Server Unavailable. 15\r\n"]
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_a_command_that_breaks_while_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(*_: object) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(messages, "_expunge_deleted", break_down)
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        assert client.select().ask(b"EXPUNGE") == [b"x NO [SERVERBUG] Server Unavailable. 15\r\n"]
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_bad_commands_in_a_row_end_the_session(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on().send(b"x BOGUS\r\n" * 20)
        assert client.until(b"* BYE")[-1] == b"* BYE Connection is closed: too many invalid commands.\r\n"
        assert client.line() == b""


def test_400_parentheses(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert client.select().ask(b"SEARCH " + b"(" * 400 + b"ALL" + b")" * 400)[0].startswith(b"x BAD ")
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


@on_both_loops
def test_pipelined_commands_are_answered_in_order(tmp_path: Path, loop: str) -> None:
    commands = [
        b"NOOP",
        b"FETCH 1 UID",
        b"STORE 1 +FLAGS.SILENT (\\Seen)",
        b"SEARCH ALL",
        b"UID COPY 1 INBOX",
        b"CHECK",
    ]
    with serving(tmp_path, MESSAGE, loop=loop) as imap, imap.raw() as client:
        client.select().send(b"".join(b"t%d %b\r\n" % item for item in enumerate(commands * 20)))
        tags = [line.split()[0] for line in client.until(b"t119 ") if not line.startswith(b"*")]
        assert tags == [b"t%d" % number for number in range(120)]


def test_what_was_asked_before_the_end_of_the_stream_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        client.select().send(b"a STORE 1 +FLAGS.SILENT (\\Seen)\r\nb FETCH 1 FLAGS\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        lines = client.until(b"b ")
        assert lines[-1] == b"b OK FETCH completed.\r\n"


def test_the_idle_time_after_logon(tmp_path: Path) -> None:
    short = {"authenticated_connection_timeout": timedelta(seconds=0.2)}
    with serving(tmp_path, unchecked=short) as imap, imap.raw() as client:
        assert client.log_on().line() == b"* BYE Connection is closed: no command came in time.\r\n"
        assert client.line() == b""


@on_both_loops
def test_a_drain_says_goodbye_to_idle_sessions(tmp_path: Path, loop: str) -> None:
    with serving(tmp_path, loop=loop) as imap, imap.raw() as quiet, imap.raw() as idle:
        quiet.log_on()
        idle.select().send(b"x IDLE\r\n")
        idle.line()
        drained = asyncio.run_coroutine_threadsafe(imap.estate.back.drain(0.2), imap.loop)
        for client in (quiet, idle):
            assert client.line() == RESTART
            assert client.line() == b""
            client.close()
        drained.result(10)
        assert imap.estate.back.session_count() == 0


def test_a_drain_of_the_front_end_reaches_the_back_end(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on()
        imap.call(imap.estate.front.drain(0.2))
        assert client.line() == RESTART
        assert client.line() == b""


def test_a_drain_waits_for_the_command_that_is_running(tmp_path: Path) -> None:
    large = b"Subject: large\r\n\r\n" + b"x" * 3_000_000 + b"\r\n"
    with serving(tmp_path, large) as imap, imap.raw() as client:
        client.select().send(b"x FETCH 1 BODY.PEEK[]\r\n")
        assert client.line() == b"* 1 FETCH (BODY[] {%d}\r\n" % len(large)
        drained = asyncio.run_coroutine_threadsafe(imap.estate.back.drain(10), imap.loop)
        assert client.read(len(large)) == large
        assert [client.line(), client.line()] == [b")\r\n", b"x OK FETCH completed.\r\n"]
        assert client.line() == RESTART
        client.close()
        drained.result(10)


def test_the_protocol_log_has_a_line_a_command_and_no_content(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        serving(tmp_path, protocol_log_enabled=True, log_file_location=str(log)) as imap,
        imap.raw() as client,
    ):
        client.select().ask(b"LOGOUT")
    text = "".join(path.read_text() for path in log.glob("IMAP4BE*.log"))
    assert ",SELECT,INBOX," in text
    assert ",LOGOUT," in text
