"""The live configuration as hosts read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.directory.directory import Directory
from runtime.live import Author, Changes, Draft, LiveConfigurationError, LiveReader, LiveStore
from schemas.v1.accepted_domain import AcceptedDomain

NOBODY = Author()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStore]:
    with closing(LiveStore(tmp_path / "live.sqlite")) as store:
        yield store


def changes_since(epoch: int, directory: Path) -> Changes:
    with LiveReader(directory / "live.sqlite") as reader:
        return reader.changes_since(epoch)


def put(live: LiveStore, name: str, *, expect: int | None = None) -> int:
    draft = Draft(AcceptedDomain(domain_name=f"{name}.example"))
    return live.write(("AcceptedDomain", name), draft, expect=expect, author=NOBODY).revision


def test_everything_is_new_at_first(live: LiveStore, tmp_path: Path) -> None:
    put(live, "contoso")
    changes = changes_since(0, tmp_path)
    assert [one.name for one in changes.present] == ["contoso"]
    assert (changes.epoch, changes.deleted) == (1, ())


def test_nothing_changed_since_the_last_epoch(live: LiveStore, tmp_path: Path) -> None:
    epoch = put(live, "contoso")
    changes = changes_since(epoch, tmp_path)
    assert (changes.epoch, changes.present, changes.deleted) == (epoch, (), ())


def test_only_what_changed_is_read_again(live: LiveStore, tmp_path: Path) -> None:
    put(live, "contoso")
    epoch = put(live, "fabrikam")
    put(live, "contoso", expect=1)
    assert [one.name for one in changes_since(epoch, tmp_path).present] == ["contoso"]


def test_a_deletion_is_told(live: LiveStore, tmp_path: Path) -> None:
    epoch = put(live, "contoso")
    live.delete(("AcceptedDomain", "contoso"), expect=epoch, author=NOBODY)
    changes = changes_since(epoch, tmp_path)
    assert changes.deleted == (("AcceptedDomain", "contoso"),)
    assert changes.present == ()


def test_what_was_deleted_and_made_again_is_present(live: LiveStore, tmp_path: Path) -> None:
    epoch = put(live, "contoso")
    live.delete(("AcceptedDomain", "contoso"), expect=epoch, author=NOBODY)
    put(live, "contoso")
    changes = changes_since(epoch, tmp_path)
    assert [one.name for one in changes.present] == ["contoso"]
    assert changes.deleted == ()


def test_a_reader_that_is_open_sees_later_writes(live: LiveStore, tmp_path: Path) -> None:
    with LiveReader(tmp_path / "live.sqlite") as view:
        epoch = view.changes_since(0).epoch
        put(live, "contoso")
        assert len(view.changes_since(epoch).present) == 1


def test_a_missing_file_is_an_error_not_an_empty_configuration(tmp_path: Path) -> None:
    with pytest.raises(LiveConfigurationError, match="cannot be read"):
        LiveReader(tmp_path / "live.sqlite")


def test_what_the_models_refuse_is_left_out_and_logged_once_a_revision(
    live: LiveStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(live, "contoso")
    put(live, "fabrikam")
    live._database.execute("UPDATE resources SET spec = '{\"domainName\": 7}' WHERE name = 'contoso'")
    with LiveReader(tmp_path / "live.sqlite") as reader:
        for _ in range(2):
            changes = reader.changes_since(0)
            assert ([one.name for one in changes.present], changes.deleted) == (["fabrikam"], ())
        live._database.execute("UPDATE resources SET revision = 3 WHERE name = 'contoso'")
        reader.changes_since(0)
    (first, second) = caplog.messages
    assert "AcceptedDomain/contoso (revision 1) is stored as this version refuses it: domainName" in first
    assert "(revision 3)" in second
    assert "\n" not in first


def test_a_kind_that_this_version_does_not_have_is_left_out(live: LiveStore, tmp_path: Path) -> None:
    put(live, "contoso")
    live._database.execute("UPDATE resources SET kind = 'PublicFolder'")
    assert changes_since(0, tmp_path).present == ()


def test_a_directory_keeps_the_last_version_that_it_could_read(live: LiveStore, tmp_path: Path) -> None:
    put(live, "contoso")
    with LiveReader(tmp_path / "live.sqlite") as reader:
        directory = Directory(reader, "ex01")
        put(live, "contoso", expect=1)
        live._database.execute("UPDATE resources SET spec = '[]'")
        directory.refresh()
    assert directory.accepted_domain("contoso.example") is not None
