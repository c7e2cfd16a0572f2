"""A renamed mailbox keeps its mail, through a restart of everything too."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.estate import Runtime, start_runtime
from tests.support.waiting import eventually

MESSAGE = b"Subject: kept\r\n\r\nThis stays with its mailbox.\r\n"


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    found = start_runtime(tmp_path)
    try:
        found.apply()
        yield found
    finally:
        found.reconcile("runtime", "stop", expect=None)


def logged_on(runtime: Runtime, name: str) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL("127.0.0.1", runtime.ports.imaps, ssl_context=runtime.tls(), timeout=10)
    client.login(name, "correct-horse-alice")
    return client


def subjects(runtime: Runtime, name: str) -> list[bytes | None]:
    client = logged_on(runtime, name)
    try:
        client.select("INBOX", readonly=True)
        found: list[bytes | None] = client.search(None, "SUBJECT", "kept")[1]
        return found
    finally:
        client.logout()


def rename(runtime: Runtime) -> None:
    """alice is alicia from now on, with the same addresses."""
    file = runtime.directory / "estate.yaml"
    old = "metadata: {name: alice}\n"
    new = "metadata: {name: alicia}\nlifecycle: {renamedFrom: alice}\n"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    runtime.reconcile("apply", "--yes", str(runtime.directory))


def test_a_renamed_mailbox_keeps_its_mail(runtime: Runtime) -> None:
    client = logged_on(runtime, "alice@contoso.example")
    client.append("INBOX", "", "", MESSAGE)
    rename(runtime)
    eventually(lambda: _is_over(client), what="the end of the old name's session")
    assert subjects(runtime, "alicia") == [b"1"]
    assert subjects(runtime, "alice@contoso.example") == [b"1"]
    runtime.reconcile("runtime", "stop")
    runtime.reconcile("runtime", "start")
    assert subjects(runtime, "alicia") == [b"1"]
    client.shutdown()


def test_mail_follows_a_rename_that_nobody_served(runtime: Runtime) -> None:
    client = logged_on(runtime, "alice@contoso.example")
    client.append("INBOX", "", "", MESSAGE)
    client.logout()
    runtime.reconcile("runtime", "stop")
    runtime.reconcile("runtime", "start")
    rename(runtime)
    assert subjects(runtime, "alicia") == [b"1"]


def _is_over(client: imaplib.IMAP4_SSL) -> bool:
    try:
        client.noop()
    except (imaplib.IMAP4.error, OSError):
        return True
    return False
