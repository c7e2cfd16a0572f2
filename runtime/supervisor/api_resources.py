"""The control API's part that reads and writes resources.

Every write names the revision that it was decided on (`If-Match`) or says that there must be none
(`If-None-Match: *`); anything else is refused, so that nobody overwrites what they have not seen. What the
models refuse never becomes live. Secrets come in plain, are hashed, and never go out.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError

from runtime.live import Author, ConflictError, Draft
from runtime.live.resource import Row
from runtime.supervisor.api_errors import RefusedError, invalid, problem, spec_problems
from runtime.supervisor.supervisor import Supervisor
from schemas.v1.base import Spec
from schemas.v1.codec import parse_spec
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS

router = APIRouter(prefix="/v1")

_MAX_NAME = 255


class Written(BaseModel):
    """The body of a PUT: the whole spec in YAML names, and the secrets to change (null takes one away)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    spec: dict[str, JsonValue]
    secrets: dict[str, SecretStr | None] = Field(default_factory=dict)
    managed_by: str | None = Field(default=None, alias="managedBy")


class Restored(BaseModel):
    """The body of a restore: the revision to bring back; null deletes."""

    model_config = ConfigDict(extra="forbid")

    revision: int | None


class Conditions(BaseModel):
    """The headers of a write."""

    if_match: str | None = None
    if_none_match: str | None = None
    x_actor: str | None = Field(default=None, max_length=_MAX_NAME)
    x_apply_id: str | None = Field(default=None, max_length=_MAX_NAME)

    def expect(self) -> int | None:
        """The revision that the resource must have; None: it must be absent. Raises RefusedError."""
        if self.if_none_match == "*" and self.if_match is None:
            return None
        revision = (self.if_match or "").strip().removeprefix("W/").strip('"')
        if not revision.isdecimal() or self.if_none_match is not None:
            raise RefusedError(
                428, 'say what you expect: If-Match: "<revision>" to change it, If-None-Match: * to create it'
            )
        return int(revision)

    def author(self, managed_by: str | None = None) -> Author:
        """Who writes."""
        return Author(actor=self.x_actor, apply_id=self.x_apply_id, managed_by=managed_by)


Checked = Annotated[Conditions, Header()]


@router.get("/resources")
async def list_resources(request: Request, kind: str | None = None) -> Response:
    """All resources, or those of one kind, and the epoch of this view."""
    if kind is not None:
        _check_kind(kind)
    store = _supervisor(request).store
    body = ",".join(_json(row) for row in store.rows(kind))
    return Response(f'{{"epoch":{store.epoch},"resources":[{body}]}}', media_type="application/json")


@router.get("/resources/{kind}/{name:path}")
async def get_resource(request: Request, kind: str, name: str) -> Response:
    """One resource."""
    row = _supervisor(request).store.row(kind, name)
    if row is None:
        raise _absent(kind, name)
    return _answer(row)


@router.put("/resources/{kind}/{name:path}")
async def put_resource(request: Request, kind: str, name: str, body: Written, headers: Checked) -> Response:
    """Create or update a resource. Nothing is restarted by it."""
    _check_name(kind, name)
    expect = headers.expect()
    supervisor = _supervisor(request)
    draft = await _draft(supervisor, (kind, name), body, expect=expect)
    try:
        row = supervisor.store.write(
            (kind, name), draft, expect=expect, author=headers.author(body.managed_by)
        )
    except ConflictError as error:
        raise _conflict(error) from error
    await _told(supervisor, row)
    return _answer(row)


@router.delete("/resources/{kind}/{name:path}")
async def delete_resource(request: Request, kind: str, name: str, headers: Checked) -> dict[str, int]:
    """Delete a resource."""
    supervisor = _supervisor(request)
    expect = headers.expect()
    if expect is None:
        raise RefusedError(428, 'say which revision you delete: If-Match: "<revision>"')
    if supervisor.store.row(kind, name) is None:
        raise _absent(kind, name)
    try:
        revision = supervisor.store.delete((kind, name), expect=expect, author=headers.author())
    except ConflictError as error:
        raise _conflict(error) from error
    supervisor.events.emit("resource.deleted", kind=kind, name=name, revision=revision, by=headers.x_actor)
    await supervisor.tell_hosts()
    return {"revision": revision}


@router.post("/restore/{kind}/{name:path}")
async def restore_resource(
    request: Request, kind: str, name: str, body: Restored, headers: Checked
) -> Response:
    """Bring an earlier version back, with its credentials, as a new revision."""
    supervisor = _supervisor(request)
    try:
        revision, row = supervisor.store.restore(
            (kind, name), body.revision, expect=headers.expect(), author=headers.author()
        )
    except ConflictError as error:
        raise _conflict(error) from error
    if row is not None:
        await _told(supervisor, row)
        return _answer(row)
    supervisor.events.emit("resource.deleted", kind=kind, name=name, revision=revision, by=headers.x_actor)
    await supervisor.tell_hosts()
    return Response(json.dumps({"revision": revision}), media_type="application/json")


