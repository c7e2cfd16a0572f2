"""`history`, `rollback`, `hold` and `apply --format ndjson` on a real runtime."""

from __future__ import annotations

import imaplib
import json
import re
from typing import Any

import pytest

from reconciler.model import Key, Present
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.target import Attribution
from tests.support.estate import Runtime, write_estate


@pytest.fixture(autouse=True)
def declared(applied: Runtime) -> Runtime:
    """Each test begins with the estate as it is applied."""
    applied.apply()
    return applied


def limit(runtime: Runtime) -> int:
    shown = runtime.reconcile("live", "get", "ImapSettings/ex01", "--format", "json").stdout
    found: int = json.loads(shown)["spec"]["maxConnectionsPerUser"]
    return found


def delete(runtime: Runtime, key: Key) -> None:
    """Somebody deletes it by hand."""
    with EmbeddedTarget(StateDirectory(runtime.state)) as target:
        found = target.read(key)
        assert isinstance(found, Present)
        target.delete(key, expect=found.revision, by=Attribution("bob"))


def newest(runtime: Runtime) -> dict[str, Any]:
    shown = json.loads(runtime.reconcile("history", "--format", "json", "--limit", "1").stdout)
    (found,) = shown["entries"]
    entry: dict[str, Any] = found
    return entry


def test_history_lists_what_was_applied(applied: Runtime) -> None:
    applied.apply(max_connections_per_user=20)
    lines = applied.reconcile("history").stdout.splitlines()
    assert lines[0].split() == ["NO", "TIME", "WHO", "OUTCOME", "COMMIT", "WHAT"]
    assert lines[1].split()[0] == str(newest(applied)["number"])
    assert "applied" in lines[1]


def test_history_shows_the_result_of_each_change(applied: Runtime) -> None:
    applied.apply(max_connections_per_user=21)
    shown = applied.reconcile("history", "show", str(newest(applied)["number"])).stdout
    assert "ImapSettings/ex01" in shown
    assert "restart" in shown
    assert "configuration" in shown
    assert "..." not in shown  # to a pipe
    assert "logon and SELECT INBOX on 127.0.0.1:" in shown


def test_an_entry_that_is_not_there_is_an_error(applied: Runtime) -> None:
    done = applied.reconcile("history", "show", "9999", expect=1)
    assert "the history has no entry 9999; the last one is" in done.stderr


def test_rollback_goes_back_and_is_recorded(applied: Runtime) -> None:
    applied.apply(max_connections_per_user=22)
    number = newest(applied)["number"]
    applied.apply(max_connections_per_user=23)
    done = applied.reconcile("rollback", "--to", str(number), "--yes")
    assert "maxConnectionsPerUser" in done.stdout
    assert limit(applied) == 22
    assert newest(applied)["origin"] == {"rollbackTo": number}
    shown = applied.reconcile("history", "show", str(newest(applied)["number"])).stdout
    assert "commit         none: a roll back is of no files\n" in shown
    assert applied.status()["pendingRestarts"] == []


def test_rollback_brings_a_deleted_mailbox_with_its_password_back(applied: Runtime) -> None:
    before = newest(applied)["number"]
    count = mail_of_alice(applied, append=b"Subject: kept\r\n\r\nkept\r\n")
    delete(applied, Key("Mailbox", "alice"))
    applied.reconcile("rollback", "--to", str(before), "--yes")
    assert mail_of_alice(applied) == count
    client = imaplib.IMAP4_SSL("127.0.0.1", applied.ports.imaps, ssl_context=applied.tls(), timeout=10)
    assert client.login("alice@contoso.example", "correct-horse-alice")[0] == "OK"
    client.logout()


def declare_mailbox(runtime: Runtime, name: str, *, more: str = "") -> None:
    """Beside alice and bob."""
    file = runtime.directory / "estate.yaml"
    mailbox = (
        f"---\napiVersion: reconciler/v1\nkind: Mailbox\nmetadata: {{name: {name}}}\n{more}"
        f"spec: {{database: db01, primarySmtpAddress: {name}@contoso.example}}\n"
    )
    file.write_text(file.read_text() + mailbox)


def test_rollback_deletes_a_mailbox_only_by_name(applied: Runtime) -> None:
    number = str(newest(applied)["number"])
    declare_mailbox(applied, "carol")
    applied.reconcile("apply", "--yes", str(applied.directory))
    refused = applied.reconcile("rollback", "--to", number, "--yes", expect=1)
    assert (
        "deleted:\n  Mailbox/carol: a Mailbox is deleted only by name: --delete Mailbox/carol\n"
        in refused.stderr
    )
    applied.reconcile("live", "get", "Mailbox/carol")
    applied.reconcile("rollback", "--to", number, "--yes", "--delete", "Mailbox/carol")
    applied.reconcile("live", "get", "Mailbox/carol", expect=1)


