"""What the loop says of files that are broken or mended, of names that are taken, and of what is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.daemon import notices
from reconciler.daemon.events import event_of
from tests.applying.builders import IMAP
from tests.daemon.builders import Stage, hold

CAROLINE = """\
apiVersion: reconciler/v1
kind: Mailbox
metadata: {name: caroline}
spec: {database: db01, primarySmtpAddress: caroline@contoso.example}
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """One that heals, with its files applied."""
    found = Stage(tmp_path)
    (found.directory / "caroline.yaml").write_text(CAROLINE, encoding="utf-8")
    found.round()
    return found


def take_the_address(stage: Stage) -> None:
    """By a mailbox of another name; the one that has it is declared no more."""
    (stage.directory / "caroline.yaml").unlink()
    text = CAROLINE.replace("{name: caroline}", "{name: carol}")
    (stage.directory / "carol.yaml").write_text(text, encoding="utf-8")


def text_of(notice: object) -> str:
    event = event_of(notice)
    assert event is not None
    return event.text


def test_mended_files_are_told_although_drift_stands(stage: Stage, tmp_path: Path) -> None:
    watching = Stage(tmp_path, heals=False, before=stage)
    watching.change_by_hand(99)
    watching.round()
    (watching.directory / "broken.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    watching.round()
    (watching.directory / "broken.yaml").unlink()
    told = watching.round()
    assert told == [notices.Mended()]
    event = event_of(told[0])
    assert event is not None
    assert (event.name, event.is_news) == ("configuration-mended", True)
    assert watching.round() == []


def test_nothing_is_applied_of_files_that_take_an_address(stage: Stage) -> None:
    take_the_address(stage)
    stage.declare(32)
    broken = stage.round()[0]
    assert isinstance(broken, notices.Broken)
    assert "caroline@contoso.example belongs to Mailbox/caroline" in text_of(broken)
    assert stage.bench.imap_limit() == 16


def test_drift_is_healed_while_files_take_an_address(stage: Stage) -> None:
    take_the_address(stage)
    stage.round()
    stage.change_by_hand(99)
    assert [type(notice) for notice in stage.round(has_news=False)] == [notices.Applying, notices.Applied]
    assert stage.bench.imap_limit() == 16


def test_files_that_take_an_address_no_more_are_applied(stage: Stage) -> None:
    take_the_address(stage)
    stage.declare(32)
    stage.round()
    (stage.directory / "carol.yaml").unlink()
    assert notices.Mended() in stage.round()
    assert stage.bench.imap_limit() == 32


def test_what_is_held_and_differs_is_told(stage: Stage, tmp_path: Path) -> None:
    watching = Stage(tmp_path, heals=False, before=stage)
    (watching.directory / "caroline.yaml").write_text(CAROLINE, encoding="utf-8")
    watching.change_by_hand(99)
    assert isinstance(watching.round()[0], notices.Found)
    watching.held = (hold(str(IMAP)),)
    (told,) = watching.round(has_news=False)
    assert told == notices.Unchanged((IMAP,))
    assert text_of(told).endswith("but for what is held and differs: ImapSettings/ex01.")
