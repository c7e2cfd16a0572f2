"""One suite over every target: revisions, conflicts, secrets, versions and pending services behave the same.

The embedded target is asked over its socket, against a runtime process. Each test uses a server of its own name, so
that one runtime serves them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from reconciler.declared.certificates import thumbprints_in
from reconciler.model import Absent, Key, Present, ServiceState
from reconciler.secret import SecretValue
from reconciler.targets.target import (
    Attribution,
    ConflictError,
    Digested,
    DigestReader,
    LiveChanges,
    RejectedError,
    ServiceError,
    Target,
    Write,
)
from schemas.v1.base import Spec
from schemas.v1.canonical import digest_canonical
from schemas.v1.codec import dump_spec, parse_spec
from tests.runtime.certificates import make_pair
from tests.support.ports import free_port

ALICE = Attribution("alice")


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


def test_digests_are_those_of_what_is_observed(target: Target, server: str) -> None:
    key = Key("Mailbox", server)
    create(target, key, mailbox(server), password="correct horse")
    found = cast("DigestReader", target).digests()
    observed = live(target, key)
    expected = Digested(digest_canonical(observed.spec), observed.secrets, protected=False)
    assert found.resources[key] == expected
    assert found.services == target.services()


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


def test_what_an_apply_wrote_is_marked_as_ours_and_stays_so(target: Target, server: str) -> None:
    by_hand, ours = Key("PopSettings", server), Key("ImapSettings", server)
    pop = parse_spec("PopSettings", {"proxyTargetPort": 11995})
    target.write(by_hand, pop, secrets={}, expect=None, by=Attribution("bob"))
    first = target.write(
        ours, settings(), secrets={}, expect=None, by=Attribution("bob", "20250101T000000-abc")
    )
    assert (live(target, by_hand).managed_by, live(target, ours).managed_by) == (None, "reconciler")
    target.write(ours, settings(17), secrets={}, expect=first, by=Attribution("bob"))
    assert live(target, ours).managed_by == "reconciler"


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


def test_what_was_written_since_is_told_once(target: Target, server: str) -> None:
    before = target.changes_since(None)
    key = Key("Mailbox", f"follow-{server}")
    create(target, key, mailbox(server))
    after = target.changes_since(before)
    assert set(after.changed) == {key}
    assert not after.is_whole
    assert target.changes_since(after).changed == {}


def test_what_was_deleted_since_is_told(target: Target, server: str) -> None:
    key = Key("Mailbox", f"gone-{server}")
    revision = create(target, key, mailbox(server))
    before = target.changes_since(None)
    target.delete(key, expect=revision, by=ALICE)
    assert key in target.changes_since(before).deleted


def test_who_followed_another_target_begins_anew(target: Target, server: str) -> None:
    key = Key("Mailbox", f"anew-{server}")
    create(target, key, mailbox(server))
    found = target.changes_since(LiveChanges("another", 10**6, {}))
    assert found.is_whole
    assert key in found.changed


def test_many_writes_are_done_in_order(target: Target, server: str) -> None:
    imap, pop = Key("ImapSettings", server), Key("PopSettings", server)
    spec = parse_spec("PopSettings", {"proxyTargetPort": 11995})
    written = target.write_many(
        [Write(imap, None, spec=settings(17)), Write(pop, None, spec=spec)], by=Attribution("alice", "a1")
    )
    assert written.error is None
    assert written.revisions == (live(target, imap).revision, live(target, pop).revision)
    assert live(target, imap).apply_id == "a1"


def test_many_writes_end_at_the_first_conflict(target: Target, server: str) -> None:
    imap, pop = Key("ImapSettings", server), Key("PopSettings", server)
    there = create(target, imap, settings())
    spec = parse_spec("PopSettings", {"proxyTargetPort": 11995})
    domain = Key("AcceptedDomain", server)
    accepted = parse_spec("AcceptedDomain", {"domainName": f"{server}.contoso.example"})
    written = target.write_many(
        [
            Write(domain, None, spec=accepted),
            Write(imap, there + 1000, spec=settings(17)),
            Write(pop, None, spec=spec),
        ],
        by=ALICE,
    )
    assert written.revisions == (live(target, domain).revision,)
    assert isinstance(written.error, ConflictError)
    assert "was changed by alice" in str(written.error)
    assert target.read(pop) == Absent()


def test_many_writes_restore_and_delete(target: Target, server: str) -> None:
    imap, pop = Key("ImapSettings", server), Key("PopSettings", server)
    first = create(target, imap, settings())
    second = target.write(imap, settings(17), secrets={}, expect=first, by=ALICE)
    gone = create(target, pop, parse_spec("PopSettings", {"proxyTargetPort": 11995}))
    written = target.write_many(
        [Write(imap, second, is_restore=True, revision=first), Write(pop, gone)], by=ALICE
    )
    assert written.error is None
    assert written.revisions == (live(target, imap).revision, None)
    assert live(target, imap).spec == settings()
    assert target.read(pop) == Absent()


def test_a_write_may_rename_and_change_in_one_step(target: Target, server: str) -> None:
    old, new = Key("Mailbox", f"old-{server}"), Key("Mailbox", f"new-{server}")
    first = create(target, old, mailbox(server), password="correct horse")
    secret = live(target, old).secrets
    changed = parse_spec("Mailbox", {**dump_spec(mailbox(server)), "popEnabled": False})
    written = target.write_many([Write(new, first, spec=changed, renamed_from=old.name)], by=ALICE)
    assert written.error is None
    assert target.read(old) == Absent()
    found = live(target, new)
    assert (found.spec, found.secrets, found.revision) == (changed, secret, written.revisions[0])


def test_a_rename_can_be_taken_back_with_the_version_before(target: Target, server: str) -> None:
    old, new = Key("Mailbox", f"old-{server}"), Key("Mailbox", f"new-{server}")
    first = create(target, old, mailbox(server), password="correct horse")
    before = live(target, old)
    changed = parse_spec("Mailbox", {**dump_spec(mailbox(server)), "popEnabled": False})
    renamed = target.write_many([Write(new, first, spec=changed, renamed_from=old.name)], by=ALICE)
    back = Write(old, renamed.revisions[0], is_restore=True, revision=first, renamed_from=new.name)
    assert target.write_many([back], by=ALICE).error is None
    found = live(target, old)
    assert (found.spec, found.secrets) == (before.spec, before.secrets)
    assert target.read(new) == Absent()


def test_a_rename_onto_a_taken_name_is_a_conflict(target: Target, server: str) -> None:
    old, new = Key("Mailbox", f"old-{server}"), Key("Mailbox", f"new-{server}")
    first = create(target, old, mailbox(server))
    create(target, new, mailbox(f"new.{server}"))
    written = target.write_many([Write(new, first, spec=mailbox(server), renamed_from=old.name)], by=ALICE)
    assert isinstance(written.error, ConflictError)
    assert live(target, old).revision == first


def test_a_protected_resource_is_deleted_only_after_it_is_freed(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    (first,) = target.write_many([Write(key, None, spec=settings(), protected=True)], by=ALICE).revisions
    refused = target.write_many([Write(key, first)], by=ALICE)
    assert isinstance(refused.error, RejectedError)
    assert "protected" in str(refused.error)
    (freed,) = target.write_many([Write(key, first, spec=settings(), protected=False)], by=ALICE).revisions
    assert target.write_many([Write(key, freed)], by=ALICE).error is None
    assert target.read(key) == Absent()


def test_stamps_tell_revisions_and_who(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    revision = target.write(key, settings(), secrets={}, expect=None, by=Attribution("bob", "a1"))
    stamps = target.stamps()
    found = stamps.resources[key]
    assert (found.revision, found.updated_by, found.apply_id) == (revision, "bob", "a1")
    assert found.updated_at == live(target, key).updated_at
    assert stamps.epoch == target.epoch() >= revision


def test_what_was_live_at_a_revision_is_told(target: Target, server: str) -> None:
    imap, pop = Key("ImapSettings", server), Key("PopSettings", server)
    first = create(target, imap, settings())
    before = live(target, imap)
    gone = target.epoch()
    target.delete(imap, expect=first, by=ALICE)
    create(target, pop, parse_spec("PopSettings", {"proxyTargetPort": 11995}))
    past = target.live_at(gone)
    assert past[imap] == before
    assert pop not in past
    assert imap not in target.live_at(target.epoch())


def test_renames_since_a_revision_are_told_in_their_order(target: Target, server: str) -> None:
    first, second, third = (Key("Certificate", f"{server}/{name}") for name in ("a", "b", "c"))
    spec = parse_spec("Certificate", {"selfSigned": {}, "services": ["IMAP"]})
    revision = create(target, first, spec)
    later = target.rename(first, second.name, expect=revision, by=ALICE)
    target.rename(second, third.name, expect=later, by=ALICE)
    assert list(target.renames_since(revision)) == [(first, second), (second, third)]
    assert list(target.renames_since(later)) == [(second, third)]


def test_a_certificate_from_files_is_live_by_its_thumbprint(
    target: Target, server: str, tmp_path: Path
) -> None:
    pair = make_pair(tmp_path)
    thumbprint, *_ = thumbprints_in(str(pair.certificate))
    files = {"certificateFile": str(pair.certificate), "privateKeyFile": str(pair.key)}
    live_spec: dict[str, object] = {"thumbprint": thumbprint, "services": ["IMAP"]}
    key, declared = Key("Certificate", f"{server}/mail"), parse_spec("Certificate", files | live_spec)
    create(target, key, declared)
    assert live(target, key).spec == parse_spec("Certificate", live_spec)
    assert target.observe({key: declared}).resources[key] == live(target, key)


def test_known_specs_are_given_back_as_they_are(target: Target, server: str) -> None:
    key = Key("ImapSettings", server)
    create(target, key, settings(17))
    same, other = settings(17), settings(18)
    assert live(target, key) == target.observe({key: same}).resources[key]
    observed = target.observe({key: other}).resources[key]
    assert isinstance(observed, Present)
    assert observed.spec == settings(17)
