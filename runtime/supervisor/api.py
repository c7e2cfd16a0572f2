"""The control API: HTTP on a Unix socket that only the owner of the state directory can open.

The socket's mode (0600) and its directory's (0700) are the whole access control: whoever may connect may do
everything. Bodies are limited before they are read.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.supervisor import api_batch, api_errors, api_resources, api_services
from runtime.supervisor.status import version
from runtime.supervisor.supervisor import Supervisor

#: A resource with every field set is a few KiB; a body beyond this is refused. Bytes.
MAX_BODY = 1024 * 1024
#: What is read and dropped beyond that, so that the client can hear why. Bytes.
MAX_DISCARDED = 16 * MAX_BODY
_BACKLOG = 128
#: Answers that are still being sent when the runtime ends get this long, in seconds.
_GRACE = 2


def make_app(supervisor: Supervisor) -> FastAPI:
    """The application; `supervisor` is what it shows and moves."""
    # A body is JSON whether or not its type says so: no browser can reach this socket.
    app = FastAPI(
        title="reconciler runtime",
        version=version(),
        docs_url=None,
        redoc_url=None,
        strict_content_type=False,
    )
    app.state.supervisor = supervisor
    api_errors.install(app)
    app.include_router(api_services.router)
    app.include_router(api_services.metrics_router)
    app.include_router(api_batch.router)
    app.include_router(api_resources.router)
    app.add_middleware(BodyLimit)
    return app


class BodyTooLargeError(Exception):
    """More than MAX_BODY bytes came."""


class BodyLimit:
    """Refuses bodies over MAX_BODY, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        meter = _Meter(receive, send)
        if _announced(scope) <= MAX_BODY:
            with suppress(BodyTooLargeError):
                await self._app(scope, meter.receive, meter.send)
        if _announced(scope) > MAX_BODY or meter.is_over:
            await _too_large(scope, receive, send)


class _Meter:
    """Counts a body as it comes. Once it is over the limit, what the application answers to the half it has
    seen is dropped: the framework would call it malformed."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.is_over = False
        self._taken = 0
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > MAX_BODY:
            self.is_over = True
            raise BodyTooLargeError
        return message

    async def send(self, message: Message) -> None:
        if not self.is_over:
            await self._send(message)


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    """A client that is cut off while it sends sees a broken pipe, not the answer: take in a while longer,
    keep nothing."""
    left = MAX_DISCARDED
    while left > 0 and (message := await receive()).get("more_body"):
        left -= len(message.get("body", b""))
    error = f"a body is at most {MAX_BODY} bytes; write resources one by one"
    await JSONResponse({"error": error}, 413, headers={"Connection": "close"})(scope, receive, send)


class ApiServer(uvicorn.Server):
    """uvicorn inside the supervisor's loop; signals stay the supervisor's."""

    def __init__(self, supervisor: Supervisor) -> None:
        config = uvicorn.Config(
            make_app(supervisor),
            log_config=None,
            access_log=False,
            lifespan="off",
            http="h11",
            ws="none",
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE,
            server_header=False,
        )
        super().__init__(config)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(path: Path) -> socket.socket:
    """A Unix socket at `path`, mode 0600 from the start, in place of a stale one. The caller holds the
    runtime's lock.

    The address of a Unix socket has 107 bytes at most; through the directory's descriptor the length of the
    state directory's path does not count.
    """
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    before = os.umask(0o177)
    try:
        sock.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.umask(before)
        os.close(directory)
    sock.listen(_BACKLOG)
    return sock
