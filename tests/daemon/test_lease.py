"""One holder at a time: with clocks of the test's own, and with real processes that are killed or stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.daemon.lease import Lease, LeaseLostError
from tests.support.waiting import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def leases(tmp_path: Path) -> Iterator[list[Lease]]:
    """Leases of one directory to be given back at the end."""
    found: list[Lease] = []
    yield found
    for lease in found:
        lease.give_back()


def held(directory: Path, leases: list[Lease], *, ttl: float = 15) -> Lease:
    lease = Lease(directory, ttl=ttl)
    leases.append(lease)
    assert lease.take()
    return lease


def test_the_first_one_takes_it(tmp_path: Path, leases: list[Lease]) -> None:
    lease = held(tmp_path, leases)
    lease.check()
    current = lease.current()
    assert current is not None
    assert (current.pid, current.token) == (os.getpid(), 1)


def test_a_second_one_does_not_get_it(tmp_path: Path, leases: list[Lease]) -> None:
    held(tmp_path, leases)
    assert not Lease(tmp_path).take()


def test_who_does_not_hold_it_may_not_write(tmp_path: Path) -> None:
    with pytest.raises(LeaseLostError):
        Lease(tmp_path).check()


def test_it_is_free_as_soon_as_it_is_given_back(tmp_path: Path, leases: list[Lease]) -> None:
    held(tmp_path, leases).give_back()
    second = held(tmp_path, leases)
    assert second.holder is not None
    assert second.holder.token == 2


def test_one_that_stands_still_is_taken_over_after_its_time(tmp_path: Path, leases: list[Lease]) -> None:
    first = held(tmp_path, leases, ttl=3600)
    clock = Clock()
    second = Lease(tmp_path, ttl=30, monotonic=clock)
    leases.append(second)
    assert not second.take()
    clock.now = 29
    assert not second.take()
    clock.now = 31
    assert second.take()
    with pytest.raises(LeaseLostError, match="took it"):
        first.check()


def test_renewing_keeps_it(tmp_path: Path, leases: list[Lease]) -> None:
    first = held(tmp_path, leases, ttl=0.3)
    clock = Clock()
    second = Lease(tmp_path, ttl=30, monotonic=clock)
    assert not second.take()
    before = first.current()
    eventually(lambda: first.current() != before, what="a renewal")
    clock.now = 31
    assert not second.take()


def test_who_could_not_renew_stops_before_others_may_begin(tmp_path: Path, leases: list[Lease]) -> None:
    clock = Clock()
    lease = Lease(tmp_path, ttl=3600, monotonic=clock)
    leases.append(lease)
    assert lease.take()
    clock.now = 2401
    with pytest.raises(LeaseLostError, match="could not be renewed"):
        lease.check()


def test_giving_back_what_was_lost_takes_nothing_from_the_next_one(
    tmp_path: Path, leases: list[Lease]
) -> None:
    clock = Clock()
    first = held(tmp_path, leases, ttl=3600)
    second = Lease(tmp_path, ttl=1, monotonic=clock)
    leases.append(second)
    second.take()
    clock.now = 2
    assert second.take()
    first.give_back()
    clock.now = 2.1
    second.check()


def test_a_damaged_file_is_no_lease_and_its_token_is_not_given_again(
    tmp_path: Path, leases: list[Lease]
) -> None:
    held(tmp_path, leases)
    (tmp_path / "lease.json").write_text("{")
    second = held(tmp_path, leases)
    assert second.holder is not None
    assert second.holder.token == 2


HOLDER = """
import sys, time
from pathlib import Path
from reconciler.daemon.lease import Lease, LeaseLostError
lease = Lease(Path(sys.argv[1]), ttl=float(sys.argv[2]))
assert lease.take()
print("held", flush=True)
try:
    while True:
        lease.check()
        time.sleep(0.02)
except LeaseLostError:
    print("lost", flush=True)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease of tmp_path and says so."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), "1.5"], stdout=subprocess.PIPE, text=True
    ) as found:
        try:
            assert found.stdout is not None
            assert found.stdout.readline() == "held\n"
            yield found
        finally:
            found.kill()


def test_a_killed_process_gives_it_up_at_once(
    process: subprocess.Popen[str], tmp_path: Path, leases: list[Lease]
) -> None:
    second = Lease(tmp_path, ttl=3600)
    leases.append(second)
    assert not second.take()
    process.kill()
    process.wait()
    assert second.take()


def test_a_process_that_hangs_is_taken_over_and_stops_when_it_wakes(
    process: subprocess.Popen[str], tmp_path: Path, leases: list[Lease]
) -> None:
    process.send_signal(signal.SIGSTOP)
    second = Lease(tmp_path, ttl=1.5)
    leases.append(second)
    eventually(second.take, what="the take-over")
    process.send_signal(signal.SIGCONT)
    assert process.stdout is not None
    assert process.stdout.readline() == "lost\n"
    second.check()
