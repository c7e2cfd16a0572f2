"""The embedded runtime as a target: its control API over a Unix socket.

What is live is compared by digest first, so that only what differs from the declared is read and parsed. Many writes
go in one request; a lost answer is a TransientError, and `applying/` finds out by looking. Used by every verb that
needs a live state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from reconciler.meanwhile import Meanwhile
from reconciler.model import Absent, Key, LiveState, Observed, Present, ServiceState, Unreadable
from reconciler.secret import SecretValue
from reconciler.state import StateDirectory
from reconciler.targets.channel import Answer, Channel
from reconciler.targets.requests import Sent, body, parts
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
    NameTakenError,
    RejectedError,
    ServiceError,
    Stamp,
    Stamps,
    TargetError,
    TransientError,
    Write,
    Written,
)

if TYPE_CHECKING:
    from schemas.v1.base import Spec

Services = Mapping[str, ServiceState]

#: Seconds to wait for an answer: a write hashes passwords; a restart starts and probes a generation.
READ_TIMEOUT = 30.0
WRITE_TIMEOUT = 60.0
RESTART_TIMEOUT = 120.0
#: Resources that are asked for by name; more are read all together.
FEW = 300


class EmbeddedReader:
    """Looks at the runtime of one state directory, and has no means to change it. Close it, or use it with `with`."""

    def __init__(self, state: StateDirectory) -> None:
        self._channel = Channel(state.socket)
        self._prepared: _Asked | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the next call opens another."""
        self._channel.close()

    def health(self) -> Json:
        """Version, instance and process id of the runtime. Raises NotRunningError."""
        return self._get("/v1/health")

    def prepare(self) -> None:
        """Begin to ask for every resource by its digest, and for the services."""
        self._prepared = self._asked()

    def digests(self) -> LiveDigests:
        """Resources and services at the same time."""
        listed, services = self._asked()
        found = {
            Key(item[0], item[1]): Digested(item[3], item[4], item[9])
            for item in listed.result()["resources"]
        }
        return LiveDigests(found, services.result())

    def _asked(self) -> _Asked:
        return Meanwhile(lambda: self._get("/v1/resources?view=digests")), Meanwhile(self.services)

    def observe(
        self, known: Mapping[Key, Spec] = NONE_KNOWN, digests: Mapping[Key, str] = NO_DIGESTS
    ) -> LiveState:
        """Every resource by its digest, those that differ from `known` in full; meanwhile every service."""
        from schemas.v1.canonical import digest_canonical

        listed, services = self._prepared or self._asked()
        self._prepared = None
        resources: dict[Key, Observed] = {}
        others: list[Key] = []
        for item in listed.result()["resources"]:
            key = Key(item[0], item[1])
            spec, digest = known.get(key), digests.get(key)
            if spec is not None and digest is None:
                spec = spec.as_live()
                digest = digest_canonical(spec)
            if spec is not None and digest == item[3]:
                resources[key] = _as_known(spec, item)
            else:
                others.append(key)
        resources.update((_key(item), _observed(item)) for item in self._full(others))
        return LiveState(resources=resources, services=services.result())

    def _full(self, keys: Sequence[Key]) -> Iterator[Mapping[str, Any]]:
        """These resources with their specs; one that was deleted meanwhile is left out."""
        if len(keys) > FEW:
            wanted = set(keys)
            everything = self._get("/v1/resources")["resources"]
            yield from (item for item in everything if _key(item) in wanted)
        elif keys:
            answer = self._ask(
                "POST", "/v1/read", body={"keys": [list(key) for key in keys]}, timeout=READ_TIMEOUT
            )
            yield from answer.expect_success("the live resources")["resources"]

    def epoch(self) -> int:
        """Asks for changes after a revision that there is not yet."""
        return int(self._get(f"/v1/changes?since={2**53}")["epoch"])

    def stamps(self) -> Stamps:
        """From the digests."""
        listed = self._get("/v1/resources?view=digests")
        found = {
            Key(item[0], item[1]): Stamp(item[2], item[7], item[6], item[8]) for item in listed["resources"]
        }
        return Stamps(listed["epoch"], found)

    def live_at(self, epoch: int) -> Mapping[Key, Present]:
        """The versions that the runtime keeps."""
        answer = self._ask("GET", f"/v1/resources?at={epoch}", timeout=READ_TIMEOUT)
        if answer.status == 410:
            raise TargetError(f"{answer.error}; choose a later entry of the history")
        listed = answer.expect_success("the versions")["resources"]
        found = {_key(item): _observed(item) for item in listed}
        for key, observed in found.items():
            if isinstance(observed, Unreadable):
                raise TargetError(f"{key} as it was cannot be read: {observed.error}")
        return {key: observed for key, observed in found.items() if isinstance(observed, Present)}

    def renames_since(self, epoch: int) -> Sequence[tuple[Key, Key]]:
        """As the runtime has written them down."""
        answer = self._ask("GET", f"/v1/renames?since={epoch}", timeout=READ_TIMEOUT)
        listed = answer.expect_success("the renames")["renames"]
        return [(Key(item["kind"], item["old"]), Key(item["kind"], item["new"])) for item in listed]

    def changes_since(self, since: LiveChanges | None, known: Mapping[Key, Spec] = NONE_KNOWN) -> LiveChanges:
        """In pages, so that ten thousand resources do not lie in memory as text."""
        after, changed, deleted = (since.until if since else 0), dict[Key, Observed](), set[Key]()
        while True:
            page = self._get(f"/v1/changes?since={after}")
            if since is not None and page["instance"] != since.instance:
                return self.changes_since(None, known)
            for item in page["resources"]:
                changed[_key(item)] = _observed(item, known.get(_key(item)))
            deleted.update(_key(item) for item in page["deleted"])
            after = page["until"]
            if after >= page["epoch"]:
                break
        gone = frozenset(deleted - changed.keys())
        return LiveChanges(page["instance"], after, changed, gone, is_whole=since is None)

    def services(self) -> Mapping[str, ServiceState]:
        """From the status."""
        return _service_states(self.status())

    def read(self, key: Key) -> Observed:
        """One live resource."""
        answer = self._ask("GET", _path("resources", key), timeout=READ_TIMEOUT)
        return Absent() if answer.status == 404 else _observed(answer.expect_success(str(key)))

    def digest_key(self) -> bytes:
        """The runtime's key for digests of secrets."""
        return bytes.fromhex(self._get("/v1/digest-key")["key"])

    def status(self) -> Json:
        """The runtime's own account of itself."""
        return self._get("/v1/status")

    def health_mailbox(self, server: str) -> HealthMailbox:
        """The runtime's account for probes."""
        found = self._get(f"/v1/health-mailbox/{quote(server, safe='')}")
        return HealthMailbox(found["address"], SecretValue(found["password"]), found.get("database"))

    def _get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path, timeout=READ_TIMEOUT).expect_success(path)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        payload = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if payload is not None else {}
        return self._channel.ask(method, path, payload, headers=sent | dict(headers or {}), timeout=timeout)


