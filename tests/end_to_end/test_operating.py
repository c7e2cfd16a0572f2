"""What docs/operating.md says of a state directory and of sessions, beside a running estate."""

from __future__ import annotations

import re
import smtplib
from pathlib import Path

from tests.support.estate import Runtime
from tests.support.waiting import eventually

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
#: SQLite's own files, which the page tells of beside the database.
_BESIDE = re.compile(r"-(wal|shm)$")


def named() -> set[str]:
    """The paths in the page's table of the state directory."""
    section = PAGE.read_text(encoding="utf-8").partition("## Where things are\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {path.rstrip("/") for cell in cells for path in re.findall(r"`([^`]+)`", cell)}


def found(state: Path) -> set[str]:
    """What lies in a state directory, as deep as the table tells of it."""
    patterns = ("*", "runtime/*", "servers/*/*", "servers/*/queue/*")
    paths = {path.relative_to(state) for pattern in patterns for path in state.glob(pattern)}
    texts = (path.as_posix() for path in paths if not any(path in other.parents for other in paths))
    return {re.sub(r"^servers/[^/]+", "servers/<name>", _BESIDE.sub("", text)) for text in texts}


def test_everything_in_a_state_directory_is_named(own: Runtime) -> None:
    own.reconcile("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=99")
    plan = own.directory.parent / "saved.plan"
    own.reconcile("plan", str(own.directory), "--out", str(plan), expect=2)
    own.reconcile("apply", str(plan), "--yes")
    own.reconcile("hold", "add", "Mailbox/alice", "--until", "2h", "--reason", "a test")
    own.reconcile("daemon", "--release", "all")
    own.reconcile("validate", str(own.directory))
    there = found(own.state)
    assert there >= {
        "holds.json",
        "holds.lock",
        "apply.lock",
        "used-plans",
        "daemon",
        "servers/<name>/queue/spool",
    }
    assert there - named() == set()


def test_a_connection_that_is_kept_for_the_next_message_is_no_client(own: Runtime) -> None:
    with smtplib.SMTP("127.0.0.1", own.ports.smtp) as client:
        client.sendmail("carol@fabrikam.example", ["bob@contoso.example"], "Subject: hello\r\n\r\nhello\r\n")
    eventually(lambda: own.status()["sessions"] == 0, what="no client")
    assert own.service("transport")["sessions"] == 1
