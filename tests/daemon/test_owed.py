"""A daemon that heals, and a service that does not serve on the previous values either: tried again, left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.applying.journal import unfinished
from reconciler.daemon import notices
from reconciler.daemon.notices import Notice
from tests.applying.builders import IMAP
from tests.daemon.builders import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """The estate is live, and IMAP4 does not serve any more once it is restarted."""
    stage = Stage(tmp_path)
    stage.round()
    stage.bench.probes.failing = ["ex01/imap4"] * 9
    return stage


def test_what_is_owed_is_tried_again_and_then_left_and_barred(stage: Stage) -> None:
    stage.declare(32)
    assert "not brought back yet: ex01/imap4" in told(stage.round(), notices.Applied)
    stage.now += 15
    second = stage.round(has_news=False)
    assert "left as it is: ex01/imap4" in told(second, notices.Recovered)
    assert any(isinstance(one, notices.Barred) for one in second)
    assert not any(isinstance(one, notices.Applying) for one in second)
    assert unfinished(stage.bench.applier.state.journals) == ()


def test_what_was_live_before_waits_longer_each_time(stage: Stage) -> None:
    stage.change_by_hand(99)
    stage.bench.target.converge("ex01/imap4", "restart", reason="a restart by hand")
    assert "not brought back yet" in told(stage.round(has_news=False), notices.Applied)
    assert "failed 1 times" in str(stage.ledger.why_not(str(IMAP)))
    assert "left as it is" in told(stage.round(has_news=False), notices.Recovered)
    stage.now += 15
    stage.round(has_news=False)
    assert "failed 2 times" in str(stage.ledger.why_not(str(IMAP)))


def told(found: Sequence[Notice], kind: type[notices.Applied] | type[notices.Recovered]) -> str:
    (report,) = [one.report for one in found if isinstance(one, kind)]
    return str(report.error)
