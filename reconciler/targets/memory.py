"""A target in memory: the same revisions, conflicts, versions and pending services as the runtime, without mail.

For tests, and for trying a plan against a state that exists nowhere. It keeps secrets as keyed digests only. Its
services are what `schemas.v1.effects` says they are: a service runs on the resources it was last converged on, and is
pending when the live ones differ in a field that matters to it.
"""

from __future__ import annotations

import secrets as randomness
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from pydantic import JsonValue

from reconciler.model import Absent, Key, LiveState, Observed, Present, ServiceState
from reconciler.secret import SecretValue
from reconciler.targets.sole_names import Live, standing
from reconciler.targets.target import (
    NO_DIGESTS,
    NONE_KNOWN,
    Attribution,
    ConflictError,
    Converged,
    Digested,
    HealthMailbox,
    Json,
    LiveChanges,
    LiveDigests,
    Method,
    NotRunningError,
    RejectedError,
    ServiceError,
    Stamp,
    Stamps,
    TargetError,
    TransientError,
    Write,
    Written,
)
from schemas.v1.base import Spec
from schemas.v1.canonical import digest_canonical
from schemas.v1.effects import effects
from schemas.v1.impact import Impact
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
    """A whole live configuration in dictionaries. What `applying/` calls from several threads is done one by one."""

    def __init__(self) -> None:
        self._live: dict[Key, Present] = {}
        self._versions: dict[tuple[Key, int], Present] = {}
        self._running: dict[str, _Running] = {}
        self._epoch = 0
        self._digest_key = randomness.token_bytes(32)
        self._instance = randomness.token_hex(8)
        self._lock = threading.RLock()
        self._past: list[tuple[int, Key, Present | None]] = []
        self._renames: list[tuple[int, Key, Key]] = []
        self._latest: dict[Key, tuple[int, str | None]] = {}

    def prepare(self) -> None:
        """Nothing takes time here."""

    def digests(self) -> LiveDigests:
        """Made at the time."""
        live = self.observe()
        found = {
            key: Digested(digest_canonical(present.spec), present.secrets, present.protected)
            for key, present in live.resources.items()
            if isinstance(present, Present)
        }
        return LiveDigests(found, live.services)

    def observe(
        self, known: Mapping[Key, Spec] = NONE_KNOWN, digests: Mapping[Key, str] = NO_DIGESTS
    ) -> LiveState:
        """A copy of everything."""
        resources: dict[Key, Observed] = dict(self._live)
        return LiveState(resources=resources, services={state.service: state for state in self._services()})

    def changes_since(
        self,
        since: LiveChanges | None,
        known: Mapping[Key, Spec] = NONE_KNOWN,
    ) -> LiveChanges:
        """What has a higher revision, and which versions have no live resource any more."""
        is_whole = since is None or since.instance != self._instance
        after = 0 if since is None or is_whole else since.until
        changed: dict[Key, Observed] = {
            key: live for key, live in self._live.items() if live.revision > after
        }
        gone = frozenset(key for key, _ in self._versions if key not in self._live)
        deleted = frozenset() if is_whole else gone
        return LiveChanges(self._instance, self._epoch, changed, deleted, is_whole)

    def services(self) -> Mapping[str, ServiceState]:
        """Those of every live server."""
        return {state.service: state for state in self._services()}

    def epoch(self) -> int:
        """How many writes there were."""
        return self._epoch

    def stamps(self) -> Stamps:
        """Those of every live resource."""
        with self._lock:
            found = {
                key: Stamp(one.revision, one.updated_by, one.updated_at, one.apply_id)
                for key, one in self._live.items()
            }
            return Stamps(self._epoch, found)

    def live_at(self, epoch: int) -> Mapping[Key, Present]:
        """Everything that happened until then, once more."""
        found: dict[Key, Present] = {}
        for at, key, value in self._past:
            if at > epoch:
                break
            found.pop(key, None)
            if value is not None:
                found[key] = value
        return found

    def renames_since(self, epoch: int) -> Sequence[tuple[Key, Key]]:
        """As they were done."""
        return [(old, new) for revision, old, new in self._renames if revision > epoch]

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
            "runtime": {"state": "running", "instance": self._instance},
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
        was_protected = current.protected if current else False
        owner = "reconciler" if by.apply_id else current.managed_by if current else None
        written = Present(
            spec=spec.as_live(),
            revision=0,
            secrets=digests,
            managed_by=owner,
            protected=was_protected if by.protected is None else by.protected,
        )
        return self._put(key, written, by)

    def rename(self, key: Key, to: str, *, expect: int, by: Attribution) -> int:
        """The same value under another name."""
        current = self._expect(key, expect)
        new = Key(key.kind, to)
        if current is None or new in self._live:
            raise RejectedError(str(key), f"{new} is there already")
        self._remove(key, by)
        revision = self._put(new, current, by)
        self._renames.append((revision, key, new))
        return revision

    def delete(self, key: Key, *, expect: int, by: Attribution) -> None:
        """Remove the resource, by compare-and-swap."""
        current = self._expect(key, expect)
        if current is not None and current.protected:
            raise RejectedError(str(key), "it is protected; take its protection away first")
        self._remove(key, by)

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        """Bring an old version back as a new revision."""
        if revision is None:
            current = self._expect(key, expect)
            if current is not None and current.protected and current.apply_id != by.apply_id:
                raise RejectedError(str(key), "it is protected; take its protection away first")
            if current is not None:
                self._remove(key, by)
            return
        self._expect(key, expect)
        self._put(key, self._versions[key, revision], by)

    def write_many(self, writes: Sequence[Write], *, by: Attribution) -> Written:
        """One after the other, as far as no name would be two resources'."""
        with self._lock:
            live = Live(self._live, self._becomes, lambda write: self._takes_back(write, by), by.apply_id)
            known, stale = self._as_expected(writes)
            count, taken = standing(writes[:known], live)
        refused = stale if stale.error is not None else taken
        revisions: list[int | None] = []
        for write in writes[:count]:
            try:
                with self._lock:
                    revisions.append(self._write(write, by))
            except (NotRunningError, TransientError):
                raise
            except TargetError as error:
                return Written(tuple(revisions), error, write.key)
        return replace(refused, revisions=tuple(revisions))

    def _as_expected(self, writes: Sequence[Write]) -> tuple[int, Written]:
        """How many of the first meet what they expect, and what the next one meets."""
        touched: set[Key] = set()
        for at, write in enumerate(writes):
            try:
                if write.current_key not in touched:
                    self._expect(write.current_key, write.expect)
            except ConflictError as error:
                return at, Written((), error, write.key)
            touched |= {write.key, write.current_key}
        return len(writes), Written(())

    def _becomes(self, write: Write) -> Spec | None:
        version = self._versions.get((write.key, write.revision)) if write.revision is not None else None
        return write.spec or (version.spec if version else None)

    def _takes_back(self, write: Write, by: Attribution) -> int | None:
        """The revision that the same apply had made, be it that it took the resource away."""
        revision, apply_id = self._latest.get(write.current_key, (0, None))
        is_ours = by.apply_id is not None and apply_id == by.apply_id
        return revision if is_ours and write.revision is not None else None

    def _write(self, write: Write, by: Attribution) -> int | None:
        expect = write.expect
        if write.renamed_from is not None:
            if write.key in self._live:
                raise ConflictError(write.key, expected=None, current=self._live[write.key])
            expect = self.rename(write.current_key, write.key.name, expect=expect or 0, by=by)
        if write.is_restore:
            self.restore(write.key, write.revision, expect=expect, by=by)
        elif write.spec is not None:
            marked = replace(by, protected=write.protected)
            self.write(write.key, write.spec, secrets=write.secrets, expect=expect, by=marked)
        else:
            self.delete(write.key, expect=expect or 0, by=by)
        return None if write.is_removal else self._live[write.key].revision

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        """Run the live configuration from now on."""
        with self._lock:
            return self._converge(service)

    def _converge(self, service: str) -> Converged:
        if service not in self._service_ids():
            raise ServiceError(f"{service} cannot be restarted: no such service is live")
        running = self._running.setdefault(service, _Running())
        running.is_running = self._startup_type(service) == "Automatic"
        running.generation += running.is_running
        running.specs = {key: live.spec for key, live in self._live.items()}
        return Converged(service, "running" if running.is_running else "stopped", running.generation)

    def _remove(self, key: Key, by: Attribution) -> None:
        self._epoch += 1
        self._latest[key] = (self._epoch, by.apply_id)
        del self._live[key]
        self._past.append((self._epoch, key, None))

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
        self._latest[key] = (self._epoch, by.apply_id)
        self._past.append((self._epoch, key, self._live[key]))
        return self._epoch

    def _service_ids(self) -> list[str]:
        servers = sorted(key.name for key in self._live if key.kind == "Server")
        return [f"{server}/{service}" for server in servers for service in SERVICES]

    def _startup_type(self, service: str) -> str:
        server, _, name = service.partition("/")
        services = cast("Server", self._live[Key("Server", server)].spec).services
        return str(getattr(services, name.replace("-", "_")).startup_type)

    def _services(self) -> list[ServiceState]:
        with self._lock:
            return list(self._unsynced_services())

    def _unsynced_services(self) -> Iterator[ServiceState]:
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
