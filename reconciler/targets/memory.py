"""A target in memory: the same revisions, conflicts, versions and pending services as the runtime, without mail.

For tests, and for trying a plan against a state that exists nowhere. It keeps secrets as keyed digests only. Its
services are what `schemas.v1.effects` says they are: a service runs on the resources it was last converged on, and is
pending when the live ones differ in a field that matters to it.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from pydantic import JsonValue

from reconciler.model import Absent, Key, LiveState, Observed, Present, ServiceState
from reconciler.secret import SecretValue
from reconciler.targets.target import (
    NONE_KNOWN,
    Attribution,
    ConflictError,
    Converged,
    HealthMailbox,
    Json,
    Method,
    ServiceError,
)
from schemas.v1.base import Impact, Spec
from schemas.v1.effects import effects
from schemas.v1.server import Server
from schemas.v1.services import SERVICES

Version = Present | None


@dataclass(slots=True)
class _Running:
    """One service: its generation (0: never started) and the specs it was built from."""

    generation: int = 0
    is_running: bool = False
    specs: Mapping[Key, Spec] = field(default_factory=dict)


class MemoryTarget:
    """A whole live configuration in dictionaries. Not safe for use from several threads."""

    def __init__(self) -> None:
        self._live: dict[Key, Present] = {}
        self._versions: dict[tuple[Key, int], Present] = {}
        self._running: dict[str, _Running] = {}
        self._epoch = 0
        self._digest_key = randomness.token_bytes(32)

    def observe(self, known: Mapping[Key, Spec] = NONE_KNOWN) -> LiveState:  # noqa: ARG002 - all is checked already
        """A copy of everything."""
        resources: dict[Key, Observed] = dict(self._live)
        return LiveState(resources=resources, services={state.service: state for state in self._services()})

    def read(self, key: Key) -> Observed:
        """One live resource."""
        return self._live.get(key) or Absent()

    def digest_key(self) -> bytes:
        """Made anew with each target."""
        return self._digest_key

    def health_mailbox(self, server: str) -> HealthMailbox:
        """An address that nobody can log on with: there is no mail here."""
        return HealthMailbox(f"health@{server}", SecretValue(""), None)

    def status(self) -> Json:
        """The same shape as the runtime's, with services that listen nowhere."""
        states = list(self._services())
        servers: list[JsonValue] = [
            {
                "name": name,
                "hosts": [],
                "certificates": [],
                "services": [self._service_json(s) for s in states if _server(s) == name],
            }
            for name in sorted({_server(state) for state in states})
        ]
        pending: list[JsonValue] = [state.service for state in states if state.pending]
        return {
            "runtime": {"state": "running"},
            "servers": servers,
            "sessions": 0,
            "pendingRestarts": pending,
        }

    def write(
        self,
        key: Key,
        spec: Spec,
        *,
        secrets: Mapping[str, SecretValue | None],
        expect: int | None,
        by: Attribution,
    ) -> int:
        """Create or replace, by compare-and-swap."""
        current = self._expect(key, expect)
        digests = dict(current.secrets) if current else {}
        for path, value in secrets.items():
            digests.pop(path, None)
            if value is not None:
                digests[path] = value.digest(self._digest_key)
        return self._put(key, Present(spec=spec, revision=0, secrets=digests), by)

    def delete(self, key: Key, *, expect: int, by: Attribution) -> None:  # noqa: ARG002 - nothing keeps who deleted
        """Remove the resource, by compare-and-swap."""
        self._expect(key, expect)
        self._epoch += 1
        del self._live[key]

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        """Bring an old version back as a new revision."""
        if revision is None:
            if expect is not None:
                self.delete(key, expect=expect, by=by)
            return
        self._expect(key, expect)
        self._put(key, self._versions[key, revision], by)

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:  # noqa: ARG002 - no log, one way
        """Run the live configuration from now on."""
        if service not in self._service_ids():
            raise ServiceError(f"{service} cannot be restarted: no such service is live")
        running = self._running.setdefault(service, _Running())
        running.is_running = self._startup_type(service) == "Automatic"
        running.generation += running.is_running
        running.specs = {key: live.spec for key, live in self._live.items()}
        return Converged(service, "running" if running.is_running else "stopped", running.generation)

    def _expect(self, key: Key, expect: int | None) -> Present | None:
        current = self._live.get(key)
        if (current.revision if current else None) != expect:
            raise ConflictError(key, expected=expect, current=current)
        return current

    def _put(self, key: Key, value: Present, by: Attribution) -> int:
        self._epoch += 1
        self._live[key] = self._versions[key, self._epoch] = replace(
            value,
            revision=self._epoch,
            updated_by=by.actor,
            updated_at=datetime.now(UTC).isoformat(timespec="seconds"),
            apply_id=by.apply_id,
        )
        return self._epoch

    def _service_ids(self) -> list[str]:
        servers = sorted(key.name for key in self._live if key.kind == "Server")
        return [f"{server}/{service}" for server in servers for service in SERVICES]

    def _startup_type(self, service: str) -> str:
        server, _, name = service.partition("/")
        services = cast("Server", self._live[Key("Server", server)].spec).services
        return str(getattr(services, name.replace("-", "_")).startup_type)

    def _services(self) -> Iterator[ServiceState]:
        for service in self._service_ids():
            running = self._running.get(service, _Running())
            pending, fields = self._pending(service, running)
            state = "running" if running.is_running else "stopped"
            yield ServiceState(service, self._startup_type(service), state, 0, pending, fields)

    def _pending(self, service: str, running: _Running) -> tuple[str | None, tuple[tuple[Key, str], ...]]:
        wanted = self._startup_type(service) == "Automatic"
        fields = self._changed_fields(service, running)
        if wanted != running.is_running:
            return ("start" if wanted else "stop"), tuple((key, path) for key, path, _ in fields)
        if not running.is_running or not fields:
            return None, ()
        impact = max(impact for _, _, impact in fields)
        return str(impact), tuple((key, path) for key, path, _ in fields)

    def _changed_fields(self, service: str, running: _Running) -> list[tuple[Key, str, Impact]]:
        live = {key: value.spec for key, value in self._live.items()}
        return [
            (key, path, effect.impact)
            for key in sorted(live.keys() | running.specs.keys())
            if live.get(key) != running.specs.get(key)
            for effect in effects(key.kind, key.name, running.specs.get(key), live.get(key))
            if f"{effect.server}/{effect.service}" == service
            for path in effect.fields or ("",)
        ]

    def _service_json(self, state: ServiceState) -> JsonValue:
        return {
            "id": state.service,
            "server": _server(state),
            "service": state.service.partition("/")[2],
            "startupType": state.startup_type,
            "state": state.state,
            "generation": self._running.get(state.service, _Running()).generation,
            "listening": [],
            "sessions": 0,
            "drainingSessions": 0,
            "pending": {"action": state.pending} if state.pending else None,
            "lastError": None,
        }


def _server(state: ServiceState) -> str:
    return state.service.partition("/")[0]
