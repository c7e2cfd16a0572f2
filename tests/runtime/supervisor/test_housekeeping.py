"""What the supervisor tidies up: it goes on after a failure, and leaves others their turn."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.live import Author, Draft, ForgottenError, LiveStore, old_versions
from runtime.live.forget import KEPT_VERSIONS, OldVersion
from runtime.supervisor import housekeeping
from runtime.supervisor.housekeeping import forget, keep_house
from runtime.supervisor.layout import Layout
from runtime.supervisor.log import RuntimeLog
from schemas.v1.codec import parse_spec
from tests.runtime.aio import eventually, run

MOST = 10_000
OLD = 5
NOW = datetime.now(UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RuntimeLog]:
    with closing(RuntimeLog(tmp_path / "supervisor.log", most_bytes=MOST)) as handler:
        yield handler


def sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.glob("supervisor.log*")}


def put(store: LiveStore, name: str) -> None:
    row = store.row("AcceptedDomain", name)
    draft = Draft(parse_spec("AcceptedDomain", {"domainName": f"{name}.example"}))
    store.write(("AcceptedDomain", name), draft, expect=row.revision if row else None, author=Author())


def with_old_versions(path: Path) -> LiveStore:
    """A resource of which OLD versions are too old and too many."""
    store = LiveStore(path)
    for _ in range(KEPT_VERSIONS + OLD):
        put(store, "contoso")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE versions SET updated_at = '2001-01-01T00:00:00.000Z'")
    return store


def left(store: LiveStore) -> int:
    return len(old_versions(store.path, now=NOW))


def test_the_house_is_kept_also_after_a_failure(
    log: RuntimeLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "LOG_INTERVAL", 0.01)
    failures, look = [OSError("once")], log.look

    def failing_once() -> None:
        if failures:
            raise failures.pop()
        look()

    monkeypatch.setattr(log, "look", failing_once)
    (tmp_path / "supervisor.log").write_bytes(b"x" * MOST)

    async def situation(store: LiveStore) -> None:
        keeping = asyncio.create_task(keep_house(Layout(tmp_path), store, log))
        await eventually(lambda: sizes(tmp_path) == {"supervisor.log": 0, "supervisor.log.1": MOST})
        await eventually(lambda: left(store) == 0)
        keeping.cancel()

    with closing(with_old_versions(tmp_path / "live.sqlite")) as store:
        run(situation(store))
        with pytest.raises(ForgottenError):
            store.rows_at(1)


def test_others_write_while_old_versions_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "FORGET_TOGETHER", 1)
    seen: list[int] = []

    async def others(store: LiveStore) -> None:
        while True:
            put(store, "fabrikam")
            seen.append(left(store))
            await asyncio.sleep(0)

    async def situation(store: LiveStore) -> None:
        writing = asyncio.create_task(others(store))
        await forget(Layout(tmp_path), store, NOW)
        writing.cancel()

    with closing(with_old_versions(tmp_path / "live.sqlite")) as store:
        run(situation(store))
        assert left(store) == 0
    assert {OLD - 1, OLD - 2, OLD - 3} <= set(seen)


def test_nobody_waits_for_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the event loop waits for it: the search itself waits here for something that the loop does."""
    turn = threading.Event()

    def searching(path: Path, *, now: datetime) -> list[OldVersion]:
        assert turn.wait(timeout=10)
        return old_versions(path, now=now)

    monkeypatch.setattr(housekeeping, "old_versions", searching)

    async def situation(store: LiveStore) -> None:
        forgetting = asyncio.create_task(forget(Layout(tmp_path), store, NOW))
        await asyncio.sleep(0)
        turn.set()
        await forgetting

    with closing(with_old_versions(tmp_path / "live.sqlite")) as store:
        run(situation(store))
        assert left(store) == 0
