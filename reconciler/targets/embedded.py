"""The embedded runtime as a target: its control API over a Unix socket.

One kept-alive connection, one request at a time. Nothing is sent twice: a request is tried again only when the
connection failed before anything was sent; afterwards a lost answer is a TransientError, and `applying/` finds out by
looking. Used by every verb that needs a live state.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from pydantic import ValidationError

from reconciler.model import Absent, Key, LiveState, Observed, Present, ServiceState, Unreadable
from reconciler.secret import SecretValue
from reconciler.state import StateDirectory
from reconciler.targets.target import (
    NONE_KNOWN,
    Attribution,
    ConflictError,
    Converged,
    HealthMailbox,
    Json,
    Method,
    NotRunningError,
    RejectedError,
    ServiceError,
    TargetError,
    TransientError,
)
from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec, parse_spec

#: Seconds to wait for an answer: a write hashes passwords; a restart starts and probes a generation.
READ_TIMEOUT = 30.0
WRITE_TIMEOUT = 60.0
RESTART_TIMEOUT = 120.0
#: Bytes of a Unix socket's path that fit into an address (108 with its final NUL on Linux, 104 elsewhere).
LONGEST_ADDRESS = 100


class EmbeddedReader:
    """Looks at the runtime of one state directory, and has no means to change it. Close it, or use it with `with`."""

    def __init__(self, state: StateDirectory) -> None:
        self._channel = _Channel(state.socket)

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

    def observe(self, known: Mapping[Key, Spec] = NONE_KNOWN) -> LiveState:
        """Every resource and every service, in two requests."""
        listed = self._get("/v1/resources")
        resources: dict[Key, Observed] = {}
        for item in listed["resources"]:
            key = _key(item)
            resources[key] = _observed(item, known.get(key))
        return LiveState(resources=resources, services=_service_states(self.status()))

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
    ) -> _Answer:
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
        body: dict[str, Any] = {"spec": dump_spec(spec)}
        if secrets:
            body["secrets"] = {path: value.reveal() if value else None for path, value in secrets.items()}
        if by.apply_id:
            body["managedBy"] = "reconciler"
        answer = self._change("PUT", key, body=body, expect=expect, by=by)
        return int(answer["revision"])

    def delete(self, key: Key, *, expect: int, by: Attribution) -> None:
        """DELETE with If-Match."""
        self._change("DELETE", key, body=None, expect=expect, by=by)

    def restore(self, key: Key, revision: int | None, *, expect: int | None, by: Attribution) -> None:
        """An old version as a new revision."""
        self._change("POST", key, body={"revision": revision}, expect=expect, by=by)

    def converge(self, service: str, method: Method, *, reason: str) -> Converged:
        """Restart or reload; returns when the new generation serves, while the old one drains."""
        path = f"/v1/services/{quote(service)}/{method}"
        answer = self._ask("POST", path, body={"reason": reason}, timeout=RESTART_TIMEOUT)
        if answer.status >= 400:
            raise ServiceError(f"{service} cannot run its live configuration: {answer.error}")
        state = answer.body
        return Converged(service, state["state"], state["generation"], state.get("drainingSessions") or 0)

    def _change(
        self, method: str, key: Key, *, body: Json | None, expect: int | None, by: Attribution
    ) -> dict[str, Any]:
        headers = {"If-None-Match": "*"} if expect is None else {"If-Match": f'"{expect}"'}
        headers["X-Actor"] = _header_text(by.actor)
        if by.apply_id:
            headers["X-Apply-Id"] = by.apply_id
        path = _path("restore" if method == "POST" else "resources", key)
        answer = self._ask(method, path, body=body, headers=headers, timeout=WRITE_TIMEOUT)
        if answer.status == 412 or (answer.status == 404 and method == "DELETE"):
            raise ConflictError(key, expected=expect, current=_current(answer.body))
        return answer.expect_success(str(key))


class _Answer:
    """A status and the JSON that came with it."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.body: dict[str, Any] = _json_object(status, content)

    @property
    def error(self) -> str:
        """The runtime's sentence about what went wrong."""
        return str(self.body.get("error") or self.body.get("detail") or f"HTTP status {self.status}")

    def expect_success(self, subject: str) -> dict[str, Any]:
        """The body of a 2xx; anything else raises the matching error."""
        if self.status < 300:
            return self.body
        if self.status in (429, 502, 503, 504):
            raise TransientError(f"{subject}: {self.error}")
        if self.status >= 500:
            raise TargetError(f"{subject}: the runtime failed ({self.error}); its log says more")
        problems = self.body.get("problems") or ()
        raise RejectedError(subject, self.error, tuple((p["path"], p["message"]) for p in problems))


