"""MaxConnectionsPerUser holds, is written to the protocol log, and a changed limit takes effect with its restart."""

from __future__ import annotations

import imaplib
import poplib

import pytest

from tests.support import clients
from tests.support.estate import Runtime
from tests.support.waiting import eventually


def _logs(runtime: Runtime, folder: str) -> str:
    directory = runtime.state / "servers" / "ex01" / "logs" / folder
    return "".join(path.read_text(encoding="utf-8") for path in sorted(directory.rglob("*.[lL][oO][gG]")))


def test_one_imap_connection_too_many_is_refused_and_logged(own: Runtime) -> None:
    own.apply(max_connections_per_user=2)
    held = [clients.imap(own, "alice") for _ in range(2)]
    with pytest.raises(imaplib.IMAP4.error):
        clients.imap(own, "alice")
    clients.imap(own, "bob").logout()
    eventually(lambda: "ErrMsg=UserConnectionLimitReached" in _logs(own, "Imap4"))
    for client in held:
        client.logout()
    eventually(lambda: _can_log_on(own), what="a logon after the others have ended")


def _can_log_on(runtime: Runtime) -> bool:
    try:
        clients.imap(runtime, "alice").logout()
    except imaplib.IMAP4.error:
        return False
    return True


def test_one_pop3_connection_too_many_is_refused_and_logged(own: Runtime) -> None:
    own.apply(max_connections_per_user=1)
    held = clients.pop(own, "alice")
    with pytest.raises(poplib.error_proto):
        clients.pop(own, "alice")
    eventually(lambda: "ErrMsg=UserConnectionLimitReached" in _logs(own, "Pop3"))
    held.quit()


def test_the_protocol_log_never_holds_a_password(own: Runtime) -> None:
    clients.imap(own, "alice").logout()
    clients.pop(own, "alice").quit()
    eventually(lambda: "alice" in _logs(own, "Imap4") and "alice" in _logs(own, "Pop3"))
    assert "correct-horse" not in _logs(own, "Imap4") + _logs(own, "Pop3")
