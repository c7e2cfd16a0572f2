"""The POP3 front end: before the logon."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from runtime.directory import logon
from runtime.services import front_end_session
from tests.runtime.aio import eventually, on_both_loops, run
from tests.runtime.directories import estate
from tests.runtime.services.pop_lab import Lab, emptied, pop_lab

NOT_NOW = "-ERR Command is not valid in this state."
BAD_LOGON = "-ERR Logon failure: unknown user name or bad password."
GOOD_LOGON = "+OK User successfully logged on."


def _plain(name: str, password: str, identity: str = "") -> str:
    return base64.b64encode(f"{identity}\0{name}\0{password}".encode()).decode()


@on_both_loops
def test_greeting_and_logon_over_tls(tmp_path: Path, loop: str) -> None:
    async def scenario() -> list[str]:
        async with pop_lab(tmp_path) as lab:
            client = await lab.connect()
            return [
                await client.line(),
                await client.log_on(),
                await client.ask("STAT"),
                await client.ask("QUIT"),
            ]

    assert run(scenario(), loop) == [
        "+OK The Microsoft Exchange POP3 service is ready.",
        GOOD_LOGON,
        "+OK 0 0",
        "+OK Microsoft Exchange Server POP3 server signing off.",
    ]


@on_both_loops
def test_stls_and_logon(tmp_path: Path, loop: str) -> None:
    async def scenario() -> list[str]:
        async with pop_lab(tmp_path) as lab:
            client = await lab.greeted("starttls")
            answers = [await client.ask("STLS")]
            await client.start_tls()
            return [*answers, await client.log_on(), await client.ask("NOOP")]

    assert run(scenario(), loop) == ["+OK Begin TLS negotiation now.", GOOD_LOGON, "+OK"]


@on_both_loops
def test_bytes_behind_stls_are_never_executed(tmp_path: Path, loop: str) -> None:
    """Sent in one segment with STLS: answered by a refusal and the end, not inside TLS."""

    async def scenario() -> bytes:
        async with pop_lab(tmp_path) as lab:
            client = await lab.greeted("starttls")
            client.writer.write(b"STLS\r\nCAPA\r\nUSER alice\r\n")
            answer = await client.rest()
            await emptied(lab)
            return answer

    assert run(scenario(), loop) == b"-ERR Nothing may follow STLS.\r\n"


@on_both_loops
def test_bytes_sent_in_clear_after_stls_end_the_connection(tmp_path: Path, loop: str) -> None:
    """Sent in a segment of their own: they meet the handshake, which fails."""

    async def scenario() -> bytes:
        async with pop_lab(tmp_path) as lab:
            client = await lab.greeted("starttls")
            await client.ask("STLS")
            client.writer.write(b"CAPA\r\nUSER alice\r\n")
            answer = await client.rest()
            await emptied(lab)
            return answer

    assert b"+OK" not in run(scenario(), loop)


def test_what_was_said_before_stls_is_forgotten(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with pop_lab(tmp_path, login_type="PlainTextLogin") as lab:
            client = await lab.greeted("starttls")
            await client.ask("USER alice")
            await client.ask("STLS")
            await client.start_tls()
            return await client.ask("PASS secret")

    assert run(scenario()) == NOT_NOW


async def _ask_in_clear(tmp_path: Path, command: str, login_type: str) -> str:
    async with pop_lab(tmp_path, login_type=login_type) as lab:
        return await (await lab.greeted("starttls")).ask(command)


@pytest.mark.parametrize("login_type", ["SecureLogin", "PlainTextAuthentication"])
@pytest.mark.parametrize(
    "command", ["USER alice", "PASS secret", f"AUTH PLAIN {_plain('alice', 'secret')}", "AUTH PLAIN"]
)
def test_credentials_in_clear_are_refused(tmp_path: Path, login_type: str, command: str) -> None:
    assert run(_ask_in_clear(tmp_path, command, login_type)) == NOT_NOW


def test_plain_text_login_takes_credentials_in_clear(tmp_path: Path) -> None:
    command = f"AUTH PLAIN {_plain('alice', 'secret')}"
    assert run(_ask_in_clear(tmp_path, command, "PlainTextLogin")) == GOOD_LOGON


def test_capabilities_in_clear_and_inside_tls(tmp_path: Path) -> None:
    async def scenario() -> tuple[list[str], list[str]]:
        async with pop_lab(tmp_path) as lab:
            clear, secure = await lab.greeted("starttls"), await lab.greeted()
            return await clear.ask_lines("CAPA"), await secure.ask_lines("CAPA")

    clear, secure = run(scenario())
    assert "STLS" in clear
    assert "USER" not in clear
    assert "USER" in secure
    assert "STLS" not in secure


def _in_tls(tmp_path: Path, *commands: str, **settings: Any) -> list[str]:
    """The answers to commands inside TLS."""

    async def scenario() -> list[str]:
        async with pop_lab(tmp_path, **settings) as lab:
            client = await lab.greeted()
            return [await client.ask(command) for command in commands]

    return run(scenario())


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("nobody", "secret"), ("alice\\\\", "secret"), ("x" * 400, "secret")],
)
def test_unknown_user_and_wrong_password_read_alike(tmp_path: Path, name: str, password: str) -> None:
    assert _in_tls(tmp_path, f"USER {name}", f"PASS {password}") == ["+OK", BAD_LOGON]


def test_pop_switched_off_reads_like_a_wrong_password(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with pop_lab(tmp_path, resources=estate().mailbox("alice", pop_enabled=False)) as lab:
            return await (await lab.greeted()).log_on()

    assert run(scenario()) == BAD_LOGON


def test_domain_and_user(tmp_path: Path) -> None:
    assert _in_tls(tmp_path, "USER CONTOSO\\alice", "PASS secret") == ["+OK", GOOD_LOGON]


def test_a_client_may_try_again(tmp_path: Path) -> None:
    answers = _in_tls(tmp_path, "USER alice", "PASS wrong", "PASS secret", "USER alice", "PASS secret")
    assert answers == ["+OK", BAD_LOGON, NOT_NOW, "+OK", GOOD_LOGON]


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (_plain("alice", "secret"), GOOD_LOGON),
        (_plain("alice", "secret", "alice"), GOOD_LOGON),
        (_plain("alice", "secret", "bob"), BAD_LOGON),
        (base64.b64encode(b"\0\xff\0secret").decode(), BAD_LOGON),
        (_plain("alice", "wrong"), BAD_LOGON),
        ("!!!", "-ERR The SASL response is not valid."),
        ("*", "-ERR The AUTH protocol exchange was canceled by the client."),
        ("", "-ERR The SASL response is not valid."),
    ],
)
def test_auth_plain_with_a_continuation(tmp_path: Path, response: str, answer: str) -> None:
    assert _in_tls(tmp_path, "AUTH PLAIN", response) == ["+ ", answer]


def test_auth_plain_with_an_initial_response(tmp_path: Path) -> None:
    assert _in_tls(tmp_path, f"AUTH PLAIN {_plain('alice', 'secret')}") == [GOOD_LOGON]


def test_one_bad_base64_leaves_other_sessions_alone(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with pop_lab(tmp_path) as lab:
            good, bad = await lab.greeted(), await lab.greeted()
            await bad.ask("AUTH PLAIN \xff\xfe")
            return await good.log_on()

    assert run(scenario()) == GOOD_LOGON


def test_an_unknown_mechanism(tmp_path: Path) -> None:
    assert _in_tls(tmp_path, "AUTH NTLM") == ["-ERR The authentication mechanism is not supported."]


@pytest.mark.parametrize("keyword", ["USER", "PASS", "AUTH"])
def test_max_command_size(tmp_path: Path, keyword: str) -> None:
    answers = _in_tls(tmp_path, f"{keyword} {'x' * 40}", "XYZZY", max_command_size=40)
    assert answers == ["-ERR The command is too long.", "-ERR Command is not recognized."]


def test_commands_behind_the_logon_reach_the_back_end(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with pop_lab(tmp_path) as lab:
            client = await lab.greeted()
            client.writer.write(b"USER alice\r\nPASS secret\r\nSTAT\r\nNOOP\r\nQUIT\r\n")
            return (await client.rest()).decode().splitlines()

    assert run(scenario())[1:4] == [GOOD_LOGON, "+OK 0 0", "+OK"]


def test_a_failed_logon_does_not_eat_what_follows(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with pop_lab(tmp_path) as lab:
            client = await lab.greeted()
            client.writer.write(b"USER alice\r\nPASS wrong\r\nUSER alice\r\nPASS secret\r\nQUIT\r\n")
            return (await client.rest()).decode().splitlines()

    assert run(scenario())[1:4] == [BAD_LOGON, "+OK", GOOD_LOGON]


@on_both_loops
def test_max_connections_per_user(tmp_path: Path, loop: str) -> None:
    async def scenario() -> tuple[str, str, str, str]:
        async with pop_lab(tmp_path, max_connections_per_user=1, protocol_log_enabled=True) as lab:
            first = await lab.logged_on()
            second = await lab.greeted()
            refusal = await second.log_on()
            other = await (await lab.greeted()).log_on("bob")
            assert await second.rest() == b""
            first.writer.write(b"QUIT\r\n")
            await first.rest()
            await eventually(lambda: lab.front.session_count() == 1)
            again = await (await lab.greeted()).log_on()
            assert lab.front.log is not None
            lab.front.log.flush()
            return refusal, other, again, _log(lab)

    refusal, other, again, log = run(scenario(), loop)
    assert refusal == "-ERR [SYS/TEMP] Connection is closed: too many connections of this user."
    assert other == again == GOOD_LOGON
    assert "ErrMsg=UserConnectionLimitReached" in log
    assert "secret" not in log


def _log(lab: Lab) -> str:
    (path,) = (lab.state / "servers" / "ex01" / "logs" / "Pop3").glob("POP32*.log")
    return path.read_text()


def test_the_log_holds_the_session_and_no_password(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with pop_lab(tmp_path, protocol_log_enabled=True) as lab:
            client = await lab.logged_on()
            await client.ask("QUIT")
            await emptied(lab)
            await lab.front.close()
            return _log(lab)

    log = run(scenario())
    assert "OpenSession" in log
    assert ",alice," in log
    assert "PASS,*****," in log
    assert "secret" not in log


def test_max_connections(tmp_path: Path) -> None:
    async def scenario() -> tuple[str, bytes]:
        async with pop_lab(tmp_path, max_connections=1) as lab:
            await lab.greeted("starttls")
            refused = await lab.connect("starttls")
            return await refused.line(), await refused.rest()

    line, rest = run(scenario())
    assert line == "-ERR [SYS/TEMP] Connection is closed: too many connections."
    assert rest == b""


def test_max_connections_drops_a_tls_client_before_the_handshake(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pop_lab(tmp_path, max_connections=1) as lab:
            await lab.greeted()
            with pytest.raises((ConnectionError, OSError)):
                await lab.connect()

    run(scenario())


def test_the_oldest_that_has_not_logged_on_makes_room(tmp_path: Path) -> None:
    async def scenario() -> tuple[str, str]:
        async with pop_lab(tmp_path, max_connections=1) as lab:
            lab.front.eviction_age = 0
            old = await lab.greeted("starttls")
            new = await lab.connect("starttls")
            return await new.line(), await old.line()

    new, old = run(scenario())
    assert new.startswith("+OK")
    assert old == "-ERR [SYS/TEMP] Connection is closed: too many connections."


def test_a_logged_on_session_never_makes_room(tmp_path: Path) -> None:
    async def scenario() -> tuple[str, str]:
        async with pop_lab(tmp_path, max_connections=1) as lab:
            lab.front.eviction_age = 0
            old = await lab.logged_on()
            new = await lab.connect("starttls")
            return await new.line(), await old.ask("NOOP")

    assert run(scenario()) == ("-ERR [SYS/TEMP] Connection is closed: too many connections.", "+OK")


def test_max_connection_from_single_ip(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with pop_lab(tmp_path, max_connection_from_single_ip=1) as lab:
            await lab.greeted("starttls")
            return await (await lab.connect("starttls")).line()

    assert run(scenario()) == "-ERR [SYS/TEMP] Connection is closed: too many connections from your address."


def test_connections_are_given_back(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with pop_lab(tmp_path) as lab:
            for client in [await lab.greeted(), await lab.greeted("starttls"), await lab.logged_on()]:
                client.abort()
            await emptied(lab)
            return sum(lab.front_host.counters.totals.values())

    assert run(scenario()) == 0


def test_without_a_certificate_the_tls_port_says_so(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        async with pop_lab(tmp_path, has_certificate=False) as lab:
            return await (await lab.connect()).rest()

    assert run(scenario()) == b"-ERR [SYS/PERM] Connection is closed. 14\r\n"


def test_without_a_certificate_stls_is_not_offered(tmp_path: Path) -> None:
    async def scenario() -> tuple[list[str], str]:
        async with pop_lab(tmp_path, has_certificate=False) as lab:
            client = await lab.greeted("starttls")
            return await client.ask_lines("CAPA"), await client.ask("STLS")

    capabilities, answer = run(scenario())
    assert "STLS" not in capabilities
    assert answer == NOT_NOW


def test_too_many_commands_before_logon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end_session, "MAX_COMMANDS_BEFORE_LOGON", 2)
    answers = _in_tls(tmp_path, "XYZZY", "XYZZY", "XYZZY")
    assert answers[2] == "-ERR Connection is closed: too many commands before logon."


def test_too_many_failed_logons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end_session, "MAX_FAILED_LOGONS", 1)

    async def scenario() -> list[str]:
        async with pop_lab(tmp_path) as lab:
            client = await lab.greeted()
            return [await client.log_on("alice", "wrong"), await client.line()]

    assert run(scenario()) == [BAD_LOGON, "-ERR Connection is closed: too many failed logons."]


def _without_back_end(tmp_path: Path) -> Coroutine[Any, Any, str]:
    async def scenario() -> str:
        async with pop_lab(tmp_path) as lab:
            lab.resources.put("PopSettings", "ex01", lab.settings.model_copy(update={"proxy_target_port": 1}))
            lab.directory.refresh()
            client = await lab.greeted()
            answer = await client.log_on()
            assert lab.front_host.counters.users["pop3", "alice"] == 0
            return answer

    return scenario()


@on_both_loops
def test_a_back_end_that_is_down(tmp_path: Path, loop: str) -> None:
    assert run(_without_back_end(tmp_path), loop).startswith("-ERR [SYS/TEMP] The mailbox is not available")


def test_the_idle_timer_before_logon(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with pop_lab(tmp_path) as lab:
            client = await lab.greeted()
            (session,) = lab.front._pre_logon
            session.on_timeout()
            return await client.line()

    assert run(scenario()) == "-ERR Connection is closed: no logon in time."


def test_a_foreign_identity_is_a_failed_logon_without_a_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_end_session, "MAX_FAILED_LOGONS", 1)
    monkeypatch.setattr(logon, "verify_hash", None)
    answers = _in_tls(tmp_path, f"AUTH PLAIN {_plain('alice', 'secret', 'bob')}", "NOOP")
    assert answers == [BAD_LOGON, "-ERR Connection is closed: too many failed logons."]


def test_a_session_that_ends_takes_its_verification_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        never, began, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def verify(*_: object, **__: object) -> None:
            began.set()
            try:
                await never.wait()
            finally:
                ended.set()

        async with pop_lab(tmp_path) as lab:
            monkeypatch.setattr(lab.front_host.authenticator, "verify", verify)
            client = await lab.greeted()
            client.writer.write(b"USER alice\r\nPASS secret\r\n")
            await began.wait()
            client.abort()
            await ended.wait()
            await emptied(lab)

    run(scenario())


@on_both_loops
def test_nothing_is_told_to_a_back_end_that_proves_nothing(tmp_path: Path, loop: str) -> None:
    async def scenario() -> tuple[str, bytes]:
        heard = bytearray()

        async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"+OK ready " + b"0" * 64 + b"\r\n")
            heard.extend(await reader.read())
            writer.close()

        impostor = await asyncio.start_server(pretend, "127.0.0.1", 0)
        port = impostor.sockets[0].getsockname()[1]
        async with impostor, pop_lab(tmp_path) as lab:
            settings = lab.settings.model_copy(update={"proxy_target_port": port})
            lab.resources.put("PopSettings", "ex01", settings)
            lab.directory.refresh()
            client = await lab.greeted()
            client.writer.write(b"USER alice\r\nPASS secret\r\nSTAT\r\n")
            await client.line()
            return await client.line(), bytes(heard)

    answer, heard = run(scenario(), loop)
    assert answer.startswith("-ERR [SYS/TEMP] The mailbox is not available")
    assert heard == b""


@pytest.mark.parametrize(
    ("password", "answers"), [("wrong", ["+OK", BAD_LOGON]), ("secret", ["+OK", GOOD_LOGON, "+OK 0 0"])]
)
@on_both_loops
def test_a_client_that_ends_its_side_with_its_logon(
    tmp_path: Path, password: str, answers: list[str], loop: str
) -> None:
    """In clear, where a client can end its side alone: what it asked is answered, then its session is over."""

    async def scenario() -> list[str]:
        async with pop_lab(tmp_path, login_type="PlainTextLogin") as lab:
            client = await lab.greeted("starttls")
            client.writer.write(f"USER alice\r\nPASS {password}\r\nSTAT\r\n".encode())
            client.writer.write_eof()
            received = (await client.rest()).decode().splitlines()
            await emptied(lab)
            return received

    assert run(scenario(), loop)[: len(answers)] == answers


@pytest.mark.parametrize("password", ["wrong", "secret"])
@on_both_loops
def test_a_client_that_closes_tls_with_its_logon(tmp_path: Path, password: str, loop: str) -> None:
    async def scenario() -> None:
        async with pop_lab(tmp_path) as lab:
            client = await lab.greeted()
            client.writer.write(f"USER alice\r\nPASS {password}\r\n".encode())
            client.writer.close()
            await emptied(lab)

    run(scenario(), loop)
