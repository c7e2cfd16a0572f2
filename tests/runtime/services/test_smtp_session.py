"""What a client meets on a connector: limits, delays, refusals, STARTTLS, AUTH, the log; over real sockets."""

from __future__ import annotations

import base64
import smtplib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runtime.directory import logon
from tests.runtime.aio import run
from tests.runtime.certificates import client_context
from tests.runtime.directories import estate as resources
from tests.runtime.services.smtp_estate import ANONYMOUS, CLIENT, MESSAGE, Estate, Raw, estate, using

RECIPIENT = b"RCPT TO:<alice@contoso.example>"
SENDER = b"MAIL FROM:<carol@fabrikam.example>"


def beside(path: Path, test: Callable[[Estate], None], connectors: Mapping[str, Any] | None = None) -> None:
    """Run blocking client code beside an estate."""

    async def story() -> None:
        async with estate(path, connectors) as running:
            await using(lambda: test(running))

    run(story())


def with_connector(path: Path, test: Callable[[Raw], None], **fields: Any) -> None:
    """Run `test` on a connection to one anonymous connector with these fields."""

    def connected(running: Estate) -> None:
        with running.raw() as client:
            test(client)

    beside(path, connected, {"anonymous": {**ANONYMOUS, **fields}})


def test_the_greeting(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.banner.startswith(b"220 ex01.contoso.example Microsoft ESMTP MAIL Service ready at ")
        assert client.ask(b"EHLO client.example") == (
            b"250-ex01.contoso.example Hello [127.0.0.1]\r\n250-SIZE 37748736\r\n250-PIPELINING\r\n"
            b"250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 CHUNKING\r\n"
        )

    with_connector(tmp_path, test)


def test_a_banner_of_ones_own(tmp_path: Path) -> None:
    with_connector(
        tmp_path, lambda client: _same(client.banner, b"220 hello there\r\n"), banner="220 hello there"
    )


def _same(found: object, expected: object) -> None:
    assert found == expected


def test_commands_that_do_nothing(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.replies(b"NOOP", b"VRFY alice", b"RSET", b"HELO me", b"QUIT") == [
            b"250 2.0.0 OK\r\n",
            b"252 2.1.5 Cannot VRFY user\r\n",
            b"250 2.0.0 Resetting\r\n",
            b"250 ex01.contoso.example Hello [127.0.0.1]\r\n",
            b"221 2.0.0 Service closing transmission channel\r\n",
        ]
        assert client.reply() == b""

    with_connector(tmp_path, test)


def test_a_pipelined_transaction(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        client.hello().send(
            SENDER + b"\r\n" + RECIPIENT + b"\r\nRCPT TO:<nobody@contoso.example>\r\nDATA\r\n"
        )
        assert [client.reply() for _ in range(4)] == [
            b"250 2.1.0 Sender OK\r\n",
            b"250 2.1.5 Recipient OK\r\n",
            b"550 5.1.1 User unknown\r\n",
            b"354 Start mail input; end with <CRLF>.<CRLF>\r\n",
        ]
        client.send(b"Message-ID: <1@fabrikam.example>\r\n\r\nbody\r\n.\r\nQUIT\r\n")
        assert client.reply().startswith(b"250 2.6.0 <1@fabrikam.example> [InternalId=")
        assert client.reply().startswith(b"221 ")

    with_connector(tmp_path, test)


def test_chunks(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        client.hello().replies(SENDER, RECIPIENT)
        client.send(b"BDAT 11\r\nSubject: x\r" + b"BDAT 3 LAST\r\n\n\r\n")
        assert client.reply() == b"250 2.0.0 Chunk received\r\n"
        assert client.reply().startswith(b"250 2.6.0 ")

    with_connector(tmp_path, test)


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ((SENDER,), b"503 5.5.2 Send hello first\r\n"),
        ((b"EHLO a", b"RCPT TO:<a@b.example>"), b"503 5.5.1 Bad sequence of commands\r\n"),
        ((b"EHLO a", SENDER, b"RCPT TO:<carol@fabrikam.example>"), b"550 5.7.1 Unable to relay\r\n"),
        ((b"EHLO a", b"MAIL FROM:nobody"), b"550 5.1.7 Invalid address\r\n"),
        ((b"EHLO a", b"AUTH PLAIN"), b"504 5.7.4 Unrecognized authentication type\r\n"),
        (
            (b"EHLO a", b"MAIL FROM:<> SIZE=99999999"),
            b"552 5.3.4 Message size exceeds fixed maximum message size\r\n",
        ),
    ],
)
def test_refusals(tmp_path: Path, lines: tuple[bytes, ...], last: bytes) -> None:
    with_connector(tmp_path, lambda client: _same(client.replies(*lines)[-1], last))


def test_without_enhanced_codes(tmp_path: Path) -> None:
    with_connector(
        tmp_path, lambda client: _same(client.ask(b"NOOP"), b"250 OK\r\n"), enhancedStatusCodesEnabled=False
    )


def test_ehlo_without_domain_where_one_is_required(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.ask(b"EHLO") == b"501 5.5.4 Invalid domain name\r\n"
        assert client.reply() == b""

    with_connector(tmp_path, test, requireEHLODomain=True)


def test_protocol_errors_end_the_session(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.replies(b"X1", b"X2") == [b"500 5.3.3 Unrecognized command\r\n"] * 2
        assert client.ask(b"X3").startswith(b"421 4.7.0 Too many errors on this connection")
        assert client.reply() == b""

    with_connector(tmp_path, test, maxProtocolErrors=2)


def test_a_message_beyond_the_size_limit(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        content = b"Subject: x\r\n\r\n" + b"a" * 70000 + b"\r\n.\r\n"
        expected = b"552 5.3.4 Message size exceeds fixed maximum message size\r\n"
        assert client.hello().submit(content) == expected
        assert client.ask(b"NOOP") == b"250 2.0.0 OK\r\n"

    with_connector(tmp_path, test, maxMessageSize="64KB")


def test_a_header_beyond_the_limit_closes_the_connection(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        content = b"Subject: " + b"x" * 100 + b"\r\n\r\nbody\r\n.\r\n"
        expected = b"552 5.3.4 Message header size exceeds fixed maximum size\r\n"
        assert client.hello().submit(content) == expected
        assert client.reply() == b""

    with_connector(tmp_path, test, maxHeaderSize=25)


def test_a_mail_loop(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        content = b"Received: from a by b.example\r\n" * 26 + b"\r\nbody\r\n.\r\n"
        assert client.hello().submit(content) == b"554 5.4.6 Hop count exceeded - possible mail loop\r\n"

    with_connector(tmp_path, test, maxHopCount=25)


def test_the_message_rate(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        client.hello()
        assert client.submit(MESSAGE + b".\r\n").startswith(b"250 ")
        assert client.ask(SENDER).startswith(b"421 4.4.2 Message submission rate")

    with_connector(tmp_path, test, messageRateLimit=1)


def test_connections_of_one_source(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        with running.raw(), running.raw() as second:
            assert second.banner.startswith(b"421 4.3.2 The maximum number of concurrent connections")
            assert second.reply() == b""

    beside(tmp_path, test, {"anonymous": {**ANONYMOUS, "maxInboundConnectionPerSource": 1}})


def test_connections_of_a_connector(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        with running.raw(), running.raw() as second:
            assert second.banner.startswith(b"421 4.3.2 The maximum number of concurrent server connections")

    beside(tmp_path, test, {"anonymous": {**ANONYMOUS, "maxInboundConnection": 1}})


def test_a_closed_connection_counts_no_more(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        for _ in range(3):
            with running.raw() as client:
                assert client.ask(b"QUIT").startswith(b"221")
                assert client.reply() == b""

    beside(tmp_path, test, {"anonymous": {**ANONYMOUS, "maxInboundConnection": 1}})


def test_a_client_that_no_connector_serves(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        with running.raw() as client:
            assert client.banner == b"421 4.3.2 Service not active\r\n"
            assert client.reply() == b""

    beside(tmp_path, test, {"anonymous": {**ANONYMOUS, "usage": "Custom", "remoteIPRanges": ["192.0.2.1"]}})


def test_an_idle_client(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.reply() == b"421 4.4.1 Connection timed out\r\n"
        assert client.reply() == b""

    with_connector(tmp_path, test, connectionInactivityTimeout="1s", connectionTimeout="2s")


def test_a_refusal_comes_late_and_the_next_command_waits(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        client.hello().send(SENDER + b"\r\nRCPT TO:<nobody@contoso.example>\r\nNOOP\r\n")
        assert client.reply().startswith(b"250 2.1.0")
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)

    with_connector(tmp_path, test, tarpitInterval="1h")


def test_a_short_tarpit_goes_on(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        client.hello().send(SENDER + b"\r\nRCPT TO:<nobody@contoso.example>\r\nNOOP\r\n")
        assert [client.reply()[:3] for _ in range(3)] == [b"250", b"550", b"250"]

    with_connector(tmp_path, test, tarpitInterval="20ms")


# STARTTLS


def test_starttls_injection(tmp_path: Path) -> None:
    """NO STARTTLS, CVE-2024-34083: what is pipelined behind STARTTLS is never executed."""

    def test(client: Raw) -> None:
        client.hello().send(b"STARTTLS\r\nNOOP\r\nMAIL FROM:<evil@fabrikam.example>\r\n")
        assert client.reply().startswith(b"554 5.5.0 Improper use of command pipelining")
        assert client.reply() == b""

    with_connector(tmp_path, test)


def test_starttls_injection_behind_the_reply(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.hello().ask(b"STARTTLS") == b"220 2.0.0 SMTP server ready\r\n"
        client.send(b"NOOP\r\nMAIL FROM:<evil@fabrikam.example>\r\n")
        rest = client.file.read()
        assert b"250" not in rest

    with_connector(tmp_path, test)


def test_starttls_forgets_the_greeting(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        client = running.smtp()
        client.ehlo()
        client.docmd("STARTTLS")
        client.sock = client_context().wrap_socket(client.sock, server_hostname="localhost")  # type: ignore[arg-type]
        client.file = None
        assert client.docmd("MAIL FROM:<carol@fabrikam.example>") == (503, b"5.5.2 Send hello first")
        client.close()

    beside(tmp_path, test)


def test_starttls_is_not_offered_twice(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        with running.smtp() as client:
            client.starttls(context=client_context())
            client.ehlo()
            assert not client.has_extn("starttls")
            assert client.docmd("STARTTLS")[0] == 502

    beside(tmp_path, test)


def test_starttls_without_a_certificate(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path, has_certificate=False) as running:

            def test() -> None:
                with running.raw() as client:
                    assert client.hello().ask(b"STARTTLS").startswith(b"454 4.7.0 TLS not available")

            await using(test)

    run(story())


# AUTH


def plain(user: str, password: str) -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode())


def in_clear(path: Path, test: Callable[[Raw], None], **fields: Any) -> None:
    """A client connector that takes passwords in clear."""

    def connected(running: Estate) -> None:
        with running.raw("client") as client:
            test(client.hello())

    beside(path, connected, {"client": {**CLIENT, "authMechanism": ["Tls", "BasicAuth"], **fields}})


def test_auth_login(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        name, password = base64.b64encode(b"alice"), base64.b64encode(b"secret")
        assert client.replies(b"AUTH LOGIN", name, password) == [
            b"334 VXNlcm5hbWU6\r\n",
            b"334 UGFzc3dvcmQ6\r\n",
            b"235 2.7.0 Authentication successful\r\n",
        ]

    in_clear(tmp_path, test)


def test_auth_plain_in_two_steps(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.ask(b"AUTH PLAIN") == b"334 \r\n"
        assert client.ask(base64.b64encode(b"\0alice@contoso.example\0secret")).startswith(b"235 ")

    in_clear(tmp_path, test)


@pytest.mark.parametrize(
    "attempt",
    [plain("alice", "wrong"), plain("nobody", "secret"), plain("", ""), b"AUTH PLAIN YWxpY2UAYm9iAHg="],
)
def test_auth_fails_alike(tmp_path: Path, attempt: bytes) -> None:
    in_clear(
        tmp_path, lambda client: _same(client.ask(attempt), b"535 5.7.3 Authentication unsuccessful\r\n")
    )


def test_auth_that_acts_for_somebody_else(tmp_path: Path) -> None:
    attempt = b"AUTH PLAIN " + base64.b64encode(b"bob\0alice\0secret")
    in_clear(tmp_path, lambda client: _same(client.ask(attempt)[:3], b"535"))


@pytest.mark.parametrize(
    "attempts",
    [
        (b"AUTH PLAIN " + base64.b64encode(b"bob\0alice\0secret"),),
        (b"AUTH PLAIN " + base64.b64encode(b"\0\xff\0secret"),),
        (b"AUTH LOGIN", base64.b64encode(b"\xff"), base64.b64encode(b"secret")),
    ],
)
def test_credentials_that_are_nobodys_are_a_failed_logon_without_a_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempts: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(logon, "verify_hash", None)

    def test(client: Raw) -> None:
        assert client.replies(*attempts)[-1].startswith(b"421 4.7.0 Too many failed logons")

    in_clear(tmp_path, test, maxLogonFailures=1)


def test_logon_failures_end_the_session(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.ask(plain("alice", "wrong")).startswith(b"535 ")
        assert client.ask(plain("alice", "wrong")).startswith(b"421 4.7.0 Too many failed logons")
        assert client.reply() == b""

    in_clear(tmp_path, test, maxLogonFailures=2)


def test_auth_twice(tmp_path: Path) -> None:
    def test(client: Raw) -> None:
        assert client.ask(plain("alice", "secret")).startswith(b"235 ")
        assert client.ask(plain("bob", "secret")) == b"503 5.5.1 Already authenticated\r\n"

    in_clear(tmp_path, test)


def test_auth_only_inside_tls(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        with running.raw("client") as client:
            client.hello()
            assert client.ask(plain("alice", "secret")) == b"504 5.7.4 Unrecognized authentication type\r\n"
            assert client.ask(SENDER) == b"530 5.7.1 Client was not authenticated\r\n"

    beside(tmp_path, test)


def test_auth_without_the_right_to_submit(tmp_path: Path) -> None:
    in_clear(
        tmp_path,
        lambda client: _same(client.ask(plain("alice", "secret"))[:3], b"535"),
        permissionGroups=["None"],
    )


def test_auth_of_a_mailbox_that_may_not(tmp_path: Path) -> None:
    found = resources().mailbox("dave", smtp_client_authentication_disabled=True)

    async def story() -> None:
        async with estate(tmp_path, {"client": CLIENT}, found=found) as running:

            def test() -> None:
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    running.log_on("dave")

            await using(test)

    run(story())


def test_a_user_may_send_as_himself_only(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        with running.log_on("alice") as client:
            with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                client.sendmail("bob@contoso.example", ["bob@contoso.example"], MESSAGE)
            assert (
                refused.value.smtp_error == b"5.7.1 Client does not have permissions to send as this sender"
            )

    beside(tmp_path, test)


# The protocol log


def test_the_log_has_the_session_and_no_secret(tmp_path: Path) -> None:
    def test(running: Estate) -> None:
        with running.raw("client") as client:
            client.hello().replies(
                b"AUTH LOGIN", base64.b64encode(b"alice"), base64.b64encode(b"secret"), b"QUIT"
            )
            assert client.reply() == b""

    fields = {**CLIENT, "authMechanism": ["BasicAuth", "Tls"], "protocolLoggingLevel": "Verbose"}
    beside(tmp_path, test, {"client": fields})
    (path,) = (tmp_path / "servers/ex01/logs/FrontEnd/SmtpReceive").glob("RECV*.log")
    lines = [line.split(",", 6) for line in path.read_text().splitlines() if not line.startswith("#")]
    assert {line[1] for line in lines} == {"EX01\\client"}
    events = [line[6] for line in lines]
    assert events[0].startswith("+,")
    assert "<,EHLO client.example," in events
    assert "<,*****," in events
    assert "*,alice,authenticated" in events
    assert events[-1].startswith("-,")
    assert "c2VjcmV0" not in path.read_text()


def test_no_log_without_verbose(tmp_path: Path) -> None:
    with_connector(tmp_path, lambda client: _same(client.ask(b"NOOP")[:3], b"250"))
    assert not (tmp_path / "servers/ex01/logs").exists()
