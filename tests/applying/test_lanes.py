"""Several servers at once, one step after the other on each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from reconciler.applying import batches
from reconciler.applying.lanes import by_lane, run_lanes, shared_out
from reconciler.model import Desired, Key, Resource
from reconciler.targets.target import RejectedError, ServiceError
from schemas.v1.codec import parse_spec
from tests.applying.builders import Bench, outcomes, resource, server

SERVERS = ("ex01", "ex02", "ex03")


def several(*, imap: int = 16, names: tuple[str, ...] = SERVERS) -> Desired:
    found: dict[Key, Resource] = {}
    for name in names:
        for key, spec in (
            (Key("Server", name), server({"pop3": "Manual"})),
            (Key("ImapSettings", name), parse_spec("ImapSettings", {"maxConnectionsPerUser": imap})),
        ):
            found[key] = resource(key, spec)
    return Desired(found, digest="d" * 64)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, parallelism=4)


def limits(bench: Bench) -> set[object]:
    return {bench.limit(Key("ImapSettings", name)) for name in SERVERS}


def test_everything_of_several_servers_becomes_live(bench: Bench) -> None:
    report = bench.apply(several(imap=32))
    assert report.is_success
    assert limits(bench) == {32}
    assert bench.pending() == {}


def test_back_ends_of_all_servers_are_restarted_before_the_first_front_end(bench: Bench) -> None:
    bench.applied(several()).apply(several(imap=32))
    half = len(bench.target.converged) // 2
    assert all(service.endswith("imap4-backend") for service in bench.target.converged[:half])
    assert all(service.endswith("imap4") for service in bench.target.converged[half:])


def test_a_failure_on_one_server_takes_back_all(bench: Bench) -> None:
    bench.applied(several()).target.before["ex02/imap4"] = [ServiceError("the port is taken")]
    report = bench.apply(several(imap=32))
    assert not report.is_success
    assert limits(bench) == {16}
    assert bench.pending() == {}


def test_a_write_that_fails_on_one_server_takes_back_all(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST", 1)
    bench.applied(several()).target.before["ImapSettings/ex02"] = [RejectedError("ImapSettings/ex02", "no")]
    report = bench.apply(several(imap=32))
    assert outcomes(report)["ImapSettings/ex02"] == "failed"
    assert limits(bench) == {16}


def test_a_failed_probe_on_one_server_takes_back_all(bench: Bench) -> None:
    bench.applied(several()).probes.failing = ["ex03/imap4"]
    assert not bench.apply(several(imap=32)).is_success
    assert limits(bench) == {16}


def test_the_counts_are_exact_whatever_goes_on_at_once(bench: Bench) -> None:
    bench.applied(several()).target.before["ex02/imap4"] = [ServiceError("the port is taken")]
    report = bench.apply(several(imap=32))
    assert len(report.steps) == 9
    assert {step.outcome.value for step in report.steps} <= {"rolled back", "failed", "not reached"}


def test_lanes_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def lane(_: Callable[[], bool]) -> None:
        meeting.wait()

    run_lanes([lane, lane], parallelism=2)


def test_no_more_lanes_run_than_allowed() -> None:
    running, most = set[int](), []
    lock = threading.Lock()

    def lane(number: int, _: Callable[[], bool]) -> None:
        with lock:
            running.add(number)
            most.append(len(running))
        with lock:
            running.discard(number)

    run_lanes([partial(lane, number) for number in range(20)], parallelism=2)
    assert max(most) <= 2
    assert len(most) == 20


def test_the_first_error_halts_the_others_and_is_raised() -> None:
    seen: list[bool] = []
    failed = threading.Event()

    def failing(_: Callable[[], bool]) -> None:
        failed.set()
        raise ValueError("no")

    def going_on(is_halted: Callable[[], bool]) -> None:
        failed.wait(10)
        while not is_halted():
            pass
        seen.append(True)

    with pytest.raises(ValueError, match="no"):
        run_lanes([going_on, failing], parallelism=2)
    assert seen == [True]


def test_lanes_are_shared_out_whole_and_evenly() -> None:
    lanes = by_lane(["a1", "b1", "a2", "c1", "a3"], lambda item: item[0])
    assert sorted(shared_out(lanes, parallelism=2)) == [["a1", "a2", "a3"], ["b1", "c1"]]
