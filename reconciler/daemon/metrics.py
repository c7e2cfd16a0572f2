"""What the daemon counts, for Prometheus, and whether it is healthy. Fed with notices; asked by `endpoint`.

Healthy: the last round ended well, and not too long ago. Each reason to the contrary is a sentence.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable
from functools import singledispatchmethod

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from reconciler.daemon import notices
from reconciler.declared.rules import causes_first
from reconciler.model import Plan

#: Seconds that rounds take: from a no-op to an apply with restarts.
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The state of one daemon. `longest_silence`: seconds without a finished round that are too many (None: any)."""

    def __init__(
        self, *, longest_silence: float | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._longest_silence = longest_silence
        self._failure: str | None = None
        self._broken: str | None = None
        self._barred: str | None = None
        self._blocked: str | None = None
        self._unfetched: str | None = None
        self._is_standby = False
        self._is_leading = False
        self._ended_at: float | None = None
        self._started_at = clock()
        ProcessCollector(registry=self.registry)
        self._make()

    def _make(self) -> None:
        self._rounds = self._counter("rounds", "Rounds, by how they ended.", "outcome")
        self._seconds = Histogram(
            "reconciler_round_seconds", "How long rounds took.", buckets=_BUCKETS, registry=self.registry
        )
        self._applies = self._counter("applies", "Applies, by how they ended.", "outcome")
        self._heals = self._counter("heals", "Resources whose drift was healed.", "kind")
        self._failures = self._counter("failures", "Rounds that could not be done.", "expected")
        self._flaps = self._counter("flapping", "Resources that were left alone for flapping.", "kind")
        self._fetches = self._counter("fetch_failures", "Fetches of the git reference that failed.")
        self._fetched_at = self._gauge(
            "fetch_last_success_timestamp_seconds", "When the git reference was last fetched; 0: never."
        )
        self.deliveries = self._counter(
            "webhook_deliveries", "Webhook messages, by what became of them.", "outcome"
        )
        self._last_success = self._gauge("last_success_timestamp_seconds", "When a round last ended well.")
        self._is_good = self._gauge("configuration_good", "1 while the files can be applied.")
        self._is_barred = self._gauge(
            "configuration_barred", "1 while a configuration that was rolled back is not applied again."
        )
        self._declared = self._gauge("declared_resources", "Resources that the files declare.")
        self._drift = self._gauge("drifted_resources", "Resources that live differs in by hand.", "kind")
        self._pending = self._gauge("pending_changes", "Changes of the files that are not live yet.", "kind")
        self._owed = self._gauge("pending_services", "Services that wait for their configuration.")
        self._unreadable = self._gauge("unreadable_resources", "Live resources that could not be read.")
        self._uncompared = self._gauge("uncompared_secrets", "Declared secrets that cannot be opened here.")
        self._left = self._gauge("left_alone", "Resources and services that healing leaves alone.")
        self._leading = self._gauge("leading", "1 while this daemon holds the lease.")
        self._token = self._gauge("lease_token", "The fencing token of the lease.")

    def exposition(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self.registry)

    def unhealthy(self) -> list[str]:
        """Every reason not to trust this daemon now; none when it stands by."""
        if self._is_standby:
            return []
        reasons = (self._failure, self._broken, self._barred, self._blocked, self._unfetched)
        found = [reason for reason in reasons if reason]
        silent = self._clock() - (self._ended_at or self._started_at)
        if self._longest_silence is not None and silent > self._longest_silence:
            found.append(f"no round has ended for {silent:.0f} seconds")
        return found

    def unready(self) -> list[str]:
        """Why it does not work yet."""
        if not self._is_leading:
            return ["another daemon works on this state; this one stands by"]
        return [] if self._ended_at else ["the first round has not ended yet"]

    @singledispatchmethod
    def take(self, notice: object) -> None:
        """Count a notice; those without a number are none of its business."""

    @take.register
    def _(self, notice: notices.RoundEnded) -> None:
        self._rounds.labels("good" if notice.is_success else "bad").inc()
        self._seconds.observe(notice.seconds)
        self._ended_at = self._clock()
        self._failure = None
        self._barred = notice.barred and f"the configuration is not applied: {notice.barred}"
        self._is_barred.set(notice.barred is not None)
        if notice.has_good_files:
            self._broken = None
            self._is_good.set(1)
        if notice.is_success:
            self._blocked = None
            self._last_success.set(self._ended_at)
        self._declared.set(notice.declared)
        self._left.set(len(notice.left_alone))
        if notice.plan is not None:
            self._set_plan(notice.plan, notice)

    def _set_plan(self, plan: Plan, notice: notices.RoundEnded) -> None:
        drifted = Tally(key.kind for key in notice.drifted)
        changed = Tally(change.key.kind for change in plan.changes)
        for gauge, counts in ((self._drift, drifted), (self._pending, changed - drifted)):
            gauge.clear()
            for kind, count in counts.items():
                gauge.labels(kind).set(count)
        self._owed.set(len(plan.owed))
        self._unreadable.set(len(plan.unreadable))
        self._uncompared.set(len(plan.uncompared))

    @take.register
    def _(self, notice: notices.Applied) -> None:
        self._applies.labels("applied" if notice.report.is_success else "failed").inc()
        if notice.report.is_success:
            for key in notice.drifted:
                self._heals.labels(key.kind).inc()

    @take.register
    def _(self, notice: notices.Broken) -> None:
        self._is_good.set(0)
        first = causes_first(notice.diagnostics)[0]
        where = f"{first.position}: " if first.position and first.position.line else ""
        self._broken = f"the files are broken: {where}{first.message}"

    @take.register
    def _(self, notice: notices.Blocked) -> None:
        why = notice.why[0].lower() + notice.why[1:]
        self._blocked = f"{why}: {causes_first(notice.diagnostics)[0].message}"

    @take.register
    def _(self, notice: notices.Failed) -> None:
        self._failures.labels("no" if notice.trace else "yes").inc()
        self._failure = notice.error

    @take.register
    def _(self, notice: notices.Flapping) -> None:
        self._flaps.labels(notice.key.kind).inc()

    @take.register
    def _(self, notice: notices.Fetched) -> None:
        self._fetched_at.set(self._clock())
        self._unfetched = None

    @take.register
    def _(self, notice: notices.FetchFailed) -> None:
        self._fetches.inc()
        self._unfetched = f"what is declared may be old: {notice.error}"

    @take.register
    def _(self, notice: notices.Standby) -> None:
        self._is_standby = True
        self._leading.set(0)

    @take.register
    def _(self, notice: notices.Leading) -> None:
        self._is_standby, self._is_leading = False, True
        self._started_at = self._clock()
        self._leading.set(1)
        self._token.set(notice.token)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"reconciler_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"reconciler_{name}", text, labels, registry=self.registry)
