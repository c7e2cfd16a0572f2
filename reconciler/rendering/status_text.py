"""The control API's status → what runs, for people: services, certificates, and what waits for a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from reconciler.rendering.table import table
from reconciler.rendering.text import Paint, count, painter, printable

Json = Mapping[str, Any]

_HEAD = ("SERVICE", "STATE", "STARTUP", "GEN", "PID", "SESSIONS", "LISTENING")
_NONE, _SOON = timedelta(0), timedelta(days=30)
_STATES = {"running": "green", "failed": "red", "stopped": "dim"}


def render_status_text(status: Json, *, now: datetime, colour: bool, width: int | None) -> str:
    """`status`: the answer of GET /v1/status. Keys that it lacks are shown as a dash. `width` None: nothing is cut.
    Certificates that end soon after `now` stand out."""
    paint = painter(colour=colour)
    services = [service for server in status.get("servers", ()) for service in server.get("services", ())]
    sections = [
        [_runtime(status.get("runtime") or {}, status, paint)],
        _hosts(status, paint),
        _services(services, paint, width),
        _certificates(status, paint, now, width),
        _pending(services, paint),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _runtime(runtime: Json, status: Json, paint: Paint) -> str:
    state = _cell(runtime, "state")
    facts = [f"pid {_cell(runtime, 'pid')}", f"version {_cell(runtime, 'version')}"]
    if started := runtime.get("startedAt"):
        facts.append(f"since {printable(str(started))}")
    facts.append(count(int(status.get("sessions") or 0), "session"))
    return f"Runtime {paint(state, _STATES.get(state, 'yellow'))}: {', '.join(facts)}"


def _hosts(status: Json, paint: Paint) -> list[str]:
    lines = [
        f"  {printable(str(server.get('name')))}: {', '.join(_host(host) for host in server.get('hosts', ()))}"
        for server in status.get("servers", ())
    ]
    return [paint("Servers", "bold"), *lines] if lines else ["No server is configured."]


def _host(host: Json) -> str:
    restarts = host.get("restarts") or 0
    again = f", started again {count(int(restarts), 'time')}" if restarts else ""
    return f"{_cell(host, 'role')} host {_cell(host, 'state')} (pid {_cell(host, 'pid')}{again})"


def _services(services: list[Json], paint: Paint, width: int | None) -> list[str]:
    if not services:
        return []
    head, *lines = table([_HEAD, *(_service(service) for service in services)], columns=width, indent="  ")
    shown = [paint("Services", "bold"), paint(head, "dim")]
    for service, line in zip(services, lines, strict=True):
        state = _cell(service, "state")
        shown.append(line.replace(f" {state} ", f" {paint(state, _STATES.get(state, 'yellow'))} ", 1))
        if service.get("lastError"):
            shown.append(f"      {paint('error:', 'red')} {printable(str(service['lastError']))}")
    return shown


def _service(service: Json) -> tuple[str, ...]:
    draining = service.get("drainingSessions") or 0
    sessions = _cell(service, "sessions") + (f" (+{draining} draining)" if draining else "")
    cells = [_cell(service, key) for key in ("id", "state", "startupType", "generation", "pid")]
    return (*cells, sessions, ", ".join(_address(item) for item in service.get("listening", ())) or "-")


def _address(listening: Json) -> str:
    tls = listening.get("tls") or "none"
    return _cell(listening, "address") + ("" if tls == "none" else f" {printable(str(tls))}")


def _certificates(status: Json, paint: Paint, now: datetime, width: int | None) -> list[str]:
    found = [(server, one) for server in status.get("servers", ()) for one in server.get("certificates", ())]
    if not found:
        return []
    rows = [_certificate(_cell(server, "name"), one, now) for server, one in found]
    shown = [paint("Certificates", "bold")]
    for (_, one), line in zip(found, table(rows, columns=width, indent="  "), strict=True):
        left = _time_left(one, now)
        shown.append(
            line if left is None or left > _SOON else paint(line, "yellow" if left > _NONE else "red")
        )
        if one.get("error"):
            shown.append(f"      {paint('error:', 'red')} {printable(str(one['error']))}")
    return shown


def _certificate(server: str, one: Json, now: datetime) -> tuple[str, ...]:
    until, left = f"until {_cell(one, 'notAfter')}", _time_left(one, now)
    if left is not None and left <= _SOON:
        until += f" ({count(left.days, 'day')} left)" if left > _NONE else " (ended)"
    services = ",".join(printable(str(service)) for service in one.get("services", ()))
    names = ", ".join(printable(str(name)) for name in one.get("subjectAlternativeNames", ()))
    return f"{server}/{_cell(one, 'name')}", until, services or "-", names or "-"


def _time_left(certificate: Json, now: datetime) -> timedelta | None:
    end = certificate.get("notAfter")
    return datetime.fromisoformat(str(end)) - now if end else None


def _pending(services: list[Json], paint: Paint) -> list[str]:
    lines = [line for service in services if service.get("pending") for line in _waits(service)]
    return [paint("Waiting for a restart", "bold"), *lines] if lines else []


def _waits(service: Json) -> Iterator[str]:
    pending: Json = service["pending"]
    yield f"  {_cell(pending, 'action')} {_cell(service, 'id')}"
    for cause in pending.get("causes", ()):
        fields = ", ".join(printable(str(field)) for field in cause.get("fields", ())) or "the whole resource"
        yield f"      because {_cell(cause, 'kind')}/{_cell(cause, 'name')} changed: {fields}"


def _cell(of: Json, key: str) -> str:
    found = of.get(key)
    return "-" if found is None or found == "" else printable(str(found))
