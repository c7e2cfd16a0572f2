"""/metrics, /healthz and /readyz over HTTP, fed with notices."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon import notices
from reconciler.daemon.endpoint import Endpoint, parse_address
from reconciler.daemon.events import event_of
from reconciler.daemon.metrics import Metrics
from reconciler.model import Action, Change, Diagnostic, Key, Plan, Position, Severity

IMAP = Key("ImapSettings", "ex01")


class Watched:
    """Metrics behind an endpoint, with a clock of the test's own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.metrics = Metrics(longest_silence=60, clock=lambda: self.now)
        self.endpoint = Endpoint("127.0.0.1", 0, self.metrics)

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.endpoint.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def end_round(self, *, is_success: bool = True, plan: Plan | None = None, **facts: Any) -> None:
        drifted = frozenset(change.key for change in plan.changes) if plan else frozenset()
        self.metrics.take(notices.RoundEnded(0.1, is_success, plan, drifted, declared=3, **facts))


@pytest.fixture
def watched() -> Iterator[Watched]:
    found = Watched()
    yield found
    found.endpoint.close()


def test_it_is_not_ready_before_the_first_round(watched: Watched) -> None:
    watched.metrics.take(notices.Leading(1))
    assert watched.get("/readyz")[0] == 503
    watched.end_round()
    assert watched.get("/readyz") == (200, '{"ok": true, "reasons": []}\n')


def test_a_standby_is_healthy_and_not_ready(watched: Watched) -> None:
    watched.metrics.take(notices.Standby("process 1"))
    assert watched.get("/healthz")[0] == 200
    assert watched.get("/readyz")[0] == 503


def test_broken_files_are_unhealthy_until_a_good_round(watched: Watched) -> None:
    problem = Diagnostic("unknown-key", Severity.ERROR, "unknown key max")
    watched.metrics.take(notices.Broken((problem,), {}))
    watched.end_round(is_success=False, has_good_files=False)
    status, text = watched.get("/healthz")
    assert status == 503
    assert json.loads(text)["reasons"] == ["the files are broken: unknown key max"]
    watched.end_round()
    assert watched.get("/healthz")[0] == 200


def test_broken_files_are_told_with_their_place(watched: Watched) -> None:
    place = Position(Path("estate/imap.yaml"), 7, 3)
    problem = Diagnostic("unknown-key", Severity.ERROR, "unknown key max", place)
    watched.metrics.take(notices.Broken((problem,), {}))
    reasons = json.loads(watched.get("/healthz")[1])["reasons"]
    assert reasons == ["the files are broken: estate/imap.yaml:7:3: unknown key max"]


def test_of_many_problems_the_cause_is_told(watched: Watched) -> None:
    problems = (
        Diagnostic("not-read", Severity.WARNING, "nothing reads this file"),
        Diagnostic("port-clash", Severity.ERROR, "143 clashes with 143"),
        Diagnostic("range", Severity.ERROR, "too large"),
    )
    broken = notices.Broken(problems, {})
    watched.metrics.take(broken)
    assert json.loads(watched.get("/healthz")[1])["reasons"] == ["the files are broken: too large"]
    event = event_of(broken)
    assert event is not None
    assert event.text.endswith(": too large")
    assert [one["code"] for one in event.data["diagnostics"]] == ["range", "port-clash", "not-read"]


def test_a_configuration_that_was_rolled_back_is_unhealthy_as_long_as_it_is_declared(
    watched: Watched,
) -> None:
    for _ in range(2):
        watched.end_round(is_success=False, barred="it was rolled back (a port is taken)")
    status, text = watched.get("/healthz")
    assert (status, "a port is taken" in text) == (503, True)
    assert "reconciler_configuration_barred 1.0" in watched.get("/metrics")[1]
    watched.end_round()
    assert watched.get("/healthz")[0] == 200
    assert "reconciler_configuration_barred 0.0" in watched.get("/metrics")[1]


def test_a_guardrail_is_unhealthy_until_a_good_round(watched: Watched) -> None:
    problem = Diagnostic("open-relay", Severity.ERROR, "an open relay")
    watched.metrics.take(notices.Blocked((problem,), {}))
    watched.end_round(is_success=False)
    assert "an open relay" in watched.get("/healthz")[1]
    watched.end_round()
    assert watched.get("/healthz")[0] == 200


def test_another_environment_is_told_as_that(watched: Watched) -> None:
    problem = Diagnostic("other-environment", Severity.ERROR, "it was applied from production")
    watched.metrics.take(notices.Blocked((problem,), {}))
    assert json.loads(watched.get("/healthz")[1])["reasons"] == [
        "the state belongs to another environment: it was applied from production"
    ]


def test_a_runtime_that_does_not_answer_is_unhealthy(watched: Watched) -> None:
    watched.metrics.take(notices.Failed("no runtime runs", 2.0))
    assert "no runtime runs" in watched.get("/healthz")[1]


def test_a_fetch_that_fails_is_unhealthy_until_one_works(watched: Watched) -> None:
    watched.metrics.take(notices.Fetched("origin"))
    watched.now += 60
    watched.metrics.take(notices.FetchFailed("git fetch origin: no route to host", 60, 1))
    watched.end_round()
    status, text = watched.get("/healthz")
    assert status == 503
    assert json.loads(text)["reasons"] == ["what is declared may be old: git fetch origin: no route to host"]
    figures = watched.get("/metrics")[1]
    assert "reconciler_fetch_failures_total 1.0" in figures
    assert "reconciler_fetch_last_success_timestamp_seconds 1000.0" in figures
    watched.metrics.take(notices.Fetched("origin", failures=1))
    assert watched.get("/healthz")[0] == 200
    assert "reconciler_fetch_last_success_timestamp_seconds 1060.0" in watched.get("/metrics")[1]


def test_a_fetch_is_worth_a_word_when_it_did_not_work_before() -> None:
    assert event_of(notices.Fetched("origin")) is None
    event = event_of(notices.Fetched("origin", failures=2))
    assert event is not None
    assert event.text == "git fetch origin works again, after 2 failures"


def test_silence_is_unhealthy(watched: Watched) -> None:
    watched.end_round()
    watched.now += 61
    assert watched.get("/healthz")[0] == 503


def test_metrics_count_drift_by_kind(watched: Watched) -> None:
    change = Change(IMAP, Action.UPDATE, (), 1, None)
    watched.end_round(plan=Plan("d" * 64, (change,), (), {}))
    text = watched.get("/metrics")[1]
    assert 'reconciler_drifted_resources{kind="ImapSettings"} 1.0' in text
    assert "reconciler_declared_resources 3.0" in text
    assert 'reconciler_rounds_total{outcome="good"} 1.0' in text
    watched.end_round(plan=Plan("d" * 64, (), (), {}))
    assert 'kind="ImapSettings"' not in watched.get("/metrics")[1]


def test_another_path_is_not_found(watched: Watched) -> None:
    assert watched.get("/v1/resources")[0] == 404


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80)), ("80", ("127.0.0.1", 80))],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "localhost", "127.0.0.1:http", "127.0.0.1:99999"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        parse_address(text)


def test_ipv6_loopback_is_served() -> None:
    try:
        endpoint = Endpoint("::1", 0, Metrics())
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    endpoint.close()


def test_every_notice_can_be_taken(watched: Watched, tmp_path: Path) -> None:
    for notice in (notices.Stopping(), notices.Revision("origin/main", "a" * 40), notices.Unchanged()):
        watched.metrics.take(notice)
