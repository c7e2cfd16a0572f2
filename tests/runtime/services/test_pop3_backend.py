"""The POP3 back end: the maildrop, and how sessions end."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from runtime.protocols.pop3.connection import TOO_LONG
from runtime.services import back_end
from runtime.services.backend_hop import Drain, Logon, sign_drain, sign_logon
from tests.runtime.aio import eventually, on_both_loops, run
from tests.runtime.services.pop_lab import MESSAGE, Client, Lab, emptied, pop_lab

T = TypeVar("T")

SECOND = b"Subject: second\r\n\r\nbody\r\n"
STOPPING = "-ERR [SYS/TEMP] Connection is closed: the service is stopping."
GONE = "-ERR The specified message does not exist."
KEY = b"k" * 32


def _session(
    tmp_path: Path, scenario: Callable[[Lab, Client], Awaitable[T]], loop: str = "asyncio", **settings: Any
) -> T:
    """Run `scenario` with alice logged on and two messages in her INBOX."""

    async def whole() -> T:
        async with pop_lab(tmp_path, **settings) as lab:
            await lab.deliver(MESSAGE, SECOND)
            return await scenario(lab, await lab.logged_on())

    return run(whole(), loop)


def _ask(tmp_path: Path, *commands: str, **settings: Any) -> list[str]:
    async def scenario(_: Lab, client: Client) -> list[str]:
        return [await client.ask(command) for command in commands]

    return _session(tmp_path, scenario, **settings)


def _ask_lines(tmp_path: Path, command: str, **settings: Any) -> list[str]:
    async def scenario(_: Lab, client: Client) -> list[str]:
        return await client.ask_lines(command)

    return _session(tmp_path, scenario, **settings)


def test_stat_counts_exact_octets(tmp_path: Path) -> None:
    assert _ask(tmp_path, "STAT") == [f"+OK 2 {len(MESSAGE) + len(SECOND)}"]


def test_list(tmp_path: Path) -> None:
    assert _ask_lines(tmp_path, "LIST") == [f"1 {len(MESSAGE)}", f"2 {len(SECOND)}"]


def test_list_one(tmp_path: Path) -> None:
    assert _ask(tmp_path, "LIST 2", "LIST 3") == [f"+OK 2 {len(SECOND)}", GONE]


def test_descending_order_has_the_newest_first(tmp_path: Path) -> None:
    rows = _ask_lines(tmp_path, "LIST", message_retrieval_sort_order="Descending")
    assert rows == [f"1 {len(SECOND)}", f"2 {len(MESSAGE)}"]


def test_unique_ids_are_the_same_in_the_next_session(tmp_path: Path) -> None:
    async def scenario(lab: Lab, client: Client) -> tuple[list[str], list[str]]:
        return await client.ask_lines("UIDL"), await (await lab.logged_on()).ask_lines("UIDL")

    first, second = _session(tmp_path, scenario)
    assert first == second
    assert len(set(first)) == 2


@on_both_loops
def test_retr_unstuffs_to_the_message(tmp_path: Path, loop: str) -> None:
    async def scenario(_: Lab, client: Client) -> tuple[str, bytes]:
        return await client.ask("RETR 1"), await client.body()

    assert _session(tmp_path, scenario, loop) == (f"+OK {len(MESSAGE)} octets", MESSAGE)


def test_top(tmp_path: Path) -> None:
    assert _ask_lines(tmp_path, "TOP 1 1") == ["Subject: hello", "", "line one"]


@pytest.mark.parametrize("command", ["RETR 3", "RETR 0", "TOP 3 0", "DELE 3", "UIDL 3", "LIST 0"])
def test_messages_that_are_not_there(tmp_path: Path, command: str) -> None:
    assert _ask(tmp_path, command) == [GONE]


def test_a_deleted_message_is_not_there(tmp_path: Path) -> None:
    answers = _ask(tmp_path, "DELE 1", "RETR 1", "DELE 1", "STAT")
    assert answers == ["+OK", GONE, GONE, f"+OK 1 {len(SECOND)}"]


def test_rset_brings_it_back(tmp_path: Path) -> None:
    assert _ask(tmp_path, "DELE 1", "RSET", "LIST 1") == ["+OK", "+OK", f"+OK 1 {len(MESSAGE)}"]


def test_quit_commits_deletions(tmp_path: Path) -> None:
    async def scenario(lab: Lab, client: Client) -> tuple[str, list[int]]:
        await client.ask("DELE 1")
        return await client.ask("QUIT"), await lab.uids()

    answer, uids = _session(tmp_path, scenario)
    assert answer == "+OK Microsoft Exchange Server POP3 server signing off."
    assert len(uids) == 1


def test_a_lost_connection_commits_nothing(tmp_path: Path) -> None:
    async def scenario(lab: Lab, client: Client) -> list[int]:
        await client.ask("DELE 1")
        client.abort()
        await emptied(lab)
        return await lab.uids()

    assert len(_session(tmp_path, scenario)) == 2


def test_the_end_of_input_commits_nothing(tmp_path: Path) -> None:
    async def scenario(lab: Lab, _: Client) -> list[int]:
        client = await lab.logged_on()
        client.writer.write(b"DELE 1\r\n")
        await client.line()
        client.abort()
        await eventually(lambda: lab.back.session_count() == 1)
        return await lab.uids()

    assert len(_session(tmp_path, scenario)) == 2


def test_what_arrives_later_is_in_the_next_session(tmp_path: Path) -> None:
    async def scenario(lab: Lab, client: Client) -> tuple[str, str]:
        await lab.deliver(MESSAGE)
        return await client.ask("LIST 3"), await (await lab.logged_on()).ask("LIST 3")

    assert _session(tmp_path, scenario) == (GONE, f"+OK 3 {len(MESSAGE)}")


def test_two_sessions_on_one_mailbox(tmp_path: Path) -> None:
    """No lock: a message that the other session removed is answered as gone, numbers stay."""

    async def scenario(lab: Lab, client: Client) -> list[str]:
        await client.ask("STAT")
        other = await lab.logged_on()
        await other.ask("DELE 1")
        await other.ask("QUIT")
        return [await client.ask("RETR 1"), await client.ask("LIST 2")]

    assert _session(tmp_path, scenario) == [GONE, f"+OK 2 {len(SECOND)}"]


def test_commands_of_another_state(tmp_path: Path) -> None:
    answers = _ask(tmp_path, "USER bob", "STLS", "XYZZY")
    assert answers[:2] == ["-ERR Command is not valid in this state."] * 2
    assert answers[2] == "-ERR Command is not recognized."


@pytest.mark.parametrize("keyword", ["LIST", "RETR", "DELE", "UIDL", "TOP", "XYZZY"])
def test_max_command_size_holds_after_logon(tmp_path: Path, keyword: str) -> None:
    assert _ask(tmp_path, f"{keyword} {'1' * 40}", "NOOP", max_command_size=40) == [f"-ERR {TOO_LONG}", "+OK"]


def test_capa_after_logon(tmp_path: Path) -> None:
    assert "STLS" not in _ask_lines(tmp_path, "CAPA")


@on_both_loops
def test_pipelined_commands_are_answered_in_order(tmp_path: Path, loop: str) -> None:
    async def scenario(_: Lab, client: Client) -> list[str]:
        client.writer.write(b"STAT\r\nDELE 1\r\nSTAT\r\nRSET\r\nQUIT\r\n")
        return (await client.rest()).decode().splitlines()

    answers = _session(tmp_path, scenario, loop)
    assert answers[1:4] == ["+OK", f"+OK 1 {len(SECOND)}", "+OK"]


@on_both_loops
def test_large_messages_to_a_slow_client(tmp_path: Path, loop: str) -> None:
    """Several megabytes pipelined to a client that does not read: the session waits, nothing is lost."""
    large = b"Subject: large\r\n\r\n" + b".0123456789abcdef\r\n" * 120_000

    async def scenario(lab: Lab, _: Client) -> list[bytes]:
        await lab.deliver(large, mailbox="bob")
        client = await lab.logged_on("bob")
        client.writer.write(b"RETR 1\r\n" * 4)
        (session,) = (found for found in lab.back._sessions.values() if found.entry.name == "bob")
        await eventually(lambda: getattr(session, "_is_paused", False))
        bodies = []
        for _number in range(4):
            await client.line()
            bodies.append(await client.body())
        return bodies

    assert _session(tmp_path, scenario, loop) == [large] * 4


def test_an_idle_session_is_closed_without_a_word(tmp_path: Path) -> None:
    async def scenario(lab: Lab, client: Client) -> bytes:
        (session,) = lab.back._sessions.values()
        session.on_timeout()
        return await client.rest()

    assert _session(tmp_path, scenario) == b""


# Drains


@on_both_loops
def test_a_back_end_drain_answers_the_next_command(tmp_path: Path, loop: str) -> None:
    async def scenario(lab: Lab, client: Client) -> tuple[str, bytes]:
        draining = asyncio.ensure_future(lab.back.drain(15))
        (session,) = lab.back._sessions.values()
        await eventually(lambda: session.is_draining)
        answer = await client.ask("STAT"), await client.rest()
        await draining
        return answer

    assert _session(tmp_path, scenario, loop) == (STOPPING, b"")


def test_quit_during_a_drain_commits(tmp_path: Path) -> None:
    async def scenario(lab: Lab, client: Client) -> tuple[str, list[int]]:
        await client.ask("DELE 2")
        draining = asyncio.ensure_future(lab.back.drain(15))
        answer = await client.ask("QUIT")
        await draining
        return answer, await lab.uids()

    answer, uids = _session(tmp_path, scenario)
    assert answer.startswith("+OK")
    assert len(uids) == 1


def test_at_the_deadline_the_rest_is_told_and_closed(tmp_path: Path) -> None:
    async def scenario(lab: Lab, client: Client) -> bytes:
        draining = asyncio.ensure_future(lab.back.drain(0.05))
        answer = await client.rest()
        client.abort()
        await draining
        return answer

    assert _session(tmp_path, scenario) == f"{STOPPING}\r\n".encode()


@on_both_loops
def test_a_front_end_drain_reaches_the_session_it_pumps(tmp_path: Path, loop: str) -> None:
    async def scenario(lab: Lab, client: Client) -> tuple[str, bytes]:
        draining = asyncio.ensure_future(lab.front.drain(15))
        (session,) = lab.back._sessions.values()
        await eventually(lambda: session.is_draining)
        answer = await client.ask("STAT"), await client.rest()
        await draining
        return answer

    assert _session(tmp_path, scenario, loop) == (STOPPING, b"")


def test_a_drained_front_end_still_lets_a_client_log_on(tmp_path: Path) -> None:
    async def scenario(lab: Lab, _: Client) -> list[str]:
        client = await lab.greeted()
        draining = asyncio.ensure_future(lab.front.drain(15))
        await eventually(lambda: lab.front.is_draining)
        answers = [await client.log_on("bob")]
        (session,) = (found for found in lab.back._sessions.values() if found.entry.name == "bob")
        await eventually(lambda: session.is_draining)
        answers.append(await client.ask("STAT"))
        for found in lab.clients:
            found.abort()
        await draining
        return answers

    assert _session(tmp_path, scenario) == ["+OK User successfully logged on.", STOPPING]


def test_a_drained_front_end_ends_who_never_logs_on(tmp_path: Path) -> None:
    async def scenario(lab: Lab, logged_on: Client) -> bytes:
        logged_on.abort()
        client = await lab.greeted()
        await lab.front.drain(0.05)
        return await client.rest()

    assert _session(tmp_path, scenario) == f"{STOPPING}\r\n".encode()


def test_leaving_waits_for_the_sessions(tmp_path: Path) -> None:
    async def scenario(lab: Lab, client: Client) -> tuple[bool, str]:
        leaving = asyncio.ensure_future(lab.front.leave())
        answer = await client.ask("NOOP")
        was_done = leaving.done()
        await client.ask("QUIT")
        client.abort()
        await leaving
        return was_done, answer

    assert _session(tmp_path, scenario) == (False, "+OK")


# The hop


ME = "ex01/pop3-backend"


async def _hop(lab: Lab, line: bytes) -> bytes:
    """What the back end answers to a first line, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.settings.proxy_target_port)
    writer.write(line)
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


