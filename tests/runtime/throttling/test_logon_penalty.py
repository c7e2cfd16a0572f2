"""Failed logons: who is counted together, what they cost, when they are forgotten."""

from __future__ import annotations

import pytest

from runtime.throttling import logon_penalty
from runtime.throttling.logon_penalty import (
    FORGET_AFTER,
    FREE_FAILURES,
    LogonPenalty,
    LogonShares,
    is_loopback,
    network_of,
)

HOME = "192.0.2.7/32"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _failed(penalty: LogonPenalty, times: int, network: str = HOME) -> LogonPenalty:
    for number in range(times):
        penalty.failed(network, b"%d" % number)
    return penalty


@pytest.mark.parametrize(
    ("failures", "delay"), [(0, 0), (1, 0), (3, 0), (4, 2), (5, 4), (6, 8), (7, 15), (8, 15), (50, 15)]
)
def test_the_delay_doubles_after_the_free_failures(failures: int, delay: float) -> None:
    assert _failed(LogonPenalty(Clock()), failures).delay(HOME) == delay


def test_others_are_not_delayed() -> None:
    assert _failed(LogonPenalty(Clock()), 9).delay("192.0.2.8/32") == 0


def test_failures_are_forgotten_one_by_one() -> None:
    clock = Clock()
    penalty = _failed(LogonPenalty(clock), FREE_FAILURES + 1)
    clock.now += FORGET_AFTER
    assert penalty.delay(HOME) == 2
    clock.now += FORGET_AFTER
    assert penalty.delay(HOME) == 0


def test_asking_does_not_put_forgetting_off() -> None:
    clock = Clock()
    penalty = _failed(LogonPenalty(clock), FREE_FAILURES)
    for _ in range(3):
        clock.now += FORGET_AFTER / 3
        delay = penalty.delay(HOME)
    assert delay == 0


def test_after_a_flood_all_is_forgotten_in_bounded_time() -> None:
    clock = Clock()
    penalty = _failed(LogonPenalty(clock), 1000)
    clock.now += FORGET_AFTER * 5
    assert penalty.delay(HOME) == 0


def test_a_repeated_attempt_does_not_count() -> None:
    penalty = LogonPenalty(Clock())
    for _ in range(20):
        penalty.failed(HOME, b"same")
    assert penalty.delay(HOME) == 0


def test_an_attempt_that_is_long_ago_counts_again() -> None:
    penalty = LogonPenalty(Clock())
    for _ in range(2):
        _failed(penalty, logon_penalty.REMEMBERED_ATTEMPTS + 1)
    assert len(penalty._records[HOME].attempts) == logon_penalty.REMEMBERED_ATTEMPTS
    assert penalty.delay(HOME) == 15


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logon_penalty, "MAX_NETWORKS", 2)
    penalty = LogonPenalty(Clock())
    for network in ("a", "b", "a", "c"):
        penalty.failed(network, b"x")
    assert set(penalty._records) == {"a", "c"}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("2001:db8:1:2::5", "2001:db8:1::/48"),
        ("2001:db8:1:ffff::9", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("address", "expected"), [("127.0.0.1", True), ("::1", True), ("192.0.2.7", False), ("", False)]
)
def test_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_a_share_is_given_back() -> None:
    shares = LogonShares(1)
    with shares.taken("a") as first, shares.taken("a") as second, shares.taken("b") as other:
        assert (first, second, other) == (True, False, True)
    with shares.taken("a") as again:
        assert again
