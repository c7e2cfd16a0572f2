"""HTTP over the runtime's Unix socket: kept-alive connections, one request at a time on each.

Nothing is sent twice: a request is tried again only when the connection failed before anything was sent; afterwards a
lost answer is a TransientError, and whoever asked finds out by looking. Threads may ask at the same time: each request
has a connection to itself. `embedded` is the only caller.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.targets.target import NotRunningError, RejectedError, TargetError, TransientError

#: Seconds to wait for a connection.
CONNECT_TIMEOUT = 30.0
#: Bytes of a Unix socket's path that fit into an address (108 with its final NUL on Linux, 104 elsewhere).
LONGEST_ADDRESS = 100


class Answer:
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
            raise TargetError(f"{subject}: the runtime failed: {self.error}")
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


class Channel:
    """The connections to one socket; one is opened when all others are in use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[_UnixConnection] = []
        self._lock = threading.Lock()
        self._closings = 0

    def close(self) -> None:
        """End the connections: those in use once they have their answer. The next request opens another."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._closings += 1
        for connection in idle:
            connection.close()

    def ask(
        self, method: str, path: str, payload: bytes | None, *, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """Send one request and read its answer. Raises NotRunningError before it was sent, TransientError after."""
        with self._connection(timeout) as connection:
            try:
                connection.request(method, path, body=payload, headers=dict(headers))
                response = connection.getresponse()
                answer = Answer(response.status, response.read())
            except TimeoutError as error:
                connection.close()
                raise TransientError(
                    f"the runtime did not answer {method} {path} within {timeout:g} seconds"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                raise TransientError(
                    f"the connection to the runtime broke at {method} {path} ({error!r})"
                ) from error
            if response.will_close:
                connection.close()
            return answer

    @contextmanager
    def _connection(self, timeout: float) -> Iterator[_UnixConnection]:
        """An open one, kept for the next request unless it, or all, were closed meanwhile."""
        closings, connection = self._closings, self._take()
        connection.set_timeout(timeout)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            is_kept = connection.sock is not None and closings == self._closings
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()

    def _take(self) -> _UnixConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = _UnixConnection(self._path)
                connection.connect()
                return connection
            if not connection.is_stale():
                return connection
            connection.close()


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
    connection.settimeout(CONNECT_TIMEOUT)
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
