"""What one resource only may have is refused to another, and passes from one to another within many writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import Absent, Key, Present
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.target import Attribution, RejectedError, Target, Write
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
    assert isinstance(written.error, RejectedError)
    assert f"{held.name}@contoso.example belongs to {held} already" in str(written.error)
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


def test_what_is_tied_is_not_cut_however_long_it_is(
    embedded: EmbeddedTarget, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.targets.embedded.BATCH_BYTES", 1)
    keys = [Key("Mailbox", f"tied-{name}-{server}") for name in ("a", "b")]
    made = [create(embedded, key, addressed(key.name)) for key in keys]
    swapped = [(keys[0], made[0], keys[1].name), (keys[1], made[1], keys[0].name)]
    loose = [Write(key, at, spec=addressed(name)) for key, at, name in swapped]
    assert isinstance(embedded.write_many(loose, by=ALICE).error, RejectedError)
    tied = [replace(write, tie=0) for write in loose]
    assert embedded.write_many(tied, by=ALICE).error is None
