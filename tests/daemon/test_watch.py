"""Only content counts: not a touch, not how a file came to have its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from reconciler.daemon.watch import Contents, Watcher
from tests.support.waiting import eventually


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "estate"
    found.mkdir()
    (found / "a.yaml").write_text("a: 1\n")
    return found


def looked(directory: Path, **options: list[Path]) -> Contents:
    contents = Contents(directory, **options)
    assert contents.has_changed()
    return contents


def test_nothing_has_changed_when_nothing_was_done(directory: Path) -> None:
    assert not looked(directory).has_changed()


def test_a_touch_is_no_change(directory: Path) -> None:
    contents = looked(directory)
    os.utime(directory / "a.yaml", (1, 1))
    assert not contents.has_changed()


def test_new_content_of_the_same_length_is_a_change(directory: Path) -> None:
    contents = looked(directory)
    (directory / "a.yaml").write_text("a: 2\n")
    assert contents.has_changed()


def test_an_editors_rename_over_the_file_is_a_change(directory: Path) -> None:
    contents = looked(directory)
    (directory / ".a.yaml.swp").write_text("a: 2\n")
    (directory / ".a.yaml.swp").rename(directory / "a.yaml")
    assert contents.has_changed()


def test_a_hidden_file_is_no_change(directory: Path) -> None:
    contents = looked(directory)
    (directory / ".a.yaml.swp").write_text("a: 2\n")
    assert not contents.has_changed()


def test_a_new_and_a_removed_file_are_changes(directory: Path) -> None:
    contents = looked(directory)
    (directory / "b.yaml").write_text("b: 1\n")
    assert contents.has_changed()
    (directory / "b.yaml").unlink()
    assert contents.has_changed()


def test_a_symbolic_link_that_points_elsewhere_is_a_change(directory: Path) -> None:
    (directory.parent / "other.yaml").write_text("a: 2\n")
    (directory / "link.yaml").symlink_to("a.yaml")
    contents = looked(directory)
    (directory / "link.yaml").unlink()
    (directory / "link.yaml").symlink_to("../other.yaml")
    assert contents.has_changed()


def test_a_directory_that_is_swapped_by_its_link_is_a_change(directory: Path) -> None:
    newer = directory.parent / "newer"
    newer.mkdir()
    (newer / "a.yaml").write_text("a: 2\n")
    current = directory.parent / "current"
    current.symlink_to(directory)
    contents = looked(current)
    current.unlink()
    current.symlink_to(newer)
    assert contents.has_changed()


def test_the_state_directory_inside_is_left_out(directory: Path) -> None:
    contents = looked(directory, leave_out=[directory / "state"])
    (directory / "state").mkdir()
    (directory / "state" / "history.jsonl").write_text("{}\n")
    assert not contents.has_changed()


def test_a_file_that_is_referred_to_counts(tmp_path: Path) -> None:
    secret = tmp_path / "alice"
    secret.write_text("one")
    contents = Contents()
    assert contents.has_changed([secret])
    assert not contents.has_changed([secret])
    secret.write_text("two")
    assert contents.has_changed([secret])


def test_a_file_that_goes_away_is_a_change_and_no_error(tmp_path: Path) -> None:
    secret = tmp_path / "alice"
    secret.write_text("one")
    contents = Contents()
    contents.has_changed([secret])
    secret.unlink()
    assert contents.has_changed([secret])


@pytest.fixture
def rung(directory: Path) -> Iterator[Callable[[Path], Event]]:
    """Starts watchers; the event is set each time that one rings."""
    watchers: list[Watcher] = []

    def watch(path: Path) -> Event:
        bell = Event()
        watchers.append(Watcher(path, bell.set))
        watchers[-1].start()
        return bell

    yield watch
    for watcher in watchers:
        watcher.stop()
        watcher.join(30)
        assert not watcher.is_alive()


def test_a_save_in_a_directory_that_a_link_was_swapped_to_is_noticed(
    directory: Path, rung: Callable[[Path], Event]
) -> None:
    newer, current = directory.parent / "newer", directory.parent / "current"
    newer.mkdir()
    current.symlink_to(directory)
    bell = rung(current)
    _touch_until_it_rings(current / "a.yaml", bell)
    fresh = directory.parent / "fresh"
    fresh.symlink_to(newer)
    fresh.replace(current)
    _touch_until_it_rings(newer / "a.yaml", bell)


def test_a_directory_that_goes_and_comes_back_is_watched_again(
    directory: Path, rung: Callable[[Path], Event]
) -> None:
    bell = rung(directory)
    _touch_until_it_rings(directory / "a.yaml", bell)
    directory.rename(directory.parent / "away")
    (directory.parent / "away").rename(directory)
    _touch_until_it_rings(directory / "a.yaml", bell)


def _touch_until_it_rings(file: Path, bell: Event) -> None:
    """The watcher needs a moment to begin anew, and nobody is told when it has."""
    bell.clear()

    def save() -> bool:
        file.write_text("a: 2\n")
        return bell.wait(0.1)

    assert eventually(save, what="a ring")


def test_the_files_that_were_edited_are_named_with_what_they_held(directory: Path) -> None:
    contents = looked(directory)
    before = hashlib.sha256((directory / "a.yaml").read_bytes()).hexdigest()
    (directory / "a.yaml").write_text("a: 2\n")
    assert contents.has_changed()
    assert contents.edited == {directory / "a.yaml": before}


def test_no_file_counts_as_edited_when_another_one_came(directory: Path) -> None:
    contents = looked(directory)
    (directory / "a.yaml").write_text("a: 2\n")
    (directory / "b.yaml").write_text("b: 1\n")
    assert contents.has_changed()
    assert contents.edited == {}
