"""Which old versions are kept: whatever somebody may still go back to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.live import (
    Author,
    Draft,
    ForgottenError,
    LiveReader,
    LiveStore,
    NoSuchVersionError,
    old_versions,
)
from runtime.live.forget import KEPT_DAYS, KEPT_VERSIONS
from runtime.live.resource import Row
from schemas.v1.codec import parse_spec

ALICE, BOB = ("Mailbox", "alice"), ("Mailbox", "bob")
NOBODY = Author()
NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=KEPT_DAYS + 1)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStore]:
    with closing(LiveStore(tmp_path / "live.sqlite")) as store:
        yield store


def written(live: LiveStore, key: tuple[str, str], times: int = 1) -> Row:
    for number in range(times):
        row = live.row(*key)
        spec = {
            "database": "db01",
            "primarySmtpAddress": f"{key[1]}@contoso.example",
            "popEnabled": number % 2 == 0,
        }
        draft = Draft(parse_spec("Mailbox", spec))
        live.write(key, draft, expect=row.revision if row else None, author=NOBODY)
    found = live.row(*key)
    assert found is not None
    return found


def forget(live: LiveStore, path: Path, now: datetime) -> int:
    """Everything at once; how many there were."""
    old = old_versions(path / "live.sqlite", now=now)
    live.forget(old)
    return len(old)


def test_the_last_versions_are_kept_however_old_they_are(live: LiveStore, tmp_path: Path) -> None:
    first = written(live, ALICE).revision
    newest = written(live, ALICE, KEPT_VERSIONS - 1).revision
    assert forget(live, tmp_path, LATER) == 0
    live.restore(ALICE, first, expect=newest, author=NOBODY)


def test_what_was_replaced_lately_is_kept_however_many_there_are(live: LiveStore, tmp_path: Path) -> None:
    first = written(live, ALICE).revision
    written(live, ALICE, 3 * KEPT_VERSIONS)
    assert forget(live, tmp_path, NOW) == 0
    assert [row.revision for row in live.rows_at(first)] == [first]


def test_others_are_forgotten_and_asking_for_one_says_so(live: LiveStore, tmp_path: Path) -> None:
    first = written(live, ALICE).revision
    newest = written(live, ALICE, KEPT_VERSIONS + 4).revision
    assert forget(live, tmp_path, LATER) == 5
    with pytest.raises(
        NoSuchVersionError, match=f"no revision {first} any more: .* kept for {KEPT_DAYS} days"
    ):
        live.restore(ALICE, first, expect=newest, author=NOBODY)
    with pytest.raises(ForgottenError, match="only from revision 6 on"):
        live.rows_at(first)


def test_what_is_still_known_is_known_as_a_whole(live: LiveStore, tmp_path: Path) -> None:
    bob = written(live, BOB)
    written(live, ALICE, KEPT_VERSIONS + 5)
    before = {epoch: live.rows_at(epoch) for epoch in range(1, live.epoch + 1)}
    forget(live, tmp_path, LATER)
    known = [epoch for epoch in before if epoch >= 7]
    assert [live.rows_at(epoch) for epoch in known] == [before[epoch] for epoch in known]
    assert bob in live.rows_at(known[0])
    with pytest.raises(ForgottenError):
        live.rows_at(6)


def test_the_live_version_of_a_resource_that_nobody_changes_stays(live: LiveStore, tmp_path: Path) -> None:
    bob = written(live, BOB)
    written(live, ALICE, KEPT_VERSIONS + 5)
    forget(live, tmp_path, LATER)
    assert live.row(*BOB) == bob
    revision, _ = live.restore(BOB, bob.revision, expect=bob.revision, author=NOBODY)
    assert revision == live.epoch


def test_a_deletion_can_be_taken_back_and_is_still_told_to_who_follows(
    live: LiveStore, tmp_path: Path
) -> None:
    last = written(live, ALICE, KEPT_VERSIONS + 5)
    seen = live.epoch
    live.delete(ALICE, expect=last.revision, author=NOBODY)
    forget(live, tmp_path, LATER)
    with LiveReader(tmp_path / "live.sqlite") as reader:
        assert reader.changes_since(seen).deleted == (ALICE,)
    live.restore(ALICE, last.revision, expect=None, author=NOBODY)
    assert live.row(*ALICE) is not None


def test_a_revision_that_never_was_is_not_called_forgotten(live: LiveStore) -> None:
    written(live, ALICE)
    with pytest.raises(NoSuchVersionError, match="never had revision 99"):
        live.restore(ALICE, 99, expect=1, author=NOBODY)


def renamed(live: LiveStore, kind: str, spec: dict[str, object]) -> int:
    made = live.write((kind, "old"), Draft(parse_spec(kind, spec)), expect=None, author=NOBODY)
    return live.rename((kind, "old"), "new", expect=made.revision, author=NOBODY).revision


def test_renames_that_nobody_can_go_back_over_are_forgotten(live: LiveStore, tmp_path: Path) -> None:
    renamed(live, "AcceptedDomain", {"domainName": "contoso.example"})
    mailbox = renamed(live, "Mailbox", {"database": "db01", "primarySmtpAddress": "x@contoso.example"})
    written(live, ALICE, KEPT_VERSIONS + 5)
    later = renamed(live, "ThrottlingPolicy", {})
    forget(live, tmp_path, LATER)
    assert [(revision, kind) for revision, kind, _, _ in live.renames_since(0)] == [
        (mailbox, "Mailbox"),
        (later, "ThrottlingPolicy"),
    ]


def test_renames_stay_while_every_version_does(live: LiveStore, tmp_path: Path) -> None:
    revision = renamed(live, "AcceptedDomain", {"domainName": "contoso.example"})
    forget(live, tmp_path, LATER)
    assert [row[0] for row in live.renames_since(0)] == [revision]


def test_what_is_found_while_others_write_may_be_deleted_later(live: LiveStore, tmp_path: Path) -> None:
    written(live, ALICE, KEPT_VERSIONS + 5)
    old = old_versions(tmp_path / "live.sqlite", now=LATER)
    newest = written(live, ALICE)
    for version in old:
        live.forget([version])
        assert live.rows_at(version.next)
    assert live.row(*ALICE) == newest
