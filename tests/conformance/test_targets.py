"""One suite over every target: revisions, conflicts, secrets, versions and pending services behave the same.

The embedded target is asked over its socket, against a runtime process. Each test uses a server of its own name, so
that one runtime serves them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from reconciler.daemon.process import end_child, spawn, wait_until_up
from reconciler.model import Absent, Key, Present, ServiceState
from reconciler.secret import SecretValue
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.memory import MemoryTarget
from reconciler.targets.target import Attribution, ConflictError, ServiceError, Target
from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec, parse_spec
from tests.support.ports import free_port

ALICE = Attribution("alice")
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTarget]:
    state = StateDirectory(tmp_path_factory.mktemp("state"))
    process = spawn(state)
    try:
        wait_until_up(state, process)
        with EmbeddedTarget(state) as target:
            yield target
    finally:
        end_child(state, process)


@pytest.fixture(params=["memory", "embedded"])
def target(request: pytest.FixtureRequest) -> Target:
    if request.param == "memory":
        return MemoryTarget()
    found: Target = request.getfixturevalue("embedded")
    return found


@pytest.fixture
def server() -> str:
    return f"ex{next(NUMBERS):02}"


def settings(limit: int = 16) -> Spec:
    return parse_spec("ImapSettings", {"maxConnectionsPerUser": limit, "proxyTargetPort": 11993})


def server_spec(server: str, **startup: str) -> Spec:
    off = {name: {"startupType": "Manual"} for name in ("frontend-transport", "transport")}
    services = off | {name: {"startupType": kind} for name, kind in startup.items()}
    return parse_spec("Server", {"fqdn": f"{server}.contoso.example", "services": services})


def mailbox(server: str) -> Spec:
    address = f"alice@{server}.contoso.example"
    return parse_spec("Mailbox", {"database": "db01", "primarySmtpAddress": address})


def create(target: Target, key: Key, spec: Spec, **secrets: str) -> int:
    values = {path: SecretValue(text) for path, text in secrets.items()}
    return target.write(key, spec, secrets=values, expect=None, by=ALICE)


def live(target: Target, key: Key) -> Present:
    found = target.read(key)
    assert isinstance(found, Present)
    return found


def test_an_unknown_resource_is_absent(target: Target, server: str) -> None:
    assert target.read(Key("ImapSettings", server)) == Absent()


def test_what_is_written_is_observed(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    revision = create(target, key, settings(17))
    observed = target.observe().resources[key]
    assert isinstance(observed, Present)
    assert (observed.spec, observed.revision) == (settings(17), revision)


def test_one_resource_reads_as_it_is_observed(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    create(target, key, settings())
    assert target.read(key) == target.observe().resources[key]


def test_a_write_says_who_and_in_which_apply(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    target.write(key, settings(), secrets={}, expect=None, by=Attribution("bob", "20250101T000000-abc"))
    found = live(target, key)
    assert (found.updated_by, found.apply_id) == ("bob", "20250101T000000-abc")
    assert found.updated_at


def test_a_name_with_a_slash_is_one_resource(target: Target, server: str) -> None:
    key = Key("ReceiveConnector", f"{server}/client")
    spec = parse_spec("ReceiveConnector", {"bindings": ["127.0.0.1:10587"]})
    create(target, key, spec)
    assert live(target, key).spec == spec


def test_revisions_only_rise(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    first = create(target, key, settings())
    second = target.write(key, settings(17), secrets={}, expect=first, by=ALICE)
    assert second > first


def test_creating_what_is_there_conflicts_and_tells_who(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    create(target, key, settings())
    with pytest.raises(ConflictError, match=f"{key} was changed by alice at .*: it is at revision"):
        create(target, key, settings(99))
    assert live(target, key).spec == settings()


def test_updating_from_an_old_revision_conflicts(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    first = create(target, key, settings())
    target.write(key, settings(17), secrets={}, expect=first, by=Attribution("bob"))
    with pytest.raises(ConflictError, match="was changed by bob"):
        target.write(key, settings(18), secrets={}, expect=first, by=ALICE)


def test_updating_what_is_gone_conflicts(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    with pytest.raises(ConflictError, match="is gone"):
        target.write(key, settings(), secrets={}, expect=1, by=ALICE)


def test_a_deleted_resource_is_absent(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    target.delete(key, expect=create(target, key, settings()), by=ALICE)
    assert target.read(key) == Absent()


def test_deleting_from_an_old_revision_conflicts(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    first = create(target, key, settings())
    target.write(key, settings(17), secrets={}, expect=first, by=ALICE)
    with pytest.raises(ConflictError):
        target.delete(key, expect=first, by=ALICE)


def test_deleting_what_is_gone_conflicts(target: Target, server: str) -> None:
    with pytest.raises(ConflictError, match="is gone"):
        target.delete(Key("ImapSettings", server), expect=1, by=ALICE)


def test_an_old_version_comes_back_as_a_new_revision(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    first = create(target, key, settings())
    second = target.write(key, settings(17), secrets={}, expect=first, by=ALICE)
    target.restore(key, first, expect=second, by=Attribution("bob", "an-apply"))
    found = live(target, key)
    assert (found.spec, found.apply_id) == (settings(), "an-apply")
    assert found.revision > second


def test_restoring_to_absent_deletes(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    target.restore(key, None, expect=create(target, key, settings()), by=ALICE)
    assert target.read(key) == Absent()


def test_a_deleted_resource_can_be_restored(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    first = create(target, key, settings())
    target.delete(key, expect=first, by=ALICE)
    target.restore(key, first, expect=None, by=ALICE)
    assert live(target, key).spec == settings()


def test_restoring_over_somebody_elses_change_conflicts(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    first = create(target, key, settings())
    second = target.write(key, settings(17), secrets={}, expect=first, by=ALICE)
    target.write(key, settings(18), secrets={}, expect=second, by=Attribution("bob"))
    with pytest.raises(ConflictError, match="bob"):
        target.restore(key, first, expect=second, by=ALICE)


def test_a_secret_shows_as_its_keyed_digest_alone(target: Target, server: str) -> None:
    key = Key("Mailbox", f"alice-{server}")
    create(target, key, mailbox(server), password="correct horse")
    assert live(target, key).secrets == {"password": SecretValue("correct horse").digest(target.digest_key())}


def test_a_secret_that_is_not_mentioned_stays(target: Target, server: str) -> None:
    key = Key("Mailbox", f"alice-{server}")
    first = create(target, key, mailbox(server), password="correct horse")
    target.write(key, mailbox(server), secrets={}, expect=first, by=ALICE)
    assert live(target, key).secrets.keys() == {"password"}


def test_a_secret_can_be_taken_away(target: Target, server: str) -> None:
    key = Key("Mailbox", f"alice-{server}")
    first = create(target, key, mailbox(server), password="correct horse")
    target.write(key, mailbox(server), secrets={"password": None}, expect=first, by=ALICE)
    assert live(target, key).secrets == {}


def test_a_restored_version_has_its_secret_again(target: Target, server: str) -> None:
    key = Key("Mailbox", f"alice-{server}")
    first = create(target, key, mailbox(server), password="correct horse")
    before = live(target, key).secrets
    second = target.write(
        key, mailbox(server), secrets={"password": SecretValue("new")}, expect=first, by=ALICE
    )
    target.restore(key, first, expect=second, by=ALICE)
    assert live(target, key).secrets == before


def test_an_automatic_service_waits_to_be_started(target: Target, server: str) -> None:
    create(target, Key("Server", server), server_spec(server, pop3="Automatic"))
    assert target.observe().services[f"{server}/pop3"].pending == "start"


def test_a_manual_service_waits_for_nothing(target: Target, server: str) -> None:
    create(target, Key("Server", server), server_spec(server))
    found = target.observe().services[f"{server}/imap4"]
    assert (found.startup_type, found.state, found.pending) == ("Manual", "stopped", None)


def test_status_lists_what_is_pending(target: Target, server: str) -> None:
    create(target, Key("Server", server), server_spec(server, pop3="Automatic"))
    pending = target.status()["pendingRestarts"]
    assert isinstance(pending, list)
    assert f"{server}/pop3" in pending


def test_an_unknown_service_cannot_be_restarted(target: Target) -> None:
    with pytest.raises(ServiceError):
        target.converge("nowhere/imap4", "restart", reason="a test")


def run_back_end(target: Target, server: str) -> int:
    """Start imap4-backend of a new server; the revision of its settings."""
    create(target, Key("Server", server), server_spec(server, **{"imap4-backend": "Automatic"}))
    spec = parse_spec("ImapSettings", {"proxyTargetPort": free_port()})
    revision = create(target, Key("ImapSettings", server), spec)
    target.converge(f"{server}/imap4-backend", "restart", reason="a test")
    return revision


def back_end(target: Target, server: str) -> ServiceState:
    return target.observe().services[f"{server}/imap4-backend"]


def limit(target: Target, server: str, connections: int) -> Spec:
    found = live(target, Key("ImapSettings", server))
    return parse_spec("ImapSettings", {**dump_spec(found.spec), "maxConnectionsPerUser": connections})


def test_a_converged_service_runs_and_waits_for_nothing(target: Target, server: str) -> None:
    run_back_end(target, server)
    found = back_end(target, server)
    assert (found.state, found.pending) == ("running", None)


def test_converging_tells_the_generation(target: Target, server: str) -> None:
    run_back_end(target, server)
    again = target.converge(f"{server}/imap4-backend", "restart", reason="a test")
    assert (again.service, again.state, again.generation) == (f"{server}/imap4-backend", "running", 2)


def test_a_changed_setting_waits_for_a_restart_and_says_which(target: Target, server: str) -> None:
    key, revision = Key("ImapSettings", server), run_back_end(target, server)
    target.write(key, limit(target, server, 99), secrets={}, expect=revision, by=ALICE)
    found = back_end(target, server)
    assert (found.pending, found.pending_fields) == ("restart", ((key, "maxConnectionsPerUser"),))


def test_a_restart_settles_what_is_pending(target: Target, server: str) -> None:
    key, revision = Key("ImapSettings", server), run_back_end(target, server)
    target.write(key, limit(target, server, 99), secrets={}, expect=revision, by=ALICE)
    target.converge(f"{server}/imap4-backend", "restart", reason="a test")
    assert back_end(target, server).pending is None


def test_a_restored_value_leaves_nothing_pending(target: Target, server: str) -> None:
    key, revision = Key("ImapSettings", server), run_back_end(target, server)
    newer = target.write(key, limit(target, server, 99), secrets={}, expect=revision, by=ALICE)
    target.restore(key, revision, expect=newer, by=ALICE)
    assert back_end(target, server).pending is None


def test_a_running_service_that_is_manual_now_waits_to_be_stopped(target: Target, server: str) -> None:
    run_back_end(target, server)
    key = Key("Server", server)
    target.write(key, server_spec(server), secrets={}, expect=live(target, key).revision, by=ALICE)
    assert back_end(target, server).pending == "stop"


def test_converging_stops_what_is_not_automatic(target: Target, server: str) -> None:
    run_back_end(target, server)
    key = Key("Server", server)
    target.write(key, server_spec(server), secrets={}, expect=live(target, key).revision, by=ALICE)
    stopping = target.converge(f"{server}/imap4-backend", "restart", reason="a test")
    assert stopping.state in ("stopped", "draining")
    assert back_end(target, server).pending is None
