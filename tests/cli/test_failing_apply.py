"""What cannot serve is taken back: a taken port, an expired certificate, a user who thinks better of it."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reconciler.cli.common import current_user
from tests.support.estate import Runtime, write_estate
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def declared(applied: Runtime) -> Runtime:
    """Each test begins with the estate as it is applied."""
    for file in applied.directory.glob("*.yaml"):
        file.unlink()
    applied.apply()
    return applied


def replace(runtime: Runtime, old: str, new: str) -> None:
    file = runtime.directory / "estate.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def write_expired_certificate(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ex01.contoso.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (directory / "old.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "old.key").touch(mode=0o600)
    (directory / "old.key").write_bytes(private)


def start_apply(runtime: Runtime) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "reconciler.cli.main", "apply", "--yes", str(runtime.directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RECONCILE_STATE": str(runtime.state)},
    )


def add_mailboxes(runtime: Runtime, count: int, *, name: str = "user") -> None:
    documents = [
        f"apiVersion: reconciler/v1\nkind: Mailbox\nmetadata: {{name: {name}{number:03}}}\n"
        f"spec: {{database: db01, primarySmtpAddress: {name}{number:03}@contoso.example, "
        "password: {secretRef: {file: secrets/alice}}}\n"
        for number in range(count)
    ]
    (runtime.directory / "users.yaml").write_text("---\n".join(documents))


PAUSING = """
import os, signal, sys
from reconciler.applying.journal import Journal
from reconciler.cli.main import main

original, records = Journal.record, 0

def record(self, record, **fields):
    global records
    original(self, record, **fields)
    records += 1
    if records == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGSTOP)

Journal.record = record
sys.exit(main(sys.argv[2:]))
"""


@contextmanager
def paused_apply(runtime: Runtime, records: int) -> Iterator[subprocess.Popen[str]]:
    """A real apply that stands still after so many records of its journal, for the length of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSING, str(records), "apply", "--yes", str(runtime.directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RECONCILE_STATE": str(runtime.state)},
    )
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)


def answer(runtime: Runtime, text: str) -> int:
    """Run `reconcile apply` on a terminal and type `text` when it asks."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler.cli.main", "apply", str(runtime.directory)],
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"RECONCILE_STATE": str(runtime.state)},
    )
    os.close(terminal)
    os.write(controller, text.encode())
    code = process.wait(60)
    os.close(controller)
    return code


def test_a_port_that_is_taken_rolls_back(applied: Runtime) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        replace(applied, str(applied.ports.imaps), str(taken.getsockname()[1]))
        done = applied.reconcile("apply", "--yes", str(applied.directory), expect=1)
    assert "cannot be bound" in done.stderr
    assert "everything was rolled back" in done.stderr
    assert applied.status()["pendingRestarts"] == []
    applied.apply()


def test_a_probe_that_fails_rolls_back(applied: Runtime) -> None:
    write_expired_certificate(applied.directory)
    replace(applied, "selfSigned: {}", "certificateFile: old.crt, privateKeyFile: old.key")
    done = applied.reconcile("apply", "--yes", str(applied.directory), expect=1)
    assert "the probe failed" in done.stderr
    assert "certificate has expired" in done.stderr
    assert "everything was rolled back" in done.stderr
    assert applied.status()["pendingRestarts"] == []
    write_estate(applied.directory, applied.ports)
    applied.reconcile("plan", str(applied.directory), expect=0)


def test_ctrl_c_takes_back_what_was_written(applied: Runtime) -> None:
    add_mailboxes(applied, 60)
    journals = set((applied.state / "journal").iterdir())
    process = start_apply(applied)

    def has_written() -> bool:
        new = set((applied.state / "journal").iterdir()) - journals
        return any('"written"' in path.read_text() for path in new)

    eventually(has_written, what="a first write")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stopped by the user before Mailbox/" in error
    assert "everything was rolled back" in error
    listed = applied.reconcile("live", "get", "Mailbox").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["Mailbox/alice", "Mailbox/bob"]


def test_of_two_applies_at_once_one_is_told_of_the_other(applied: Runtime) -> None:
    add_mailboxes(applied, 20)
    processes = [start_apply(applied), start_apply(applied)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    codes = [process.returncode for process in processes]
    assert 0 in codes
    assert all(
        code == 0 or "another apply is running" in error for code, error in zip(codes, errors, strict=True)
    )
    applied.reconcile("plan", str(applied.directory), expect=0)


def test_the_one_that_comes_second_is_told_who_was_first_and_since_when(applied: Runtime) -> None:
    """The first stands still between two of its writes, so that the two really overlap."""
    add_mailboxes(applied, 3, name="overlap")
    with paused_apply(applied, 2) as first:
        second = start_apply(applied)
        _, error = second.communicate(timeout=60)
    _, trouble = first.communicate(timeout=120)
    assert (first.returncode, second.returncode) == (0, 1), trouble
    who = f"another apply is running: {current_user()} (process {first.pid}, since 20"
    assert who in error
    applied.reconcile("plan", str(applied.directory), expect=0)


def test_a_writer_that_takes_no_lock_is_told_too(applied: Runtime) -> None:
    """Somebody changes by hand what an apply has planned and not yet written: the apply loses, and says to whom."""
    add_mailboxes(applied, 3, name="hand")
    mailboxes = applied.directory / "users.yaml"
    applied.reconcile("apply", "--yes", str(applied.directory))
    mailboxes.write_text(mailboxes.read_text().replace("password:", "imapEnabled: false, password:"))
    with paused_apply(applied, 1) as apply:
        applied.reconcile("live", "set", "Mailbox/hand002", "popEnabled=false")
    _, error = apply.communicate(timeout=120)
    assert apply.returncode == 1
    assert re.search(rf"Mailbox/hand002.* {re.escape(current_user())} at 20\d\d-", error), error
    found = applied.reconcile("live", "get", "Mailbox/hand002").stdout
    assert "popEnabled: false" in found
    assert "imapEnabled: true" in found
    assert "imapEnabled: true" in applied.reconcile("live", "get", "Mailbox/hand000").stdout


def test_no_on_a_terminal_changes_nothing(applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=33)
    assert answer(applied, "n\n") == 1
    applied.reconcile("plan", str(applied.directory), expect=2)


def test_yes_on_a_terminal_applies(applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=34)
    assert answer(applied, "y\n") == 0
    applied.reconcile("plan", str(applied.directory), expect=0)


def test_a_second_ctrl_c_leaves_at_once_and_the_next_apply_settles_it(applied: Runtime) -> None:
    add_mailboxes(applied, 60)
    journals = set((applied.state / "journal").iterdir())
    process = start_apply(applied)

    def has_written() -> bool:
        new = set((applied.state / "journal").iterdir()) - journals
        return any('"written"' in path.read_text() for path in new)

    eventually(has_written, what="a first write")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "Stopping after the current step" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "left in the middle, as you asked" in error
    assert "not reached" in error
    done = applied.reconcile("apply", "--yes", str(applied.directory))
    assert "was interrupted; settling it first" in done.stderr
    applied.reconcile("plan", str(applied.directory), expect=0)


def test_progress_is_a_bar_on_a_terminal(applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=35)
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler.cli.main", "apply", "--yes", str(applied.directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env=os.environ | {"RECONCILE_STATE": str(applied.state), "TERM": "xterm"},
    )
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # how a terminal ends that nobody writes to any more
        while part := os.read(controller, 65536):
            shown += part
    os.close(controller)
    assert process.wait(60) == 0
    assert b"Applying" in shown
