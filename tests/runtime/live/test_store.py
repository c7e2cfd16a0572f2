"""The writer of the live configuration."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.live import (
    Author,
    ConflictError,
    Draft,
    LiveConfigurationError,
    LiveStore,
    NoSuchVersionError,
    ProtectedError,
)
from runtime.live.resource import Row
from schemas.v1.accepted_domain import AcceptedDomain
from schemas.v1.codec import digest_spec, parse_spec

KEY = ("Mailbox", "alice")
NOBODY = Author()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStore]:
    with opened(tmp_path) as store:
        yield store


def opened(directory: Path) -> closing[LiveStore]:
    return closing(LiveStore(directory / "live.sqlite"))


def mailbox(*, name: str = "alice", pop: bool = True, password: str = "one") -> Draft:
    spec = parse_spec(
        "Mailbox", {"database": "db01", "primarySmtpAddress": f"{name}@contoso.example", "popEnabled": pop}
    )
    return Draft(
        spec, secrets={"password": f"digest of {password}"}, credentials={"password": f"hash of {password}"}
    )


def created(live: LiveStore, **changes: bool | str) -> Row:
    return live.write(KEY, mailbox(**changes), expect=None, author=NOBODY)  # type: ignore[arg-type]


def test_what_is_created_is_read_back(live: LiveStore) -> None:
    created(live, pop=False)
    found = live.get(*KEY)
    assert found is not None
    assert found.spec == mailbox(pop=False).spec
    assert found.credentials == {"password": "hash of one"}


def test_a_resource_survives_reopening(live: LiveStore, tmp_path: Path) -> None:
    row = created(live)
    with opened(tmp_path) as again:
        assert again.row(*KEY) == row


def test_keys_and_instance_survive_reopening(live: LiveStore, tmp_path: Path) -> None:
    with opened(tmp_path) as again:
        assert (again.digest_key, again.backend_key, again.instance) == (
            live.digest_key,
            live.backend_key,
            live.instance,
        )


def test_revisions_count_over_the_whole_estate(live: LiveStore) -> None:
    first = created(live)
    domain = AcceptedDomain(domain_name="contoso.example")
    second = live.write(("AcceptedDomain", "contoso"), Draft(domain), expect=None, author=NOBODY)
    assert (first.revision, second.revision, live.epoch) == (1, 2, 2)


def test_an_update_takes_the_revision_it_was_decided_on(live: LiveStore) -> None:
    old = created(live)
    new = live.write(KEY, mailbox(pop=False), expect=old.revision, author=NOBODY)
    assert live.row(*KEY) == new


def test_an_update_of_an_older_revision_is_refused(live: LiveStore) -> None:
    old = created(live)
    new = live.write(KEY, mailbox(pop=False), expect=old.revision, author=NOBODY)
    with pytest.raises(ConflictError, match="expected at revision 1 but is at revision 2") as refused:
        live.write(KEY, mailbox(), expect=old.revision, author=NOBODY)
    assert refused.value.current == new
    assert live.epoch == new.revision


def test_creating_what_is_there_is_refused(live: LiveStore) -> None:
    created(live)
    with pytest.raises(ConflictError, match="expected absent"):
        created(live)


def test_updating_what_is_absent_is_refused(live: LiveStore) -> None:
    with pytest.raises(ConflictError, match="is absent"):
        live.write(KEY, mailbox(), expect=3, author=NOBODY)


def test_a_deleted_resource_is_gone(live: LiveStore) -> None:
    revision = live.delete(KEY, expect=created(live).revision, author=NOBODY)
    assert live.row(*KEY) is None
    assert revision == live.epoch == 2


def test_restore_brings_values_and_credentials_back_as_a_new_revision(live: LiveStore) -> None:
    old = created(live)
    new = live.write(KEY, mailbox(pop=False, password="two"), expect=1, author=NOBODY)
    revision, row = live.restore(KEY, old.revision, expect=new.revision, author=NOBODY)
    assert row is not None
    assert (row.spec, row.secrets, row.credentials) == (old.spec, old.secrets, old.credentials)
    assert revision == row.revision == 3


def test_restore_brings_a_deleted_resource_back(live: LiveStore) -> None:
    old = created(live)
    live.delete(KEY, expect=1, author=NOBODY)
    _, row = live.restore(KEY, 1, expect=None, author=NOBODY)
    assert row is not None
    assert row.credentials == old.credentials


def test_restore_to_nothing_deletes(live: LiveStore) -> None:
    created(live)
    assert live.restore(KEY, None, expect=1, author=NOBODY) == (2, None)
    assert live.row(*KEY) is None


def test_restore_to_nothing_of_nothing_writes_nothing(live: LiveStore) -> None:
    assert live.restore(KEY, None, expect=None, author=NOBODY) == (0, None)


def test_restore_of_a_revision_that_never_was_is_refused(live: LiveStore) -> None:
    created(live)
    with pytest.raises(NoSuchVersionError, match="Mailbox/alice never had revision 9"):
        live.restore(KEY, 9, expect=1, author=NOBODY)


def test_restore_compares_the_revision_too(live: LiveStore) -> None:
    created(live)
    with pytest.raises(ConflictError):
        live.restore(KEY, 1, expect=7, author=NOBODY)


def test_who_wrote_is_kept_and_the_owner_is_inherited(live: LiveStore) -> None:
    live.write(KEY, mailbox(), expect=None, author=Author("alice", "apply-1", "reconciler"))
    row = live.write(KEY, mailbox(pop=False), expect=1, author=Author("bob"))
    assert (row.updated_by, row.apply_id, row.managed_by) == ("bob", None, "reconciler")


def test_the_resources_of_one_server_are_found_whatever_their_names(live: LiveStore) -> None:
    spec = parse_spec("Certificate", {"selfSigned": {}, "services": ["IMAP"]})
    for name in ("ex01/a", "ex01/%", "ex010/b", "ex0/c", "EX01/d"):
        live.write(("Certificate", name), Draft(spec), expect=None, author=NOBODY)
    assert [one.name for one in live.rows_below("Certificate", "ex01")] == ["ex01/%", "ex01/a"]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_only_the_owner_can_read_the_files(live: LiveStore, tmp_path: Path, suffix: str) -> None:
    created(live)
    file = tmp_path / f"live.sqlite{suffix}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_credentials_do_not_show_in_a_repr(live: LiveStore) -> None:
    created(live)
    assert "hash of one" not in repr(live.get(*KEY))
    assert "hash of one" not in repr(mailbox())


def test_a_file_of_a_newer_version_is_refused(live: LiveStore, tmp_path: Path) -> None:
    live._database.execute("PRAGMA user_version=99")
    with pytest.raises(LiveConfigurationError, match="has format 99, this version reads format 2"):
        opened(tmp_path)


def test_a_file_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    with opened(tmp_path) as live:
        created(live)
        for table in ("resources", "versions"):
            live._database.execute(f"ALTER TABLE {table} DROP COLUMN protected")
        live._database.executescript("DROP TABLE renames; PRAGMA user_version=1")
    with opened(tmp_path) as again:
        found = again.get(*KEY)
        assert found is not None
        assert not found.protected


def test_a_summary_has_the_digest_of_the_spec(live: LiveStore) -> None:
    created(live)
    (found,) = live.summaries()
    assert found.digest == digest_spec(mailbox().spec)
    assert live.summaries() == [found]


def test_what_was_live_at_an_epoch_is_found_again(live: LiveStore) -> None:
    first = created(live)
    live.write(("Mailbox", "bob"), mailbox(name="bob"), expect=None, author=NOBODY)
    live.delete(KEY, expect=first.revision, author=NOBODY)
    assert [row.name for row in live.rows_at(first.revision)] == ["alice"]
    assert [row.name for row in live.rows_at(live.epoch)] == ["bob"]


def test_a_protected_resource_is_not_deleted(live: LiveStore) -> None:
    row = live.write(KEY, replace(mailbox(), protected=True), expect=None, author=NOBODY)
    with pytest.raises(ProtectedError, match="is protected"):
        live.delete(KEY, expect=row.revision, author=NOBODY)
    with pytest.raises(ProtectedError):
        live.restore(KEY, None, expect=row.revision, author=NOBODY)


def test_protection_stays_until_it_is_taken_away(live: LiveStore) -> None:
    first = live.write(KEY, replace(mailbox(), protected=True), expect=None, author=NOBODY)
    kept = live.write(KEY, mailbox(pop=False), expect=first.revision, author=NOBODY)
    assert kept.protected
    last = live.write(KEY, replace(mailbox(), protected=False), expect=kept.revision, author=NOBODY)
    live.delete(KEY, expect=last.revision, author=NOBODY)
    assert live.row(*KEY) is None


def test_the_apply_that_made_a_protected_resource_may_take_it_back(live: LiveStore) -> None:
    author = Author("alice", apply_id="one")
    row = live.write(KEY, replace(mailbox(), protected=True), expect=None, author=author)
    live.restore(KEY, None, expect=row.revision, author=author)
    assert live.row(*KEY) is None


def test_a_renamed_resource_keeps_what_it_holds(live: LiveStore) -> None:
    row = created(live)
    renamed = live.rename(KEY, "alicia", expect=row.revision, author=NOBODY)
    assert live.row(*KEY) is None
    assert live.row("Mailbox", "alicia") == renamed
    assert (renamed.spec, renamed.credentials) == (row.spec, row.credentials)


def test_a_rename_onto_a_taken_name_conflicts_and_does_nothing(live: LiveStore) -> None:
    row = created(live)
    taken = live.write(("Mailbox", "bob"), mailbox(name="bob"), expect=None, author=NOBODY)
    with pytest.raises(ConflictError) as caught:
        live.rename(KEY, "bob", expect=row.revision, author=NOBODY)
    assert caught.value.current == taken
    assert live.row(*KEY) == row


def test_a_rename_back_can_bring_an_old_version_back(live: LiveStore) -> None:
    row = created(live)
    renamed = live.rename(
        KEY, "alicia", expect=row.revision, author=NOBODY, content=mailbox(pop=False, password="two")
    )
    back = live.rename(
        ("Mailbox", "alicia"), "alice", expect=renamed.revision, author=NOBODY, content=row.revision
    )
    assert (back.spec, back.credentials) == (row.spec, row.credentials)


def test_of_many_writes_in_one_transaction_those_before_a_conflict_are_kept(live: LiveStore) -> None:
    with live.transaction():
        created(live)
        with pytest.raises(ConflictError):
            created(live)
    assert live.row(*KEY) is not None
