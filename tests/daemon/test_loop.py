"""One round of the loop after another, on a target in memory: what it tells, and that nothing ends it."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pytest

from reconciler.applying.lock import apply_lock
from reconciler.daemon import loop
from reconciler.daemon.loop import Loop, Notice
from reconciler.targets.target import NotRunningError
from tests.applying.builders import IMAP, Bench
from tests.support.estate import Ports, write_estate
from tests.support.waiting import eventually


class Stage:
    """An estate directory, a bench to apply it on, and what the loop has told."""

    def __init__(self, root: Path) -> None:
        self.directory, self.ports = root / "estate", Ports()
        self.bench = Bench(root / "state")
        self.told: list[Notice] = []
        self.declare(16)
        self.loop = Loop(self.directory, self.bench.applier, tell=self.told.append)

    def declare(self, limit: int) -> None:
        write_estate(self.directory, self.ports, max_connections_per_user=limit)

    def round(self) -> Notice:
        """Apply once; the last notice."""
        self.loop.apply()
        return self.told[-1]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_first_round_applies(stage: Stage) -> None:
    notice = stage.round()
    assert isinstance(notice, loop.Applied)
    assert notice.report.is_success
    assert stage.bench.imap_limit() == 16


def test_the_plan_is_told_before_it_is_applied(stage: Stage) -> None:
    stage.round()
    assert [type(notice) for notice in stage.told] == [loop.Applying, loop.Applied]


def test_a_round_without_a_change_says_so(stage: Stage) -> None:
    stage.round()
    assert stage.round() == loop.Unchanged()


def test_broken_files_leave_what_is_live(stage: Stage) -> None:
    stage.round()
    (stage.directory / "broken.yaml").write_text("kind: Nothing\n")
    notice = stage.round()
    assert isinstance(notice, loop.Broken)
    assert notice.diagnostics
    assert stage.bench.imap_limit() == 16


def test_a_failed_apply_is_told_and_ends_nothing(stage: Stage) -> None:
    stage.round()
    stage.declare(32)
    stage.bench.probes.failing = ["ex01/imap4"]
    notice = stage.round()
    assert isinstance(notice, loop.Applied)
    assert not notice.report.is_success
    assert isinstance(stage.round(), loop.Applied)
    assert stage.bench.imap_limit() == 32


def test_a_lock_held_by_somebody_is_tried_again_later_each_time(stage: Stage) -> None:
    with apply_lock(stage.bench.applier.state.apply_lock, actor="bob"):
        first, second = stage.round(), stage.round()
    assert isinstance(first, loop.Failed)
    assert isinstance(second, loop.Failed)
    assert "bob" in first.error
    assert (first.retry_in, second.retry_in) == (2, 4)


def test_an_apply_that_was_killed_is_settled_first(stage: Stage) -> None:
    stage.round()
    stage.declare(32)
    stage.bench.probes.failing = ["ex01/imap4"]
    stage.bench.target.before[f"restore {IMAP}"] = [NotRunningError("no runtime")]
    stage.round()
    stage.told.clear()
    stage.round()
    assert isinstance(stage.told[0], loop.Recovered)
    assert stage.bench.imap_limit() == 32


def test_the_loop_follows_the_files_until_it_is_stopped(stage: Stage) -> None:
    stop = Event()
    thread = Thread(target=stage.loop.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: stage.bench.imap_limit() == 16, what="the first apply")
        stage.declare(32)
        eventually(lambda: stage.bench.imap_limit() == 32, what="the second apply")
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def test_a_secret_file_outside_of_the_directory_is_followed(stage: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.write_text("first")
    (stage.directory / "carol.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Mailbox\nmetadata: {name: carol}\n"
        "spec: {database: db01, primarySmtpAddress: carol@contoso.example, "
        f"password: {{secretRef: {{file: {secret}}}}}}}\n"
    )
    stop = Event()
    thread = Thread(target=stage.loop.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: any(isinstance(notice, loop.Applied) for notice in stage.told), what="an apply")
        secret.write_text("second")
        eventually(lambda: sum(isinstance(n, loop.Applied) for n in stage.told) == 2, what="another apply")
    finally:
        stop.set()
        thread.join(30)
