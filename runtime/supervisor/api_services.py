"""The control API's part that shows and moves services: status, restart, reload, events, metrics,
shutdown."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field

from runtime.supervisor.api_errors import RefusedError
from runtime.supervisor.metrics import render
from runtime.supervisor.service_control import Mode
from runtime.supervisor.status import status, version
from runtime.supervisor.supervisor import Supervisor

router = APIRouter(prefix="/v1")
metrics_router = APIRouter()


class Asked(BaseModel):
    """The body of a restart or reload: why, for the log."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = Field(default=None, max_length=1000)


@router.get("/health")
async def get_health(request: Request) -> dict[str, Any]:
    """Who answers here."""
    return {"version": version(), "instance": _supervisor(request).store.instance, "pid": os.getpid()}


@router.get("/status")
async def get_status(request: Request) -> dict[str, Any]:
    """Everything that runs, and what is owed."""
    return await status(_supervisor(request))


@router.get("/health-mailbox/{server}")
async def get_health_mailbox(request: Request, server: str) -> dict[str, Any]:
    """The account that probes log on with."""
    supervisor = _supervisor(request)
    if (account := await supervisor.account(server)) is None:
        raise RefusedError(404, f"there is no server {server} in the live configuration")
    return {
        "address": account.address,
        "password": account.password,
        "database": supervisor.health_database(server),
    }


@router.post("/services/{server}/{service}/restart")
async def restart_service(
    request: Request, server: str, service: str, body: Asked | None = None
) -> dict[str, Any]:
    """A new generation from the live configuration; the old one drains. Stops a service that is not
    Automatic."""
    return await _converge(request, server, service, "restart", body)


@router.post("/services/{server}/{service}/reload")
async def reload_service(
    request: Request, server: str, service: str, body: Asked | None = None
) -> dict[str, Any]:
    """A new generation; sessions of the old one go on until they end by themselves."""
    return await _converge(request, server, service, "reload", body)


@router.get("/events")
async def get_events(request: Request) -> StreamingResponse:
    """One JSON object a line, from now on."""
    return StreamingResponse(_lines(_supervisor(request)), media_type="application/x-ndjson")


@router.post("/shutdown", status_code=202)
async def shut_down(request: Request) -> dict[str, str]:
    """Drain and stop everything."""
    supervisor = _supervisor(request)
    supervisor.stop_requested.set()
    return {"state": "stopping"}


@metrics_router.get("/metrics")
async def get_metrics(request: Request) -> Response:
    """For Prometheus."""
    return Response(render(await status(_supervisor(request))), media_type=CONTENT_TYPE_LATEST)


async def _converge(
    request: Request, server: str, service: str, mode: Mode, body: Asked | None
) -> dict[str, Any]:
    supervisor = _supervisor(request)
    if body is not None and body.reason:
        supervisor.events.emit(f"service.{mode}.asked", service=f"{server}/{service}", reason=body.reason)
    return await supervisor.converge(server, service, mode)


async def _lines(supervisor: Supervisor) -> AsyncIterator[str]:
    async for event in supervisor.events.stream():
        yield json.dumps(event) + "\n"


def _supervisor(request: Request) -> Supervisor:
    supervisor: Supervisor = request.app.state.supervisor
    return supervisor