def rename_alice(runtime: Runtime, name: str, *, former: str) -> None:
    """Declared under another name, and applied."""
    file = runtime.directory / "estate.yaml"
    declared = f"metadata: {{name: {name}}}\nlifecycle: {{renamedFrom: {former}}}\n"
    lines = re.sub(r"\nlifecycle: \{renamedFrom: \w+\}\n", "\n", file.read_text())
    assert f"metadata: {{name: {former}}}\n" in lines
    file.write_text(lines.replace(f"metadata: {{name: {former}}}\n", declared))
    runtime.reconcile("apply", "--yes", str(runtime.directory))


def mail_of_alice(runtime: Runtime, *, append: bytes | None = None) -> bytes:
    """How many messages her INBOX holds, after one more was put into it."""
    client = imaplib.IMAP4_SSL("127.0.0.1", runtime.ports.imaps, ssl_context=runtime.tls(), timeout=10)
    client.login("alice@contoso.example", "correct-horse-alice")
    if append is not None:
        client.append("INBOX", "", "", append)
    _, (count,) = client.select("INBOX")
    client.logout()
    assert isinstance(count, bytes)
    return count


def test_rollback_over_renames_keeps_the_mail(applied: Runtime) -> None:
    number = str(newest(applied)["number"])
    count = mail_of_alice(applied, append=b"Subject: kept\r\n\r\nkept\r\n")
    rename_alice(applied, "ally", former="alice")
    rename_alice(applied, "al", former="ally")
    done = applied.reconcile("rollback", "--to", number, "--yes")
    assert "Mailbox/alice, renamed from al" in done.stdout
    applied.reconcile("live", "get", "Mailbox/al", expect=1)
    assert mail_of_alice(applied) == count


def test_rollback_does_not_delete_what_was_live_then(applied: Runtime) -> None:
    number = str(newest(applied)["number"])
    done = applied.reconcile("rollback", "--to", number, "--yes", "--delete", "Mailbox/bob", expect=1)
    assert f"Mailbox/bob: it was live at history entry {number}, and therefore stays" in done.stderr


def test_rollback_keeps_what_is_protected(applied: Runtime) -> None:
    number = str(newest(applied)["number"])
    declare_mailbox(applied, "dora", more="lifecycle: {protect: true}\n")
    applied.reconcile("apply", "--yes", str(applied.directory))
    arguments = ("rollback", "--to", number, "--yes", "--delete", "Mailbox/dora")
    assert "Mailbox/dora: it is protected" in applied.reconcile(*arguments, expect=1).stderr
    applied.reconcile("live", "get", "Mailbox/dora")


def test_rollback_does_not_delete_so_many_of_a_kind(applied: Runtime) -> None:
    number = str(newest(applied)["number"])
    file = applied.directory / "estate.yaml"
    domains = [
        f"---\napiVersion: reconciler/v1\nkind: AcceptedDomain\nmetadata: {{name: d{number}}}\n"
        f"spec: {{domainName: d{number}.example, domainType: Authoritative}}\n"
        for number in range(10)
    ]
    file.write_text(file.read_text() + "".join(domains))
    applied.reconcile("apply", "--yes", str(applied.directory))
    refused = applied.reconcile("rollback", "--to", number, "--yes", expect=1)
    assert "10 of 11 AcceptedDomain would go, more than 30%" in refused.stderr
    found = json.loads(applied.reconcile("live", "get", "AcceptedDomain", "--format", "json").stdout)
    assert len(found) == 11


def test_rollback_leaves_what_is_held(applied: Runtime) -> None:
    number = str(newest(applied)["number"])
    applied.apply(max_connections_per_user=28)
    applied.reconcile("hold", "ImapSettings/ex01", "--until", "1h", "--reason", "a test of limits")
    try:
        done = applied.reconcile("rollback", "--to", number, "--yes")
    finally:
        applied.reconcile("hold", "release", "ImapSettings/ex01")
    assert "Held, left alone\n  ImapSettings/ex01" in done.stdout
    assert limit(applied) == 28
    pop = applied.reconcile("live", "get", "PopSettings/ex01", "--format", "json").stdout
    assert json.loads(pop)["spec"]["maxConnectionsPerUser"] == 16


