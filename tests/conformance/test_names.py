"""What one resource only may have is refused to another, and passes from one to another within many writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import Absent, Key, Present
from reconciler.targets import requests
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.target import Attribution, ConflictError, NameTakenError, RejectedError, Target, Write
from runtime.supervisor import api, api_batch
from schemas.v1.base import Spec
from schemas.v1.codec import parse_spec

ALICE = Attribution("alice")


def create(target: Target, key: Key, spec: Spec) -> int:
    return target.write(key, spec, secrets={}, expect=None, by=ALICE)


def live(target: Target, key: Key) -> Present:
    found = target.read(key)
    assert isinstance(found, Present)
    return found


def addressed(local: str) -> Spec:
    return parse_spec("Mailbox", {"database": "db01", "primarySmtpAddress": f"{local}@contoso.example"})


def test_a_name_of_another_is_refused_and_what_came_before_is_done(target: Target, server: str) -> None:
    held, other, late = (Key("Mailbox", f"{name}-{server}") for name in ("held", "other", "late"))
    create(target, held, addressed(held.name))
    writes = [Write(late, None, spec=addressed(late.name)), Write(other, None, spec=addressed(held.name))]
    written = target.write_many(writes, by=ALICE)
    assert written.revisions == (live(target, late).revision,)
    assert isinstance(written.error, NameTakenError)
    assert (written.error.holder, written.failed) == (held, other)
    text = f"{other} primarySmtpAddress: {held.name}@contoso.example belongs to {held} already"
    assert text in str(written.error)
    assert target.read(other) == Absent()


def test_names_may_go_round_within_many_writes(target: Target, server: str) -> None:
    keys = [Key("Mailbox", f"{name}-{server}") for name in ("a", "b", "c")]
    made = [create(target, key, addressed(key.name)) for key in keys]
    wanted = [addressed(key.name) for key in (*keys[1:], keys[0])]
    writes = [Write(key, at, spec=spec) for key, at, spec in zip(keys, made, wanted, strict=True)]
    assert target.write_many(writes, by=ALICE).error is None
    assert [live(target, key).spec for key in keys] == wanted
    back = [
        Write(key, live(target, key).revision, is_restore=True, revision=at)
        for key, at in zip(keys, made, strict=True)
    ]
    assert target.write_many(back[::-1], by=ALICE).error is None
    assert [live(target, key).spec for key in keys] == [addressed(key.name) for key in keys]


def test_what_half_a_swap_meets_is_told_of_the_half_that_meets_it(target: Target, server: str) -> None:
    keys = [Key("Mailbox", f"half-{name}-{server}") for name in ("a", "b")]
    made = [create(target, key, addressed(key.name)) for key in keys]
    target.write(keys[1], addressed(keys[1].name), secrets={}, expect=made[1], by=Attribution("bob"))
    swap = [Write(keys[0], made[0], spec=addressed(keys[1].name))]
    swap.append(Write(keys[1], made[1], spec=addressed(keys[0].name)))
    written = target.write_many(swap, by=ALICE)
    assert (written.revisions, written.failed) == ((), keys[1])
    assert isinstance(written.error, ConflictError)
    assert f"{keys[1]} was changed by bob" in str(written.error)


def shared_again(target: Target, server: str) -> tuple[Key, Key, int]:
    """Two mailboxes with one address, since an apply took its changes back in that order; and the first one's
    revision."""
    one, two = (Key("Mailbox", f"shared-{name}-{server}") for name in ("one", "two"))
    by = Attribution("alice", "a1")
    first, second = create(target, one, addressed(one.name)), create(target, two, addressed(two.name))
    passed = [Write(one, first, spec=addressed(f"new-{server}"))]
    passed.append(Write(two, second, spec=addressed(one.name)))
    assert target.write_many(passed, by=by).error is None
    back = Write(one, live(target, one).revision, is_restore=True, revision=first)
    assert target.write_many([back], by=by).error is None
    return one, two, live(target, one).revision


@pytest.mark.parametrize(("apply_id", "may"), [("a2", True), ("a3", False), (None, False)])
def test_an_apply_may_share_a_name_again_that_was_shared_before(
    target: Target, server: str, apply_id: str | None, may: bool
) -> None:
    one, two, shared = shared_again(target, server)
    ended = [Write(one, shared, spec=addressed(f"other-{server}"))]
    (at,) = target.write_many(ended, by=Attribution("alice", "a2")).revisions
    back = Write(one, at, is_restore=True, revision=shared)
    written = target.write_many([back], by=Attribution("alice", apply_id))
    assert (written.error is None) == may
    assert may or isinstance(written.error, NameTakenError)
    assert isinstance(target.read(two), Present)


def test_not_when_somebody_has_asked_for_it_since(target: Target, server: str) -> None:
    one, two, shared = shared_again(target, server)
    by = Attribution("alice", "a2")
    (at,) = target.write_many([Write(one, shared, spec=addressed(f"other-{server}"))], by=by).revisions
    again = addressed(one.name)
    target.write(two, again, secrets={}, expect=live(target, two).revision, by=Attribution("bob"))
    written = target.write_many([Write(one, at, is_restore=True, revision=shared)], by=by)
    assert isinstance(written.error, NameTakenError)
    assert written.error.holder == two


def test_an_apply_may_share_again_what_it_has_deleted(target: Target, server: str) -> None:
    one, _, shared = shared_again(target, server)
    by = Attribution("alice", "a2")
    assert target.write_many([Write(one, shared)], by=by).error is None
    back = Write(one, None, is_restore=True, revision=shared)
    assert isinstance(target.write_many([back], by=ALICE).error, NameTakenError)
    assert target.write_many([back], by=by).error is None


def test_whoever_keeps_a_name_is_not_refused_for_one_that_asks_earlier(target: Target, server: str) -> None:
    keeps, asks = (Key("Mailbox", f"{name}-{server}") for name in ("keeps", "asks"))
    made = create(target, keeps, addressed(keeps.name))
    writes = [Write(asks, None, spec=addressed(keeps.name)), Write(keeps, made, spec=addressed(keeps.name))]
    written = target.write_many(writes, by=ALICE)
    assert (written.revisions, written.failed) == ((), asks)


def test_a_request_that_is_refused_as_a_whole_is_about_none_of_its_writes(embedded: EmbeddedTarget) -> None:
    writes = [Write(Key("Mailbox", f"many{number}"), 1, tie=0) for number in range(requests.MOST_WRITES + 1)]
    written = embedded.write_many(writes, by=ALICE)
    assert (written.revisions, written.failed) == ((), None)
    assert isinstance(written.error, RejectedError)


def test_what_is_asked_of_a_request_is_what_the_runtime_takes() -> None:
    assert (requests.MOST_WRITES, requests.MOST_BYTES) == (api_batch.MAX_ITEMS, api.MAX_BODY)


def test_what_is_tied_is_not_cut_however_long_it_is(
    embedded: EmbeddedTarget, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.targets.requests.BATCH_BYTES", 1)
    keys = [Key("Mailbox", f"tied-{name}-{server}") for name in ("a", "b")]
    made = [create(embedded, key, addressed(key.name)) for key in keys]
    swapped = [(keys[0], made[0], keys[1].name), (keys[1], made[1], keys[0].name)]
    loose = [Write(key, at, spec=addressed(name)) for key, at, name in swapped]
    assert isinstance(embedded.write_many(loose, by=ALICE).error, NameTakenError)
    tied = [replace(write, tie=0) for write in loose]
    assert embedded.write_many(tied, by=ALICE).error is None