class EmbeddedTarget(EmbeddedReader):
    """The same with the calls that change things; only applying, `live set` and `runtime stop` make one."""

    def shutdown(self) -> None:
        """Ask the runtime to drain and end; the answer comes before it has."""
        self._ask("POST", "/v1/shutdown", body={}, timeout=READ_TIMEOUT).expect_success("the runtime")

    def write(
        self,
        key: Key,
        spec: Spec,
        *,
        secrets: Mapping[str, SecretValue | None],
        expect: int | None,
        by: Attribution,
    ) -> int:
        """PUT with If-Match or If-None-Match."""
        from schemas.v1.codec import dump_spec

        body: dict[str, Any] = {"spec": dump_spec(spec)}
        if by.protected is not None:
            body["protected"] = by.protected
        if secrets:
            body["secrets"] = {path: value.reveal() if value else None for path, value in secrets.items()}
        if by.apply_id:
            body["managedBy"] = "reconciler"
        answer = self._change("PUT", key, body=body, expect=expect, by=by)
        return int(answer["revision"])

    def delete(self, key: Key, *, expect: int, by: Attribution) -> None:
        """DELETE with If-Match."""
        self._change("DELETE", key, body=None, expect=expect, by=by)

    def rename(self, key: Key, to: str, *, expect: int, by: Attribution) -> int:
        """POST with If-Match."""
        answer = self._change("rename", key, body={"to": to}, expect=expect, by=by)
        return int(answer["revision"])

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        """An old version as a new revision."""
        self._change("restore", key, body={"revision": revision}, expect=expect, by=by)

    def write_many(self, writes: Sequence[Write], *, by: Attribution) -> Written:
        """In as few requests as their size allows."""
        revisions: list[int | None] = []
        for part in parts(writes, by):
            written = self._batch(part, by=by)
            revisions += written.revisions
            if written.error is not None:
                return replace(written, revisions=tuple(revisions))
        return Written(tuple(revisions))

    def _batch(self, part: Sequence[Sent], *, by: Attribution) -> Written:
        headers = _attributed(by) | {"Content-Type": "application/json"}
        answer = self._channel.ask("POST", "/v1/batch", body(part), headers=headers, timeout=WRITE_TIMEOUT)
        try:
            results = answer.expect_success("the changes")["results"]
        except TransientError:
            raise
        except TargetError as error:
            return Written((), error)
        done = [result for result in results if result["status"] == 200]
        revisions = tuple(
            None if write.is_removal else int(result["revision"])
            for (write, _), result in zip(part, done, strict=False)
        )
        if len(done) == len(results):
            return Written(revisions)
        result = results[len(done)]
        write, _ = part[result.get("item", len(done))]
        return Written(revisions, _refusal(write, result), write.key)

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        """Restart or reload; returns when the new generation serves, while the old one drains."""
        path = f"/v1/services/{quote(service)}/{method}"
        answer = self._ask("POST", path, body={"reason": reason}, timeout=RESTART_TIMEOUT)
        if answer.status >= 400:
            raise ServiceError(f"{service} cannot run its live configuration: {answer.error}")
        state = answer.body
        return Converged(service, state["state"], state["generation"], state.get("drainingSessions") or 0)

    def _change(
        self,
        what: Literal["PUT", "DELETE", "restore", "rename"],
        key: Key,
        *,
        body: Json | None,
        expect: int | None,
        by: Attribution,
    ) -> dict[str, Any]:
        expected = {"If-None-Match": "*"} if expect is None else {"If-Match": f'"{expect}"'}
        headers = expected | _attributed(by)
        is_plain = what in ("PUT", "DELETE")
        method, path = (what, _path("resources", key)) if is_plain else ("POST", _path(what, key))
        answer = self._ask(method, path, body=body, headers=headers, timeout=WRITE_TIMEOUT)
        if what == "rename" and _is_taken(key, answer.body):
            raise RejectedError(str(key), "what it is to be called is there already")
        if answer.status == 412 or (answer.status == 404 and what == "DELETE"):
            raise ConflictError(key, expected=expect, current=_current(answer.body))
        return answer.expect_success(str(key))