def test_history_says_which_directory_was_applied(applied: Runtime) -> None:
    applied.apply(max_connections_per_user=29)
    entry = newest(applied)
    assert entry["origin"] == {"estate": str(applied.directory)}
    assert len(entry["plan"]) == 64
    shown = applied.reconcile("history", "show", str(entry["number"])).stdout
    assert f"plan           {entry['plan']}" in shown
    assert f"estate         {applied.directory}" in shown


def test_rollback_looks_first(applied: Runtime) -> None:
    applied.apply(max_connections_per_user=24)
    number = newest(applied)["number"]
    applied.apply(max_connections_per_user=25)
    applied.reconcile("rollback", "--to", str(number), "--dry-run", expect=2)
    shown = applied.reconcile(
        "rollback", "--to", str(number), "--dry-run", "--format", "json", expect=2
    ).stdout
    assert "ImapSettings" in {change["kind"] for change in json.loads(shown)["changes"]}
    line = applied.reconcile(
        "rollback", "--to", str(number), "--dry-run", "--format", "ndjson", expect=2
    ).stdout
    assert json.loads(line)["plan"] == json.loads(shown)
    assert line.count("\n") == 1
    refused = applied.reconcile("rollback", "--to", str(number), "--format", "json", expect=1)
    assert json.loads(refused.stdout) == json.loads(shown)
    assert "pass --yes to do what is shown above" in refused.stderr
    assert limit(applied) == 25


def test_rollback_to_what_is_live_does_nothing(applied: Runtime) -> None:
    number = newest(applied)["number"]
    done = applied.reconcile("rollback", "--to", str(number), "--dry-run", expect=0)
    assert done.stdout == f"No changes: live is what it was after entry {number}.\n"


def test_a_hold_is_left_out_shown_and_released(applied: Runtime) -> None:
    done = applied.reconcile("hold", "ImapSettings/ex01", "--until", "1h", "--reason", "a test of limits")
    assert "ImapSettings/ex01 is held until" in done.stdout
    try:
        write_estate(applied.directory, applied.ports, max_connections_per_user=26)
        shown = applied.reconcile("plan", str(applied.directory), expect=2).stdout
        assert "Held, left alone" in shown
        applied.reconcile("apply", "--yes", str(applied.directory))
        assert limit(applied) == 16
        assert "a test of limits" in applied.reconcile("status").stdout
        assert applied.status()["holds"][0]["pattern"] == "ImapSettings/ex01"
        assert "a test of limits" in applied.reconcile("hold", "list").stdout
    finally:
        applied.reconcile("hold", "release", "ImapSettings/ex01")
    applied.reconcile("apply", "--yes", str(applied.directory))
    assert limit(applied) == 26


@pytest.mark.parametrize(
    ("resource", "guess"),
    [
        ("Mailbox/alcie", "did you mean Mailbox/alice?"),
        ("ImapSettings/imap", "did you mean ImapSettings/ex01?"),
    ],
)
def test_a_hold_of_what_is_not_live_is_warned_of(applied: Runtime, resource: str, guess: str) -> None:
    done = applied.reconcile("hold", resource, "--until", "1h", "--reason", "a test of limits")
    applied.reconcile("hold", "release", resource)
    assert f"nothing that is live is called {resource}; " in done.stderr
    assert guess in done.stderr


def test_a_hold_of_no_kind_is_refused(applied: Runtime) -> None:
    done = applied.reconcile("hold", "Imap/ex01", "--until", "1h", "--reason", "x", expect=1)
    assert "names no resource" in done.stderr


def test_apply_streams_events(applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=27)
    done = applied.reconcile("apply", "--yes", "--format", "ndjson", str(applied.directory))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events[:2]] == ["plan", "begun"]
    assert events[0]["format"] == "reconciler/events/v1"
    last = events[-1]
    assert (last["event"], last["success"]) == ("finished", True)
    assert last["counts"] == {"applied": len(last["steps"])}
    steps = [event for event in events if event["event"] == "step"]
    assert {step["subject"] for step in steps} == {step["subject"] for step in last["steps"]}


def test_a_value_set_back_by_hand_restarts_nothing(applied: Runtime) -> None:
    generation = applied.service("imap4")["generation"]
    applied.reconcile("live", "set", "ImapSettings/ex01", "maxConnectionsPerUser=99")
    done = applied.reconcile("apply", "--yes", str(applied.directory))
    assert "runs its live configuration already" in done.stdout
    assert limit(applied) == 16
    assert applied.service("imap4")["generation"] == generation
