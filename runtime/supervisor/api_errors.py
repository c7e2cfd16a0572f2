"""How the control API says no: one JSON shape, one status a reason, never an echo of what was sent.

`{"error": sentence}`, and beside it `current` for a conflict and `problems` for a spec that the models
refuse.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from runtime.live import ForgottenError, LiveConfigurationError, NameTakenError, NoSuchVersionError
from runtime.supervisor.service_control import ServiceError
from runtime.supervisor.supervisor import UnknownServiceError
from schemas.v1.facts import find


class RefusedError(Exception):
    """A request that is answered with `status` and a sentence."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        self.status = status
        self.body = {"error": error, **more}
        super().__init__(error)


def problem(path: str, message: str) -> dict[str, str]:
    """One thing that is wrong, at a path in YAML names."""
    return {"path": path, "message": message}


def invalid(problems: Iterable[dict[str, str]]) -> RefusedError:
    """422 with every problem."""
    found = list(problems)
    text = "; ".join(f"{one['path']}: {one['message']}" if one["path"] else one["message"] for one in found)
    return RefusedError(422, f"the resource is not valid: {text}", problems=found)


def spec_problems(kind: str, error: ValidationError) -> Iterable[dict[str, str]]:
    """What the models say, each at its field."""
    for one in error.errors(include_url=False, include_input=False):
        location = ".".join(str(part) for part in one["loc"])
        known = find(kind, location)
        yield problem(known.path if known and one["type"] != "extra_forbidden" else location, one["msg"])


def install(app: FastAPI) -> None:
    """Answer every error in this shape."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    for error, status in _STATUS.items():
        app.add_exception_handler(error, _with_status(status))


_STATUS: dict[type[Exception], int] = {
    UnknownServiceError: 404,
    NoSuchVersionError: 404,
    ForgottenError: 410,
    NameTakenError: 409,
    ServiceError: 409,
    LiveConfigurationError: 500,
}


def _with_status(status: int) -> Any:
    async def handler(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status)

    return handler


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    return JSONResponse(error.body, error.status)


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's own text would repeat the body, and a secret with it."""
    assert isinstance(error, RequestValidationError)
    found = [problem(".".join(str(part) for part in one["loc"][1:]), one["msg"]) for one in error.errors()]
    return JSONResponse({"error": "the request is not as the API describes it", "problems": found}, 422)


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    """Starlette raises it again behind this answer, and the log gets the rest."""
    return JSONResponse(
        {"error": f"unexpected {type(error).__name__}; the log of the runtime says more"}, 500
    )


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code)
