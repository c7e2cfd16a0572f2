"""curl as an IMAP, POP3 and SMTP client, TLS verified each time."""

from __future__ import annotations

from pathlib import Path

from tests.support import clients
from tests.support.estate import DOMAIN, PASSWORDS, Runtime
from tests.support.programs import need, run
from tests.support.waiting import eventually


def _curl(runtime: Runtime, user: str, *arguments: str) -> str:
    curl = need("curl")
    account = f"{user}@{DOMAIN}:{PASSWORDS[user]}"
    common = ["--silent", "--show-error", "--max-time", "30", "--cacert", str(runtime.certificate)]
    return run(curl, *common, "--user", account, *arguments)


def test_imaps_lists_and_fetches(own: Runtime) -> None:
    with clients.imap(own, "alice") as client:
        client.append("INBOX", "", "", b"Subject: over imaps\r\n\r\nbody for curl\r\n")
    assert "INBOX" in _curl(own, "alice", f"imaps://localhost:{own.ports.imaps}/")
    fetched = _curl(own, "alice", f"imaps://localhost:{own.ports.imaps}/INBOX;MAILINDEX=1")
    assert fetched == "Subject: over imaps\r\n\r\nbody for curl\r\n"


def test_pop3s_lists_and_retrieves(own: Runtime) -> None:
    content = b"Subject: over pop3s\r\n\r\n.dot\r\n"
    with clients.imap(own, "alice") as client:
        client.append("INBOX", "", "", content)
    assert _curl(own, "alice", f"pop3s://localhost:{own.ports.pops}/").split() == ["1", str(len(content))]
    assert _curl(own, "alice", f"pop3s://localhost:{own.ports.pops}/1") == content.decode()


def test_smtp_with_starttls_submits(own: Runtime, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(bytes(clients.message(subject="by curl")).replace(b"\n", b"\r\n"))
    _curl(
        own, "alice", f"smtp://localhost:{own.ports.submission}", "--ssl-reqd",
        "--mail-from", f"alice@{DOMAIN}", "--mail-rcpt", f"bob@{DOMAIN}", "--upload-file", str(letter),
    )  # fmt: skip
    with clients.imap(own, "bob") as client:
        eventually(lambda: clients.subjects(client) == ["by curl"])


def test_imap_with_starttls(own: Runtime) -> None:
    listed = _curl(own, "bob", f"imap://localhost:{own.ports.imap}/", "--ssl-reqd")
    assert '"INBOX"' in listed or " INBOX" in listed