def _logon(user: str = "alice") -> Logon:
    return Logon(user, "f" * 16, "192.0.2.7:4000", "127.0.0.1:995", is_tls=True)


def _answer(tmp_path: Path, *lines: bytes) -> list[bytes]:
    async def scenario() -> list[bytes]:
        async with pop_lab(tmp_path) as lab:
            return [await _hop(lab, line) for line in lines]

    return run(scenario())


@pytest.mark.parametrize(
    "line",
    [
        b"USER alice\r\n",
        b"STAT\r\n",
        b"BACKENDAUTHENTICATE x.y\r\n",
        b"x" * 5000,
        sign_logon(b"other", _logon(), to=ME).line,
        sign_logon(KEY, _logon(), to="ex01/imap4-backend").line,
        sign_logon(KEY, _logon(), to="ex02/pop3-backend").line,
    ],
)
def test_who_does_not_authenticate_hears_nothing(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "runtime.services"):
        assert _answer(tmp_path, line) == [b""]
    assert "dropped a connection" in caplog.text


def test_a_line_is_not_taken_twice(tmp_path: Path) -> None:
    line = sign_logon(KEY, _logon(), to=ME).line + b"QUIT\r\n"
    first, second = _answer(tmp_path, line, line)
    assert re.match(rb"\+OK ready [0-9a-f]{64}\r\n\+OK", first)
    assert second == b""


def test_a_mailbox_that_is_not_here(tmp_path: Path) -> None:
    assert _answer(tmp_path, sign_logon(KEY, _logon("nobody"), to=ME).line) == [
        b"-ERR The mailbox is not on this server.\r\n"
    ]


def test_a_mailbox_that_was_just_written_is_found(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        async with pop_lab(tmp_path) as lab:
            lab.resources.mailbox("carol")
            return await _hop(lab, sign_logon(KEY, _logon("carol"), to=ME).line + b"QUIT\r\n")

    assert run(scenario()).startswith(b"+OK ready ")


def test_a_drain_of_sessions_that_are_gone(tmp_path: Path) -> None:
    signed = sign_drain(KEY, Drain(("0" * 16,), 1), to=ME)
    assert _answer(tmp_path, signed.line) == [b"+OK ready " + signed.proof + b"\r\n"]


def test_the_first_line_has_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back_end, "FIRST_LINE_TIMEOUT", 0.02)
    assert _answer(tmp_path, b"BACKENDAUTH") == [b""]
