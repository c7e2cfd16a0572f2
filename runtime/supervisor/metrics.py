"""The status as Prometheus metrics. A leaf: it takes the status and returns text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_SERVICE = ("server", "service")
_GAUGES = {
    "reconciler_sessions": ("Sessions of the current generation.", "sessions"),
    "reconciler_draining_sessions": ("Sessions of generations that drain.", "drainingSessions"),
    "reconciler_service_generation": ("Generation that serves.", "generation"),
}


class _StatusCollector(Collector):
    """Metrics of one status value."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        services = [service for server in self._status["servers"] for service in server["services"]]
        for name, (text, key) in _GAUGES.items():
            yield _gauge(name, text, [(one, one[key]) for one in services])
        yield _gauge(
            "reconciler_service_up", "1 while it serves.", [(o, o["state"] == "running") for o in services]
        )
        owed = [(one, one["pending"] is not None) for one in services]
        yield _gauge("reconciler_service_pending", "1 while live configuration waits for it.", owed)
        yield self._refused(services)
        yield self._restarts()
        epoch = self._status["runtime"]["epoch"]
        yield GaugeMetricFamily("reconciler_epoch", "Revision of the latest write.", value=epoch)

    def _refused(self, services: Sequence[dict[str, Any]]) -> Metric:
        family = CounterMetricFamily(
            "reconciler_refused_connections", "Turned away by a connection limit.", labels=list(_SERVICE)
        )
        for service in services:
            family.add_metric([service[label] for label in _SERVICE], service["refusedConnections"])
        return family

    def _restarts(self) -> Metric:
        family = CounterMetricFamily(
            "reconciler_host_restarts", "Hosts started again.", labels=["server", "role"]
        )
        for server in self._status["servers"]:
            for host in server["hosts"]:
                family.add_metric([server["name"], host["role"]], host["restarts"])
        return family


def _gauge(name: str, text: str, values: Sequence[tuple[dict[str, Any], float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(_SERVICE))
    for service, value in values:
        family.add_metric([service[label] for label in _SERVICE], value)
    return family


def render(status: dict[str, Any]) -> bytes:
    """The exposition text of a status."""
    registry = CollectorRegistry()
    registry.register(_StatusCollector(status))
    return generate_latest(registry)
