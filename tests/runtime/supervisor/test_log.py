"""The runtime's log stays below its bound, whoever writes to it, and marks what should not happen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.supervisor.events import EventBus
from runtime.supervisor.log import KEPT_COPIES, RuntimeLog

MOST = 10_000


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RuntimeLog]:
    with closing(RuntimeLog(tmp_path / "supervisor.log", most_bytes=MOST)) as handler:
        yield handler


def say(log: RuntimeLog, text: str) -> None:
    log.handle(logging.LogRecord("runtime", logging.INFO, "", 0, text, (), None))


def sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.glob("supervisor.log*")}


def test_all_files_of_the_log_stay_below_the_bound(log: RuntimeLog, tmp_path: Path) -> None:
    for number in range(1000):
        say(log, f"{number} " + "x" * 100)
    found = sizes(tmp_path)
    assert len(found) == 1 + KEPT_COPIES
    assert max(found.values()) <= MOST
    assert (tmp_path / "supervisor.log").read_text().splitlines()[-1].endswith("999 " + "x" * 100)


def test_a_host_goes_on_writing_to_the_same_file(log: RuntimeLog, tmp_path: Path) -> None:
    path = tmp_path / "supervisor.log"
    with path.open("ab", buffering=0) as host:
        host.write(b"x" * MOST + b"\n")
        log.look()
        host.write(b"a host after it\n")
    assert path.read_text() == "a host after it\n"
    assert (tmp_path / "supervisor.log.1").stat().st_size == MOST + 1


def test_the_copies_are_their_owners_alone(log: RuntimeLog, tmp_path: Path) -> None:
    for number in range(300):
        say(log, f"{number} " + "x" * 100)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("supervisor.log*")} == {0}


def test_a_log_that_cannot_be_copied_is_emptied_all_the_same(log: RuntimeLog, tmp_path: Path) -> None:
    (tmp_path / "supervisor.log").write_bytes(b"x" * MOST)
    (tmp_path / "supervisor.log.1.part").mkdir()
    log.namer = lambda name: f"{name}.part"
    log.look()
    assert (tmp_path / "supervisor.log").stat().st_size == 0


def test_a_log_below_the_bound_is_left_alone(log: RuntimeLog, tmp_path: Path) -> None:
    say(log, "one line")
    log.look()
    assert list(sizes(tmp_path)) == ["supervisor.log"]


@pytest.mark.parametrize(
    ("event", "level"),
    [
        ("service.started", "INFO"),
        ("service.drained", "INFO"),
        ("host.stopped", "INFO"),
        ("service.failed", "ERROR"),
        ("host.crashed", "ERROR"),
        ("service.drain.overdue", "WARNING"),
    ],
)
def test_only_what_should_not_happen_is_marked(
    event: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        EventBus().emit(event)
    assert [record.levelname for record in caplog.records] == [level]
