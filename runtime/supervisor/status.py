"""What `GET /v1/status` answers: servers, hosts, services, sessions, certificates, and what is owed. Changes
nothing."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version as distribution_version
from typing import Any

from runtime.supervisor.blueprint import ServerResources
from runtime.supervisor.certificates import paths, read_facts
from runtime.supervisor.host_keeper import HostKeeper
from runtime.supervisor.host_process import HostError
from runtime.supervisor.layout import Layout, UnsafeNameError
from runtime.supervisor.service_control import ServiceControl
from runtime.supervisor.supervisor import ROLES, Supervisor
from schemas.v1.certificate import Certificate
from schemas.v1.services import SERVICES

#: A host that does not answer in this time is shown without its sessions. Seconds.
_REPORT_TIMEOUT = 2.0


class Sessions:
    """Sessions by service id: those of current generations, those that drain, and those that a limit turned away."""

    def __init__(self) -> None:
        self.current: Counter[str] = Counter()
        self.draining: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def add(self, server: str, report: dict[str, Any]) -> None:
        """Count what one host reports."""
        for service, count in report["services"].items():
            self.current[f"{server}/{service}"] += count
        for one in report["draining"]:
            self.draining[f"{server}/{one['service']}"] += one["sessions"]
        for service, count in report["refused"].items():
            self.refused[f"{server}/{service}"] += count


def version() -> str:
    """The version of this program."""
    return distribution_version("reconciler")


async def status(supervisor: Supervisor) -> dict[str, Any]:
    """The whole status as JSON values."""
    sessions = await _sessions(supervisor)
    controls = supervisor.services()
    servers = [_server(supervisor, name, controls, sessions) for name in _names(controls)]
    services = [service for server in servers for service in server["services"]]
    return {
        "runtime": {
            "pid": os.getpid(),
            "instance": supervisor.store.instance,
            "version": version(),
            "startedAt": supervisor.started_at,
            "state": supervisor.state,
            "epoch": supervisor.store.epoch,
        },
        "servers": servers,
        "sessions": sum(one["sessions"] for one in services if _is_front_end(one["service"])),
        "pendingRestarts": [service["id"] for service in services if service["pending"]],
    }


def _is_front_end(service: str) -> bool:
    """A client's session shows on its front end and again on its back end; it is one session."""
    return SERVICES[service].host_role == "frontend"


async def _sessions(supervisor: Supervisor) -> Sessions:
    keepers = list(supervisor.keepers.items())
    reports = await asyncio.gather(*(_report(keeper) for _, keeper in keepers))
    sessions = Sessions()
    for ((server, _), _keeper), report in zip(keepers, reports, strict=True):
        if report is not None:
            sessions.add(server, report)
    return sessions


async def _report(keeper: HostKeeper) -> dict[str, Any] | None:
    if keeper.host is None or not keeper.host.is_running or keeper.state != "running":
        return None
    try:
        return await keeper.host.request("report", timeout=_REPORT_TIMEOUT)
    except HostError:
        # It is just dying, or too busy: the state of its services says so.
        return None


def _names(controls: Iterable[ServiceControl]) -> list[str]:
    return list(dict.fromkeys(control.server for control in controls))


def _server(
    supervisor: Supervisor, name: str, controls: Iterable[ServiceControl], sessions: Sessions
) -> dict[str, Any]:
    live = supervisor.resources(name)
    return {
        "name": name,
        "hosts": [_host(supervisor.keeper(name, role)) for role in reversed(ROLES)],
        "services": [_service(one, live, sessions) for one in controls if one.server == name],
        "certificates": [
            _certificate(supervisor.layout, name, certificate, spec)
            for certificate, spec in live.certificates.items()
        ],
    }


def _host(keeper: HostKeeper) -> dict[str, Any]:
    return {
        "role": keeper.command.role,
        "pid": keeper.host.pid if keeper.host is not None and keeper.host.is_running else None,
        "state": keeper.state,
        "restarts": keeper.restarts,
    }


def _service(control: ServiceControl, live: ServerResources, sessions: Sessions) -> dict[str, Any]:
    owed = control.owed(live)
    return {
        "id": control.id,
        "server": control.server,
        "service": control.service,
        "startupType": live.startup_type(control.service),
        "state": control.state,
        "generation": control.generation,
        "pid": control.pid,
        "listening": _listening(control),
        "sessions": sessions.current[control.id],
        "drainingSessions": sessions.draining[control.id],
        "refusedConnections": sessions.refused[control.id],
        "pending": owed.to_json() if owed else None,
        "lastError": control.last_error(live),
    }


def _listening(control: ServiceControl) -> list[dict[str, str]]:
    held = control.context.sockets.held(control.id)
    blueprint = control.running
    pairs = zip(blueprint.addresses, blueprint.listeners, strict=True) if blueprint else ()
    return [
        {"address": str(address), "tls": listener.tls, "purpose": listener.purpose}
        for address, listener in pairs
        if address in held
    ]


def _certificate(layout: Layout, server: str, name: str, spec: Certificate) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": name,
        "services": sorted(str(one) for one in spec.services),
        "error": None,
    }
    try:
        file, _ = paths(layout, server=server, name=name, spec=spec)
        shown["file"] = str(file)
        facts = read_facts(file)
    except (OSError, ValueError, UnsafeNameError) as error:
        # Not made yet, or not readable; whoever starts a service with it gets the full sentence.
        return {
            **shown,
            "thumbprint": None,
            "notAfter": None,
            "subjectAlternativeNames": [],
            "error": str(error),
        }
    return {
        **shown,
        "thumbprint": facts.thumbprint,
        "notAfter": facts.not_after.isoformat().replace("+00:00", "Z"),
        "subjectAlternativeNames": list(facts.subject_alternative_names),
        "error": facts.error,
    }