@router.get("/digest-key")
async def get_digest_key(request: Request) -> dict[str, str]:
    """The key under which digests of secrets are made."""
    return {"key": _supervisor(request).store.digest_key.hex()}


def resource_json(row: Row) -> dict[str, Any]:
    """A resource as the API shows it."""
    return {
        "kind": row.kind,
        "name": row.name,
        "revision": row.revision,
        "spec": json.loads(row.spec),
        "secrets": json.loads(row.secrets),
        "managedBy": row.managed_by,
        "updatedAt": row.updated_at,
        "updatedBy": row.updated_by,
        "applyId": row.apply_id,
    }


async def _draft(supervisor: Supervisor, key: tuple[str, str], body: Written, *, expect: int | None) -> Draft:
    """The spec, checked, and the secrets, hashed; those that are not mentioned stay as they are. The revision
    is compared before the costly part too, and again when it is written."""
    spec = _parse(key[0], body)
    old = supervisor.store.row(*key)
    if (old.revision if old else None) != expect:
        raise _conflict(ConflictError(key, expected=expect, current=old))
    digests: dict[str, str] = json.loads(old.secrets) if old else {}
    hashes: dict[str, str] = json.loads(old.credentials) if old else {}
    plain = {path: secret.get_secret_value() for path, secret in body.secrets.items() if secret is not None}
    fresh = await supervisor.hasher.credentials(spec, plain, old=hashes, old_digests=digests)
    kept = digests.keys() - body.secrets.keys()
    return Draft(
        spec=spec,
        secrets={path: digests[path] for path in kept}
        | {path: supervisor.hasher.digest(text) for path, text in plain.items()},
        credentials={path: hashes[path] for path in kept} | fresh,
    )


def _parse(kind: str, body: Written) -> Spec:
    known = fields(kind)
    problems = [
        problem(path, f"{kind} has no secret of this name")
        for path in body.secrets
        if path not in known or not known[path].is_secret
    ]
    problems += [problem(path, "a secret is not empty; null takes it away") for path in _empty(body)]
    try:
        spec = parse_spec(kind, body.spec)
    except ValidationError as error:
        raise invalid([*spec_problems(kind, error), *problems]) from error
    if problems:
        raise invalid(problems)
    return spec


def _empty(body: Written) -> list[str]:
    return [
        path for path, secret in body.secrets.items() if secret is not None and not secret.get_secret_value()
    ]


async def _told(supervisor: Supervisor, row: Row) -> None:
    supervisor.events.emit(
        "resource.written", kind=row.kind, name=row.name, revision=row.revision, by=row.updated_by
    )
    await supervisor.tell_hosts()


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise RefusedError(404, f"there is no kind {kind}; kinds are {', '.join(KINDS)}")


def _check_name(kind: str, name: str) -> None:
    """Names become parts of paths and of ids: one part for most kinds, <server>/<name> where a server has
    many."""
    _check_kind(kind)
    parts = name.split("/")
    wanted = 2 if KINDS[kind].scope == "server-named" else 1
    if len(parts) != wanted or not all(_is_name(part) for part in parts):
        form = "<server>/<name>" if wanted == 2 else "<name>"
        raise invalid(
            [problem("", f"{name!r} cannot name a {kind}: {form}, printable, at most {_MAX_NAME} characters")]
        )


def _is_name(part: str) -> bool:
    return (
        part.strip() == part and part.isprintable() and part not in ("", ".", "..") and len(part) <= _MAX_NAME
    )


def _absent(kind: str, name: str) -> RefusedError:
    return RefusedError(
        404, f"{kind}/{name} is not in the live configuration; create it with If-None-Match: *"
    )


def _conflict(error: ConflictError) -> RefusedError:
    current = resource_json(error.current) if error.current else None
    return RefusedError(412, str(error), current=current)


def _answer(row: Row) -> Response:
    return Response(_json(row), media_type="application/json", headers={"ETag": f'"{row.revision}"'})


def _json(row: Row) -> str:
    """The same as `resource_json`, without parsing what is stored as JSON already: an estate has
    thousands."""
    rest = {"managedBy": row.managed_by, "updatedAt": row.updated_at, "updatedBy": row.updated_by}
    return (
        f'{{"kind":{json.dumps(row.kind)},"name":{json.dumps(row.name)},"revision":{row.revision},'
        f'"spec":{row.spec},"secrets":{row.secrets},{json.dumps(rest)[1:-1]},"applyId":{json.dumps(row.apply_id)}}}'
    )


def _supervisor(request: Request) -> Supervisor:
    supervisor: Supervisor = request.app.state.supervisor
    return supervisor
