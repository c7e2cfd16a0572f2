"""The words before the logon."""

from __future__ import annotations

import base64
import socket
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.directory import logon
from runtime.services import front_end_session
from tests.runtime.aio import on_both_loops
from tests.runtime.certificates import client_context
from tests.runtime.services.imap4_estate import PASSWORDS, serving

COMMON = b"SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+\r\n"
INVALID_STATE = b"x BAD Command received in Invalid state.\r\n"


def plain(*parts: str) -> bytes:
    return base64.b64encode("\0".join(parts).encode())


def test_the_greeting_is_the_banner(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert client.line() == b"* OK The Microsoft Exchange IMAP4 service is ready.\r\n"


def test_another_banner(tmp_path: Path) -> None:
    with serving(tmp_path, banner="Contoso mail") as imap, imap.raw_tls() as client:
        assert client.line() == b"* OK Contoso mail\r\n"


@pytest.mark.parametrize(
    ("login_type", "clear"),
    [
        ("SecureLogin", b"LOGINDISABLED STARTTLS "),
        ("PlainTextAuthentication", b"LOGINDISABLED STARTTLS "),
        ("PlainTextLogin", b"AUTH=PLAIN STARTTLS "),
    ],
)
def test_capabilities_by_login_type(tmp_path: Path, login_type: str, clear: bytes) -> None:
    with serving(tmp_path, login_type=login_type) as imap:
        with imap.raw() as client:
            client.line()
            assert client.ask(b"CAPABILITY") == [
                b"* CAPABILITY IMAP4 IMAP4rev1 " + clear + COMMON,
                b"x OK CAPABILITY completed.\r\n",
            ]
        with imap.raw_tls() as client:
            client.line()
            assert client.ask(b"CAPABILITY")[0] == b"* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN " + COMMON


def test_capabilities_after_logon_come_from_the_back_end(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert client.log_on().ask(b"CAPABILITY")[0] == b"* CAPABILITY IMAP4 IMAP4rev1 " + COMMON


@pytest.mark.parametrize(
    "command",
    [
        b"LOGIN bob bob-secret",
        b"AUTHENTICATE PLAIN",
        b"AUTHENTICATE PLAIN AGEAYg==",
        b"SELECT INBOX",
        b"IDLE",
    ],
)
def test_what_is_refused_without_tls(tmp_path: Path, command: bytes) -> None:
    with serving(tmp_path, login_type="SecureLogin") as imap, imap.raw() as client:
        client.line()
        assert client.ask(command) == [INVALID_STATE]
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_id_and_logout(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        assert client.ask(b'ID ("name" "test")')[0].startswith(b'* ID ("name" ')
        assert client.ask(b"LOGOUT")[0].startswith(b"* BYE ")
        assert client.line() == b""


@on_both_loops
def test_no_starttls_commands_behind_starttls_are_not_executed(tmp_path: Path, loop: str) -> None:
    """NO STARTTLS (USENIX Security 2021), CVE-2021-33515: pipelined in clear in one packet."""
    with serving(tmp_path, loop=loop) as imap, imap.raw() as client:
        client.line()
        client.send(b"x STARTTLS\r\ny NOOP\r\nz LOGIN bob bob-secret\r\n")
        assert client.line().startswith(b"* BYE ")
        assert client.line() == b""


@on_both_loops
def test_no_starttls_commands_sent_in_clear_after_the_reply_are_not_executed(
    tmp_path: Path, loop: str
) -> None:
    with serving(tmp_path, loop=loop) as imap, imap.raw() as client:
        client.line()
        assert client.ask(b"STARTTLS") == [b"x OK Begin TLS negotiation now.\r\n"]
        client.send(b"y NOOP\r\n")
        assert b"y OK" not in client.read(4096)


def test_no_starttls_injected_commands_are_not_answered_inside_tls(tmp_path: Path) -> None:
    """The injected bytes come in clear in the same packet as STARTTLS; the client goes on as if nothing was."""
    with (
        serving(tmp_path) as imap,
        socket.create_connection(("127.0.0.1", imap.estate.clear), timeout=10) as plain_socket,
    ):
        plain_socket.recv(4096)
        plain_socket.sendall(b"a STARTTLS\r\nb NOOP\r\n")
        with pytest.raises((ssl.SSLError, OSError)):
            client_context().wrap_socket(plain_socket, server_hostname="localhost")


def test_tls_forgets_what_was_said_in_clear(tmp_path: Path) -> None:
    """An AUTHENTICATE that was begun in clear is not continued inside TLS."""
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        client.ask(b"STARTTLS")
        with client.start_tls(client_context()) as secure:
            assert secure.ask(b"STARTTLS") == [INVALID_STATE]
            assert secure.ask(b"LOGIN bob bob-secret") == [b"x OK LOGIN completed.\r\n"]


def test_starttls_without_a_certificate(tmp_path: Path) -> None:
    with serving(tmp_path, has_certificate=False) as imap, imap.raw() as client:
        client.line()
        assert b"STARTTLS" not in client.ask(b"CAPABILITY")[0]
        assert client.ask(b"STARTTLS") == [INVALID_STATE]


def test_implicit_tls_without_a_certificate(tmp_path: Path) -> None:
    with (
        serving(tmp_path, has_certificate=False) as imap,
        socket.create_connection(("127.0.0.1", imap.estate.tls), timeout=10) as client,
        client.makefile("rb") as lines,
    ):
        assert lines.read() == b"* BYE Connection is closed. 14\r\n"


def test_an_unknown_user_and_a_wrong_password_are_answered_alike(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        for command in (b"LOGIN nobody x", b"LOGIN bob x", b'LOGIN "\xff\xfe" x', b'LOGIN bob ""'):
            assert client.ask(command) == [b"x NO LOGIN failed.\r\n"]


@pytest.mark.parametrize("name", ["bob", "BOB@contoso.example", "CONTOSO\\\\bob", "contoso.example/bob"])
def test_names_that_open_a_mailbox(tmp_path: Path, name: str) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        assert client.ask(f'LOGIN "{name}" {PASSWORDS["bob"]}'.encode()) == [b"x OK LOGIN completed.\r\n"]


@pytest.mark.parametrize(
    ("response", "reply"),
    [
        (plain("", "bob", PASSWORDS["bob"]), b"x OK AUTHENTICATE completed.\r\n"),
        (plain("bob", "bob", PASSWORDS["bob"]), b"x OK AUTHENTICATE completed.\r\n"),
        (plain("", "bob", "x"), b"x NO AUTHENTICATE failed.\r\n"),
        (b"*", b"x BAD The AUTH protocol exchange was canceled by the client.\r\n"),
        (b"%%%", b"x BAD Command Argument Error. 11: expected base64 of a PLAIN message\r\n"),
        (plain("alice", "bob", PASSWORDS["bob"]), b"x NO AUTHENTICATE failed.\r\n"),
    ],
)
def test_authenticate_plain(tmp_path: Path, response: bytes, reply: bytes) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        client.send(b"x AUTHENTICATE PLAIN\r\n")
        assert client.line() == b"+ \r\n"
        client.send(response + b"\r\n")
        assert client.line() == reply


def test_authenticate_plain_with_an_initial_response(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        command = b"AUTHENTICATE PLAIN " + plain("", "bob", PASSWORDS["bob"])
        assert client.ask(command) == [b"x OK AUTHENTICATE completed.\r\n"]


@pytest.mark.parametrize("mechanism", [b"NTLM", b"GSSAPI", b"LOGIN"])
def test_mechanisms_that_are_not_offered(tmp_path: Path, mechanism: bytes) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        assert client.ask(b"AUTHENTICATE " + mechanism) == [b"x NO Unsupported authentication mechanism.\r\n"]


@on_both_loops
def test_what_is_pipelined_behind_a_logon_goes_to_the_back_end(tmp_path: Path, loop: str) -> None:
    with serving(tmp_path, b"Subject: x\r\n\r\ny\r\n", loop=loop) as imap, imap.raw() as client:
        client.line()
        client.send(b"a LOGIN bob bob-secret\r\nb SELECT INBOX\r\nc FETCH 1 BODY.PEEK[TEXT]\r\nd LOGOUT\r\n")
        lines = client.until(b"d ")
        assert [line for line in lines if line[:2] in (b"a ", b"b ", b"c ", b"d ")] == [
            b"a OK LOGIN completed.\r\n",
            b"b OK [READ-WRITE] SELECT completed.\r\n",
            b"c OK FETCH completed.\r\n",
            b"d OK LOGOUT completed.\r\n",
        ]
        assert client.line() == b""


@on_both_loops
@pytest.mark.parametrize("is_known", [False, True], ids=["hashed", "cached"])
def test_a_client_that_stops_sending_behind_its_logon_is_still_answered(
    tmp_path: Path, loop: str, is_known: bool
) -> None:
    with serving(tmp_path, loop=loop) as imap:
        if is_known:
            imap.raw().log_on().close()
        with imap.raw() as client:
            client.line()
            client.send(b"a LOGIN bob bob-secret\r\nb NOOP\r\n")
            client.socket.shutdown(socket.SHUT_WR)
            assert [line[:4] for line in client.until(b"b ")] == [b"a OK", b"b OK"]
            assert client.line() == b""


@on_both_loops
def test_a_client_that_stops_sending_behind_a_wrong_password_is_told_and_closed(
    tmp_path: Path, loop: str
) -> None:
    with serving(tmp_path, loop=loop) as imap, imap.raw() as client:
        client.line()
        client.send(b"a LOGIN bob x\r\nb NOOP\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.line()[:4] for _ in range(2)] == [b"a NO", b"b OK"]
        assert client.line() == b""


@on_both_loops
def test_what_comes_during_a_logon_waits_for_its_end(tmp_path: Path, loop: str) -> None:
    with serving(tmp_path, loop=loop) as imap, imap.raw() as client:
        client.line()
        client.send(b"a LOGIN bob bob-secret\r\n")
        for number in range(200):
            client.send(b"n%d NOOP\r\n" % number)
        replies = [line for line in client.until(b"n199 ") if line.startswith(b"n")]
        assert [line.split()[0] for line in replies] == [b"n%d" % number for number in range(200)]


def test_logons_that_fail_are_answered_in_order(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        client.send(b"a LOGIN bob x\r\nb NOOP\r\nc LOGIN bob bob-secret\r\nd NOOP\r\n")
        assert [line[:4] for line in client.until(b"d ")] == [b"a NO", b"b OK", b"c OK", b"d OK"]


def test_a_literal_before_logon_is_limited(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        assert client.ask(b"LOGIN {4097}") == [b"x NO [TOOBIG] literal is too big\r\n"]
        client.send(b"x LOGIN {4097+}\r\n")
        assert client.line() == b"* BYE Connection is closed: literal is too big.\r\n"
        assert client.line() == b""


def test_a_command_line_is_limited_by_max_command_size(tmp_path: Path) -> None:
    with serving(tmp_path, max_command_size=1024) as imap, imap.raw() as client:
        client.line()
        reply = client.ask(b"LOGIN " + b"x" * 1024)
        assert reply == [b"x BAD Command Argument Error. 11: command line is too long\r\n"]


def test_a_login_with_literals(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        client.send(b"x LOGIN {3}\r\n")
        assert client.line() == b"+ Ready for additional command text.\r\n"
        client.send(b"bob {10}\r\n")
        client.line()
        client.send(b"bob-secret\r\n")
        assert client.line() == b"x OK LOGIN completed.\r\n"


def test_a_client_that_only_sends_rubbish_is_given_up(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        client.send(b"GET / HTTP/1.1\r\n" * 20)
        lines = client.until(b"* BYE")
        assert lines[-1] == b"* BYE Connection is closed: too many invalid commands.\r\n"
        assert client.line() == b""


def test_too_many_connections_of_one_user(tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings: dict[str, Any] = {
        "max_connections_per_user": 1,
        "protocol_log_enabled": True,
        "log_file_location": str(log),
    }
    with (
        serving(tmp_path, **settings) as imap,
        imap.raw() as first,
        imap.raw() as second,
        imap.raw() as other,
    ):
        first.log_on("bob")
        second.line()
        second.send(b"x LOGIN bob bob-secret\r\n")
        assert second.line() == b"x NO [LIMIT] LOGIN failed: too many connections of this user.\r\n"
        assert second.line() == b"* BYE Connection is closed.\r\n"
        assert second.line() == b""
        other.line()
        assert other.ask(b'LOGIN alice "alice\'s \\"pass\\\\word\\""') == [b"x OK LOGIN completed.\r\n"]
    text = "".join(path.read_text() for path in log.glob("IMAP4*.log"))
    assert "ErrMsg=UserConnectionLimitReached" in text
    assert "bob-secret" not in text


def test_the_idle_time_before_logon(tmp_path: Path) -> None:
    short = {"pre_authenticated_connection_timeout": timedelta(seconds=0.1)}
    with serving(tmp_path, unchecked=short) as imap, imap.raw() as client:
        client.line()
        assert client.line() == b"* BYE Connection is closed: no command came in time.\r\n"
        assert client.line() == b""


@pytest.mark.parametrize("response", [b"alice\0bob\0bob-secret", b"\0\xff\0bob-secret"])
def test_credentials_that_are_nobodys_are_a_failed_logon_without_a_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, response: bytes
) -> None:
    monkeypatch.setattr(front_end_session, "MAX_FAILED_LOGONS", 1)
    monkeypatch.setattr(logon, "verify_hash", None)
    with serving(tmp_path) as imap, imap.raw() as client:
        client.line()
        command = b"AUTHENTICATE PLAIN " + base64.b64encode(response)
        assert client.ask(command) == [b"x NO AUTHENTICATE failed.\r\n"]
        assert client.line() == b"* BYE Connection is closed: too many failed logons.\r\n"


@pytest.mark.parametrize(
    ("password", "answers"),
    [(b"wrong", [b"a NO", b"b OK"]), (b"bob-secret", [b"a OK", b"b OK"])],
)
@on_both_loops
def test_a_client_that_ends_its_side_with_its_logon(
    tmp_path: Path, password: bytes, answers: list[bytes], loop: str
) -> None:
    """What it asked is answered, then its session is over."""
    with serving(tmp_path, loop=loop) as imap, imap.raw() as client:
        client.line()
        client.send(b"a LOGIN bob " + password + b"\r\nb NOOP\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert [line[:4] for line in client.until(b"never") if line] == answers
