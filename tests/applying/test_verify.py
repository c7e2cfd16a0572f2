"""Probes against a real runtime: what they say when it serves, and when it does not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from reconciler.applying.deadline import Deadline, DeadlineError
from reconciler.applying.logon import (
    Endpoint,
    LogonError,
    Visit,
    imap_logon,
    imap_session,
    pop_logon,
    select_inbox,
    smtp_greeting,
    smtp_logon,
)
from reconciler.applying.message import Reading, round_trip
from reconciler.applying.trust import Trust, TrustError, trust_of
from reconciler.applying.verify import Verifier
from reconciler.model import Key, Present
from reconciler.secret import SecretValue
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.target import Attribution, HealthMailbox, Json, Reader, TransientError
from schemas.v1.codec import dump_spec, parse_spec
from tests.support.estate import Runtime, start_runtime

NOBODY = HealthMailbox("nobody@contoso.example", SecretValue("wrong"), "db01")
NO_TRUST = Trust((), frozenset())


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    found = start_runtime(tmp_path_factory.mktemp("estate"))
    try:
        found.apply()
        yield found
    finally:
        found.reconcile("runtime", "stop", expect=None)


@pytest.fixture
def target(runtime: Runtime) -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget(StateDirectory(runtime.state)) as found:
        yield found


def verify(target: EmbeddedTarget, service: str) -> str:
    result = Verifier(target, wait=lambda _: None)(service)
    assert result.is_serving, result.detail
    return result.detail


def trust(target: EmbeddedTarget, protocol: str) -> Trust:
    return trust_of(target.status(), server="ex01", protocol=protocol)


@pytest.mark.parametrize("service", ["ex01/imap4", "ex01/imap4-backend"])
def test_imap_is_probed_by_a_logon_over_implicit_tls(
    service: str, runtime: Runtime, target: EmbeddedTarget
) -> None:
    assert verify(target, service) == f"logon and SELECT INBOX on 127.0.0.1:{runtime.ports.imaps} over TLS"


@pytest.mark.parametrize("service", ["ex01/pop3", "ex01/pop3-backend"])
def test_pop_is_probed_by_a_logon_over_implicit_tls(
    service: str, runtime: Runtime, target: EmbeddedTarget
) -> None:
    assert verify(target, service) == f"logon and STAT on 127.0.0.1:{runtime.ports.pops} over TLS"


def test_smtp_is_probed_at_every_connector(runtime: Runtime, target: EmbeddedTarget) -> None:
    said = verify(target, "ex01/frontend-transport")
    assert f"EHLO, TLS, AUTH on 127.0.0.1:{runtime.ports.submission}" in said
    assert f"EHLO, TLS on 127.0.0.1:{runtime.ports.smtp}" in said


def test_transport_has_to_greet_itself(target: EmbeddedTarget) -> None:
    assert verify(target, "ex01/transport").startswith("greeting on 127.0.0.1:")


def test_an_unknown_service_does_not_serve(target: EmbeddedTarget) -> None:
    assert not Verifier(target, wait=lambda _: None)("nowhere/imap4").is_serving


def test_starttls_serves_where_there_is_no_implicit_tls(runtime: Runtime, target: EmbeddedTarget) -> None:
    mailbox = target.health_mailbox("ex01")
    at = Endpoint("127.0.0.1", runtime.ports.imap, "starttls")
    assert imap_logon(Visit(at, trust(target, "IMAP"), mailbox, Deadline(10))).startswith("logon")
    at = Endpoint("127.0.0.1", runtime.ports.pop, "starttls")
    assert pop_logon(Visit(at, trust(target, "POP"), mailbox, Deadline(10))).startswith("logon")


def test_without_a_mailbox_database_the_greeting_is_asked_alone(
    runtime: Runtime, target: EmbeddedTarget
) -> None:
    at = Endpoint("127.0.0.1", runtime.ports.imaps, "implicit")
    said = imap_logon(
        Visit(at, trust(target, "IMAP"), HealthMailbox("x", SecretValue("x"), None), Deadline(10))
    )
    assert "no mailbox database is on this server yet" in said


def test_a_refused_imap_logon_is_told(runtime: Runtime, target: EmbeddedTarget) -> None:
    at = Endpoint("127.0.0.1", runtime.ports.imaps, "implicit")
    with pytest.raises(LogonError, match=r"AUTHENTICATIONFAILED|failed"):
        imap_logon(Visit(at, trust(target, "IMAP"), NOBODY, Deadline(10)))


def test_a_refused_pop_logon_is_told(runtime: Runtime, target: EmbeddedTarget) -> None:
    at = Endpoint("127.0.0.1", runtime.ports.pops, "implicit")
    with pytest.raises(LogonError, match="-ERR"):
        pop_logon(Visit(at, trust(target, "POP"), NOBODY, Deadline(10)))


def test_a_certificate_that_is_not_the_servers_is_refused(
    runtime: Runtime, target: EmbeddedTarget, tmp_path: Path
) -> None:
    true = trust(target, "IMAP")
    wrong = Trust(true.files, frozenset({"0" * 64}))
    with pytest.raises(LogonError, match="is not one of this server's"):
        imap_logon(Visit(Endpoint("127.0.0.1", runtime.ports.imaps, "implicit"), wrong, NOBODY, Deadline(10)))


def test_no_certificate_means_no_trust() -> None:
    with pytest.raises(TrustError, match="no certificate of this server"):
        NO_TRUST.context()


def test_nobody_listening_is_told() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        at = Endpoint("127.0.0.1", bound.getsockname()[1], "none")
        with pytest.raises(LogonError, match="Connection refused"):
            smtp_greeting(at, Deadline(10))


def test_a_connector_that_leaves_this_machine_out_is_not_asked(
    runtime: Runtime, target: EmbeddedTarget
) -> None:
    key = Key("ReceiveConnector", "ex01/anonymous")
    found = target.read(key)
    assert isinstance(found, Present)
    spec = parse_spec(key.kind, {**dump_spec(found.spec), "remoteIPRanges": ["10.0.0.0/8"]})
    revision = target.write(key, spec, secrets={}, expect=found.revision, by=Attribution("alice"))
    target.converge("ex01/frontend-transport", "reload", reason="a test")
    try:
        assert "remoteIPRanges leave this machine out" in verify(target, "ex01/frontend-transport")
    finally:
        target.restore(key, found.revision, expect=revision, by=Attribution("alice"))
        target.converge("ex01/frontend-transport", "reload", reason="a test")


def test_smtp_is_probed_with_a_message_there_and_back(runtime: Runtime, target: EmbeddedTarget) -> None:
    said = verify(target, "ex01/transport")
    assert f"a message through 127.0.0.1:{runtime.ports.submission} was read back over IMAP" in said


def test_the_message_of_a_probe_is_removed(target: EmbeddedTarget, runtime: Runtime) -> None:
    verify(target, "ex01/frontend-transport")
    mailbox = target.health_mailbox("ex01")
    at = Endpoint("127.0.0.1", runtime.ports.imaps, "implicit")
    visit = Visit(at, trust(target, "IMAP"), mailbox, Deadline(10))
    with imap_session(visit) as client:
        select_inbox(client, visit)
        assert client.uid("SEARCH", "ALL")[1] == [b""]


def test_the_message_is_read_over_pop_where_there_is_no_imap(
    runtime: Runtime, target: EmbeddedTarget
) -> None:
    mailbox = target.health_mailbox("ex01")
    submission = Endpoint("127.0.0.1", runtime.ports.submission, "starttls")
    reading = Endpoint("127.0.0.1", runtime.ports.pops, "implicit")
    said = round_trip(
        [Visit(submission, trust(target, "SMTP"), mailbox, Deadline(10))],
        Reading(Visit(reading, trust(target, "POP"), mailbox, Deadline(10)), "POP"),
    )
    assert "read back over POP" in said


def test_a_listener_that_takes_nothing_for_the_health_mailbox_is_said(
    runtime: Runtime, target: EmbeddedTarget
) -> None:
    mailbox = target.health_mailbox("ex01")
    anonymous = Endpoint("127.0.0.1", runtime.ports.smtp, "starttls")
    reading = Endpoint("127.0.0.1", runtime.ports.imaps, "implicit")
    said = round_trip(
        [Visit(anonymous, trust(target, "SMTP"), mailbox, Deadline(10))],
        Reading(Visit(reading, trust(target, "IMAP"), mailbox, Deadline(10)), "IMAP"),
    )
    assert said.startswith("no message was sent: no listener takes one for the health mailbox (127.0.0.1")


def test_a_refused_logon_is_final(runtime: Runtime, target: EmbeddedTarget) -> None:
    at = Endpoint("127.0.0.1", runtime.ports.submission, "starttls")
    with pytest.raises(LogonError, match="535") as refused:
        smtp_logon(Visit(at, trust(target, "SMTP"), NOBODY, Deadline(10)))
    assert refused.value.is_final


def test_a_refused_connection_may_be_tried_again() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        at = Endpoint("127.0.0.1", bound.getsockname()[1], "none")
        with pytest.raises(LogonError) as refused:
            smtp_greeting(at, Deadline(10))
    assert not refused.value.is_final


class Refusing:
    """A reader of a runtime that answers nothing."""

    def __init__(self) -> None:
        self.asked = 0

    def status(self) -> Json:
        self.asked += 1
        raise TransientError("no answer")


def test_a_probe_ends_when_its_time_is_up() -> None:
    reader = Refusing()
    slept: list[float] = []
    result = Verifier(cast("Reader", reader), wait=slept.append, seconds=0.0)("ex01/imap4")
    assert (result.is_serving, result.detail) == (False, "no answer")
    assert (reader.asked, slept) == (1, [])


def test_no_step_begins_when_the_time_is_up() -> None:
    with pytest.raises(DeadlineError, match="not done within 3 seconds"):
        Deadline(3, now=iter([0.0, 3.5, 3.5]).__next__).step()