def _json_object(status: int, content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content) if content else {}
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    if status >= 400:
        return {"error": content.decode(errors="replace")}
    raise TargetError(
        "the runtime's answer is not JSON; are `reconcile` and the runtime of the same version?"
    )


class _Channel:
    """One HTTP connection over the Unix socket, opened when it is needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: _UnixConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(
        self, method: str, path: str, payload: bytes | None, *, headers: Mapping[str, str], timeout: float
    ) -> _Answer:
        """Send one request and read its answer. Raises NotRunningError before it was sent, TransientError after."""
        connection = self._open(timeout)
        try:
            connection.request(method, path, body=payload, headers=dict(headers))
            response = connection.getresponse()
            answer = _Answer(response.status, response.read())
        except TimeoutError as error:
            self.close()
            raise TransientError(
                f"the runtime did not answer {method} {path} within {timeout:g} seconds"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise TransientError(
                f"the connection to the runtime broke at {method} {path} ({error!r})"
            ) from error
        if response.will_close:
            self.close()
        return answer

    def _open(self, timeout: float) -> _UnixConnection:
        if self._connection is not None and self._connection.is_stale():
            self.close()
        if self._connection is None:
            self._connection = _UnixConnection(self._path)
            self._connection.connect()
        self._connection.set_timeout(timeout)
        return self._connection


class _UnixConnection(http.client.HTTPConnection):
    """http.client over a Unix socket, however long its path is."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Raises NotRunningError when nobody listens."""
        try:
            self.sock = connect_unix(self._path)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunningError(
                f"no runtime is running for the state directory {self._path.parents[1]}; "
                "start it with `reconcile runtime start`, or run `reconcile up DIR`"
            ) from error
        except OSError as error:
            raise NotRunningError(f"the runtime's socket {self._path} cannot be used: {error}") from error

    def is_stale(self) -> bool:
        """True when the other side has closed the kept connection: bytes or an end to read where none are due."""
        return self.sock is None or bool(select.select([self.sock], [], [], 0)[0])

    def set_timeout(self, seconds: float) -> None:
        """For the next answer."""
        self.sock.settimeout(seconds)


def connect_unix(path: Path) -> socket.socket:
    """A connected Unix stream socket. A path that is too long for an address is reached through its directory."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(READ_TIMEOUT)
    try:
        if len(os.fsencode(path)) <= LONGEST_ADDRESS:
            connection.connect(os.fspath(path))
        else:
            _connect_through_directory(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_through_directory(connection: socket.socket, path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


def _header_text(text: str) -> str:
    """Text that fits into one header line, whatever a user is called."""
    printable = "".join(character for character in text if character.isprintable())
    return printable.encode("latin-1", "replace").decode("latin-1")


def _path(what: str, key: Key) -> str:
    return f"/v1/{what}/{quote(key.kind, safe='')}/{quote(key.name)}"


def _key(item: Mapping[str, Any]) -> Key:
    return Key(item["kind"], item["name"])


def _current(body: Mapping[str, Any]) -> Present | None:
    current = body.get("current")
    observed = _observed(current) if current else None
    return observed if isinstance(observed, Present) else None


def _observed(item: Mapping[str, Any], known: Spec | None = None) -> Present | Unreadable:
    try:
        # Canonical forms are equal exactly when specs are, and comparing them costs a quarter of checking one.
        is_known = known is not None and dump_spec(known) == item["spec"]
        spec = known if known is not None and is_known else parse_spec(item["kind"], item["spec"])
    except (ValidationError, KeyError) as error:
        return Unreadable(f"its live values are not understood by this version: {error}")
    return Present(
        spec=spec,
        revision=item["revision"],
        secrets=item.get("secrets") or {},
        updated_by=item.get("updatedBy"),
        updated_at=item.get("updatedAt"),
        apply_id=item.get("applyId"),
        managed_by=item.get("managedBy"),
    )


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
