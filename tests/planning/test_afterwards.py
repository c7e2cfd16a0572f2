"""What a saved plan and a roll back are judged on: the estate as it would be live."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.model import Desired, Key, LiveState, Position, Present, Prune
from reconciler.planning.afterwards import Surroundings, afterwards
from reconciler.planning.plan import make_plan
from tests.planning.builders import desired, live, resource, server

ELSEWHERE = Position(Path("change.plan"), 1, 1)
IMAP, POP = Key("ImapSettings", "ex01"), Key("PopSettings", "ex01")


def after(declared: Desired, now: LiveState, *, around: Surroundings | None = None) -> Desired:
    plan = make_plan(declared, now, digests={}, prune=Prune(is_on=True))
    return afterwards(plan, writes=declared, live=now, around=around or Surroundings(ELSEWHERE))


def limit(number: int) -> Desired:
    lines = {"maxConnectionsPerUser": 7}
    return desired(resource("ImapSettings", "ex01", {"maxConnectionsPerUser": number}, lines=lines))


def test_what_is_left_alone_counts_as_it_is_live() -> None:
    found = after(limit(32), live(server(), *limit(16).resources.values()))
    assert found.resources[Key("Server", "ex01")].spec == server().spec
    assert found.resources[Key("Server", "ex01")].position() == ELSEWHERE


def test_what_changes_counts_as_it_will_be_and_points_at_its_line() -> None:
    found = after(limit(32), live(*limit(16).resources.values())).resources[IMAP]
    assert found.spec == limit(32).resources[IMAP].spec
    assert found.position("maxConnectionsPerUser").line == 7


def test_what_goes_does_not_count() -> None:
    now = live(resource("PopSettings", "ex01"))
    (found,) = now.resources.values()
    assert isinstance(found, Present)
    managed = LiveState({POP: replace(found, managed_by="reconciler")}, {})
    assert after(desired(), managed).resources == {}


def test_labels_are_those_of_the_declarations() -> None:
    around = Surroundings(ELSEWHERE, {IMAP: {"environment": "production"}})
    assert after(limit(32), live(), around=around).resources[IMAP].labels == {"environment": "production"}


def test_what_nobody_declares_may_be_left_out() -> None:
    around = Surroundings(ELSEWHERE, counts=lambda key: key != POP)
    assert after(limit(16), live(resource("PopSettings", "ex01")), around=around).resources.keys() == {IMAP}
