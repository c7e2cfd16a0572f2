"""imaplib against the front end and the back end, over TLS with the certificate verified."""

from __future__ import annotations

import imaplib
import threading
from pathlib import Path

import pytest

from tests.runtime.aio import on_both_loops
from tests.runtime.certificates import client_context
from tests.runtime.services.imap4_estate import PASSWORDS, serving

MESSAGE = b"From: Bob <bob@contoso.example>\r\nSubject: hello\r\n\r\nbody\r\n"


@on_both_loops
def test_a_whole_session(tmp_path: Path, loop: str) -> None:
    with serving(tmp_path, loop=loop) as imap:
        client = imap.imaplib(select=None)
        assert client.append("INBOX", "(\\Flagged)", None, MESSAGE)[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"1"])
        assert client.search(None, "SUBJECT", "hello") == ("OK", [b"1"])
        _, data = client.fetch("1", "(UID FLAGS BODY[])")
        assert isinstance(data[0], tuple)
        assert data[0][1] == MESSAGE
        assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])
        assert client.close()[0] == "OK"
        assert client.logout()[0] == "BYE"


@on_both_loops
def test_starttls(tmp_path: Path, loop: str) -> None:
    with serving(tmp_path, loop=loop, login_type="SecureLogin") as imap:
        client = imaplib.IMAP4("localhost", imap.estate.clear, timeout=10)
        assert "STARTTLS" in client.capabilities
        client.starttls(client_context())
        assert "STARTTLS" not in client.capabilities
        assert client.login("CONTOSO\\alice", PASSWORDS["alice"])[0] == "OK"
        client.logout()


def test_authenticate_plain(tmp_path: Path) -> None:
    with serving(tmp_path) as imap:
        client = imaplib.IMAP4_SSL("localhost", imap.estate.tls, ssl_context=client_context(), timeout=10)
        message = f"\0bob\0{PASSWORDS['bob']}".encode()
        assert client.authenticate("PLAIN", lambda _: message)[0] == "OK"
        client.logout()


def test_a_wrong_password(tmp_path: Path) -> None:
    with serving(tmp_path) as imap:
        client = imaplib.IMAP4_SSL("localhost", imap.estate.tls, ssl_context=client_context(), timeout=10)
        with pytest.raises(imaplib.IMAP4.error, match="LOGIN failed"):
            client.login("alice", "wrong")
        client.logout()


def test_sessions_side_by_side(tmp_path: Path) -> None:
    """Each appends, and each then sees every message once."""
    with serving(tmp_path, max_connections_per_user=8) as imap:
        failures: list[BaseException] = []

        def work() -> None:
            try:
                client = imap.imaplib()
                for _ in range(5):
                    assert client.append("INBOX", None, None, MESSAGE)[0] == "OK"
                    client.noop()
                client.logout()
            except BaseException as error:  # noqa: BLE001 - handed to the test
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not failures
        client = imap.imaplib()
        _, data = client.uid("SEARCH", "ALL")
        assert data == [b" ".join(b"%d" % uid for uid in range(1, 31))]
        client.logout()
