"""Holds keep resources as they are until a time, and end by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.applying.hold import HoldError, active, add, all_holds, new_hold, parse_until, release
from reconciler.model import Hold, Present
from reconciler.planning.plan import make_plan
from tests.applying.builders import IMAP, Bench, estate, imap

NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)


def hold(pattern: str = "ImapSettings/ex01", *, until: datetime = NOW + timedelta(hours=2)) -> Hold:
    return new_hold(pattern, until=until, reason="a test", by="alice")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW + timedelta(hours=2)),
        ("1d12h", NOW + timedelta(days=1, hours=12)),
        ("90s", NOW + timedelta(seconds=90)),
        ("2030-02-01T18:00+01:00", datetime(2030, 2, 1, 17, 0, tzinfo=UTC)),
        ("2030-02-01T18:00Z", datetime(2030, 2, 1, 18, 0, tzinfo=UTC)),
    ],
)
def test_a_time_is_relative_or_absolute(text: str, expected: datetime) -> None:
    assert parse_until(text, now=NOW) == expected


def test_a_time_of_day_is_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    local = NOW.astimezone()
    later = (local + timedelta(minutes=1)).strftime("%H:%M")
    assert parse_until(later, now=NOW) - NOW == timedelta(minutes=1)
    now = local.strftime("%H:%M")
    assert parse_until(now, now=NOW) - NOW == timedelta(days=1)


@pytest.mark.parametrize("text", ["soon", "", "25:00", "2030-13-01", "h", "-2h"])
def test_no_time_is_an_error(text: str) -> None:
    with pytest.raises(HoldError, match="is no time"):
        parse_until(text, now=NOW)


@pytest.mark.parametrize("text", ["2030-01-31T11:59Z", "0s"])
def test_a_time_that_has_passed_is_an_error(text: str) -> None:
    with pytest.raises(HoldError, match="has passed already"):
        parse_until(text, now=NOW)


def test_a_time_too_far_away_is_an_error() -> None:
    with pytest.raises(HoldError, match="longer than anything"):
        parse_until("99999999999w", now=NOW)


def test_a_hold_ends_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "holds.json"
    add(path, hold(until=datetime.now(UTC) + timedelta(hours=1)))
    assert [one.pattern for one in active(path)] == ["ImapSettings/ex01"]
    assert active(path, now=datetime.now(UTC) + timedelta(hours=2)) == ()


def test_a_second_hold_of_the_same_replaces_the_first(tmp_path: Path) -> None:
    path = tmp_path / "holds.json"
    add(path, hold(until=datetime.now(UTC) + timedelta(hours=1)))
    add(path, hold(until=datetime.now(UTC) + timedelta(hours=2)))
    assert len(all_holds(path)) == 1


def test_a_released_hold_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "holds.json"
    add(path, hold(until=datetime.now(UTC) + timedelta(hours=1)))
    release(path, "ImapSettings/ex01")
    assert active(path) == ()


def test_releasing_what_is_not_held_tells_what_is(tmp_path: Path) -> None:
    path = tmp_path / "holds.json"
    add(path, hold("Mailbox/*", until=datetime.now(UTC) + timedelta(hours=1)))
    with pytest.raises(HoldError, match=r"ImapSettings/ex01 is not held; held: Mailbox/\*"):
        release(path, "ImapSettings/ex01")


def test_damage_is_an_error_and_not_no_hold(tmp_path: Path) -> None:
    (tmp_path / "holds.json").write_text("{")
    with pytest.raises(HoldError, match="what is held is not known"):
        active(tmp_path / "holds.json")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path).applied(estate())


def test_what_is_held_is_not_changed_and_the_plan_says_so(bench: Bench) -> None:
    plan = make_plan(estate(imap=32, pop=32), bench.target.observe(), digests={}, holds=[hold()])
    assert [change.key.kind for change in plan.changes] == ["PopSettings"]
    assert [(key, one.reason) for key, one in plan.held] == [(IMAP, "a test")]


def test_a_pattern_holds_many(bench: Bench) -> None:
    plan = make_plan(estate(imap=32, pop=32), bench.target.observe(), digests={}, holds=[hold("*Settings/*")])
    assert plan.is_empty
    assert len(plan.held) == 2


def test_no_service_is_restarted_for_what_is_held_alone(bench: Bench) -> None:
    bench.set_by_hand(IMAP, imap(99))
    assert make_plan(estate(), bench.target.observe(), digests={}, holds=[hold()]).is_empty
    assert isinstance(bench.target.read(IMAP), Present)
    assert bench.pending()


def test_what_a_hold_keeps_from_being_changed_is_known(bench: Bench) -> None:
    bench.set_by_hand(IMAP, imap(99))
    (kept,) = make_plan(estate(), bench.target.observe(), digests={}, holds=[hold()]).held_changes
    assert [(field.path, field.old, field.new) for field in kept.fields] == [
        ("maxConnectionsPerUser", 99, 16)
    ]


def test_a_hold_on_what_is_as_declared_keeps_nothing(bench: Bench) -> None:
    plan = make_plan(estate(), bench.target.observe(), digests={}, holds=[hold()])
    assert (len(plan.held), plan.held_changes) == (1, ())
