"""How writes are cut into requests: soon to stop on a slow target, few requests on a quick one."""

from __future__ import annotations

import pytest

from reconciler.applying.batches import AIM, MOST, SECRET, batches
from reconciler.applying.journal import PlannedChange
from reconciler.applying.work import Work
from reconciler.model import Action, Key
from reconciler.secret import SecretValue
from reconciler.targets.target import Write


def work(number: int, *, secrets: int = 0) -> Work:
    key = Key("Mailbox", f"m{number}")
    values = {f"secret{n}": SecretValue("x") for n in range(secrets)}
    return Work(PlannedChange(key, Action.CREATE, None), Write(key, None, secrets=values), (False, 3), "ex01")


class Clock:
    """Goes on by what a batch is said to take."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def sent(
    pieces: list[Work], *, seconds_a_write: float, seconds_a_secret: float = 0.0
) -> list[tuple[int, float]]:
    """Size of each request, and how long it took."""
    clock, found = Clock(), []
    for batch in batches(pieces, now=clock):
        secrets = sum(len(piece.write.secrets) for piece in batch)
        took = 0.005 + len(batch) * seconds_a_write + secrets * seconds_a_secret
        clock.time += took
        found.append((len(batch), took))
    return found


PIECES = [work(number) for number in range(1000)]


@pytest.mark.parametrize("seconds", [0.0001, 0.001, 0.004, 0.01, 0.05])
def test_no_request_takes_longer_than_a_quarter_of_a_second(seconds: float) -> None:
    took = [one for _, one in sent(PIECES, seconds_a_write=seconds)]
    assert max(took[1:]) <= 0.25
    assert took[0] <= 0.25 or seconds > 0.012


def test_passwords_are_hashed_a_few_at_a_time() -> None:
    pieces = [work(number, secrets=1) for number in range(50)]
    assert max(took for _, took in sent(pieces, seconds_a_write=0.001, seconds_a_secret=0.03)) <= 0.25


def test_a_quick_target_gets_few_requests() -> None:
    assert len(sent(PIECES, seconds_a_write=0.0001)) <= 1000 // MOST + 3


def test_the_speed_of_an_ordinary_target_is_kept() -> None:
    found = sent(PIECES, seconds_a_write=0.0008)
    assert sum(took for _, took in found) <= 1.1 * 1000 * 0.0008


def test_a_target_that_becomes_slow_is_asked_for_less() -> None:
    clock, sizes = Clock(), []
    for number, batch in enumerate(batches(PIECES, now=clock)):
        sizes.append(len(batch))
        clock.time += len(batch) * (0.0001 if number < 4 else 0.02)
    assert sizes[3] == MOST
    assert max(sizes[5:]) <= AIM / 0.02


def test_nothing_is_lost_and_the_order_stays() -> None:
    pieces = [work(number, secrets=number % 3) for number in range(100)]
    clock = Clock()
    assert [piece for batch in batches(pieces, now=clock) for piece in batch] == pieces


def test_one_that_is_heavier_than_a_request_goes_alone() -> None:
    heavy = work(0, secrets=MOST // SECRET + 1)
    assert [len(batch) for batch in batches([heavy, work(1)], now=Clock())] == [1, 1]