_Asked = tuple[Meanwhile[dict[str, Any]], Meanwhile[Services]]


def _refusal(write: Write, result: Mapping[str, Any]) -> TargetError:
    if result["status"] == 412:
        return ConflictError(write.key, expected=write.expect, current=_current(result))
    if (holder := result.get("holder")) is not None:
        return NameTakenError(str(result["error"]), _key(holder))
    problems = tuple((p["path"], p["message"]) for p in result.get("problems") or ())
    return RejectedError(str(write.key), str(result["error"]), problems)


def _is_taken(key: Key, body: Mapping[str, Any]) -> bool:
    """True when a conflict is about another name than the one that was to change."""
    current = body.get("current")
    return current is not None and current["name"] != key.name


def _attributed(by: Attribution) -> dict[str, str]:
    headers = {"X-Actor": _header_text(by.actor)}
    if by.apply_id:
        headers["X-Apply-Id"] = by.apply_id
    return headers


def _as_known(spec: Spec, item: Sequence[Any]) -> Present:
    """A live resource that is listed by its digest (kind, name, revision, digest, secrets, managedBy, updatedAt,
    updatedBy, applyId, protected)."""
    return Present(spec, item[2], item[4], item[7], item[6], item[8], item[5], item[9])


def _header_text(text: str) -> str:
    """Text that fits into one header line, whatever a user is called."""
    printable = "".join(character for character in text if character.isprintable())
    return printable.encode("latin-1", "replace").decode("latin-1")


def _path(what: str, key: Key) -> str:
    return f"/v1/{what}/{quote(key.kind, safe='')}/{quote(key.name)}"


def _key(item: Mapping[str, Any]) -> Key:
    return Key(item["kind"], item["name"])


def _current(body: Mapping[str, Any]) -> Stamp | None:
    """Whose the live resource is; its values may be beyond this version."""
    if (current := body.get("current")) is None:
        return None
    return Stamp(
        current["revision"], current.get("updatedBy"), current.get("updatedAt"), current.get("applyId")
    )


def _observed(item: Mapping[str, Any], known: Spec | None = None) -> Present | Unreadable:
    from reconciler.targets.observed import observed  # with the models, which digests spare

    return observed(item, known)


def _service_states(status: Json) -> dict[str, ServiceState]:
    servers: Any = status["servers"]
    return {service["id"]: _service_state(service) for server in servers for service in server["services"]}


def _service_state(service: Mapping[str, Any]) -> ServiceState:
    pending = service.get("pending") or {}
    return ServiceState(
        service=service["id"],
        startup_type=service["startupType"],
        state=service["state"],
        sessions=service.get("sessions") or 0,
        pending=pending.get("action"),
        pending_fields=tuple(
            (_key(cause), path) for cause in pending.get("causes") or () for path in cause["fields"]
        ),
    )
