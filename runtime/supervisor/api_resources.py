"""The control API's part that reads and writes resources.

Every write names the revision that it was decided on (`If-Match`) or says that there must be none
(`If-None-Match: *`); anything else is refused, so that nobody overwrites what they have not seen. What the
models refuse never becomes live. Secrets come in plain, are hashed, and never go out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError

from runtime.live import Author, ConflictError, Draft, ProtectedError
from runtime.live.resource import Row
from runtime.live.store import Summary
from runtime.supervisor.api_errors import RefusedError, invalid, problem, spec_problems
from runtime.supervisor.certificate_store import CertificateFileError, check_kept, take_in
from runtime.supervisor.supervisor import Supervisor
from schemas.v1.base import Spec
from schemas.v1.certificate import Certificate
from schemas.v1.codec import parse_spec
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS
from schemas.v1.limits import MAX_SECRET_OCTETS
from schemas.v1.moves import move_of

router = APIRouter(prefix="/v1")

_MAX_NAME = 255


class Written(BaseModel):
    """The body of a PUT: the whole spec in YAML names, the secrets to change (null takes one away), and whether it is
    protected from deletion (null: as it is)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    spec: dict[str, JsonValue]
    secrets: dict[str, SecretStr | None] = Field(default_factory=dict)
    managed_by: str | None = Field(default=None, alias="managedBy")
    protected: bool | None = None


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
async def list_resources(
    request: Request,
    kind: str | None = None,
    view: Literal["full", "digests"] = "full",
    at: int | None = None,
) -> Response:
    """All resources, or those of one kind, and the epoch of this view. `view=digests`: all of them, with the SHA-256
    of the spec's canonical form in place of the spec. `at`: as they were when that was the epoch."""
    if kind is not None:
        check_kind(kind)
    store = _supervisor(request).store
    if view == "digests":
        return _listed(store.epoch, (_summary_json(found) for found in store.summaries()))
    rows = store.rows(kind) if at is None else store.rows_at(at)
    return json_text(store.epoch, (row for row in rows if kind is None or row.kind == kind))


@router.get("/renames")
async def list_renames(request: Request, since: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
    """What was given another name after the revision `since`, oldest first."""
    found = _supervisor(request).store.renames_since(since)
    names = ("revision", "kind", "old", "new")
    return {"renames": [dict(zip(names, row, strict=True)) for row in found]}


@router.get("/changes")
async def list_changes(
    request: Request,
    since: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> Response:
    """What was written after the revision `since`, as it is now, and what was deleted: for those who follow. Ask again
    from `until` while that is below `epoch`. Another `instance` than before: begin at 0."""
    store = _supervisor(request).store
    rows, gone, until = store.changed(since, limit=limit)
    head = {"instance": store.instance, "epoch": store.epoch, "until": until}
    deleted = [{"kind": kind, "name": name} for kind, name in gone]
    body = ",".join(_json(row) for row in rows)
    text = f'{json.dumps(head)[:-1]},"deleted":{json.dumps(deleted)},"resources":[{body}]}}'
    return Response(text, media_type="application/json")


@router.get("/resources/{kind}/{name:path}")
async def get_resource(request: Request, kind: str, name: str) -> Response:
    """One resource."""
    row = _supervisor(request).store.row(kind, name)
    if row is None:
        raise _absent(kind, name)
    return answer(row)


@router.put("/resources/{kind}/{name:path}")
async def put_resource(request: Request, kind: str, name: str, body: Written, headers: Checked) -> Response:
    """Create or update a resource. Nothing is restarted by it."""
    check_name(kind, name)
    expect = headers.expect()
    supervisor = _supervisor(request)
    draft = await draft_of(supervisor, (kind, name), body, expect=expect)
    try:
        row = supervisor.store.write(
            (kind, name), draft, expect=expect, author=headers.author(body.managed_by)
        )
    except ConflictError as error:
        raise conflict(error) from error
    await told(supervisor, row)
    return answer(row)


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
        raise conflict(error) from error
    except ProtectedError as error:
        raise protected(error) from error
    supervisor.events.emit("resource.deleted", kind=kind, name=name, revision=revision, by=headers.x_actor)
    await supervisor.tell_hosts()
    return {"revision": revision}


@router.post("/restore/{kind}/{name:path}")
async def restore_resource(
    request: Request, kind: str, name: str, body: Restored, headers: Checked
) -> Response:
    """Bring an earlier version back, with its credentials, as a new revision."""
    supervisor = _supervisor(request)
    check_version(supervisor, (kind, name), body.revision)
    try:
        revision, row = supervisor.store.restore(
            (kind, name), body.revision, expect=headers.expect(), author=headers.author()
        )
    except ConflictError as error:
        raise conflict(error) from error
    except ProtectedError as error:
        raise protected(error) from error
    if row is not None:
        await told(supervisor, row)
        return answer(row)
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
        "protected": bool(row.protected),
    }


async def draft_of(
    supervisor: Supervisor, key: tuple[str, str], body: Written, *, expect: int | None
) -> Draft:
    """The spec, checked, and the secrets, hashed; those that are not mentioned stay as they are. The revision
    is compared before the costly part too, and again when it is written."""
    spec = _parse(key[0], body)
    old = supervisor.store.row(*key)
    if (old.revision if old else None) != expect:
        raise conflict(ConflictError(key, expected=expect, current=old))
    _refuse_move(old, key[0], spec)
    spec = _stored(supervisor, key[1], spec)
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
        protected=body.protected,
    )


def _refuse_move(old: Row | None, kind: str, spec: Spec) -> None:
    """Mail is not carried along, so it would be out of sight."""
    move = move_of(parse_spec(kind, json.loads(old.spec)), spec) if old else None
    if move is not None:
        raise invalid([problem(move.path, move.refusal)])


def check_version(supervisor: Supervisor, key: tuple[str, str], revision: int | None) -> None:
    """Raises RefusedError when this version could become live again but not serve."""
    if key[0] != "Certificate" or revision is None:
        return
    try:
        check_kept(supervisor.layout, supervisor.store, key=key, revision=revision)
    except CertificateFileError as error:
        raise invalid([problem(error.path, str(error))]) from error


def _stored(supervisor: Supervisor, name: str, spec: Spec) -> Spec:
    """A certificate by its thumbprint, once its files are the server's own."""
    if not isinstance(spec, Certificate):
        return spec
    try:
        return take_in(supervisor.layout, name.partition("/")[0], spec)
    except CertificateFileError as error:
        raise invalid([problem(error.path, str(error))]) from error


def _parse(kind: str, body: Written) -> Spec:
    known = fields(kind)
    problems = [
        problem(path, f"{kind} has no secret of this name")
        for path in body.secrets
        if path not in known or not known[path].is_secret
    ]
    problems += [problem(path, "a secret is not empty; null takes it away") for path in _empty(body)]
    problems += [
        problem(path, f"a secret has at most {MAX_SECRET_OCTETS} octets") for path in _too_long(body)
    ]
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


def _too_long(body: Written) -> list[str]:
    return [
        path
        for path, secret in body.secrets.items()
        if secret is not None
        and len(secret.get_secret_value().encode("utf-8", "surrogatepass")) > MAX_SECRET_OCTETS
    ]


_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


async def told(supervisor: Supervisor, row: Row) -> None:
    supervisor.events.emit(
        "resource.written", kind=row.kind, name=row.name, revision=row.revision, by=row.updated_by
    )
    await supervisor.tell_hosts()


def check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise RefusedError(404, f"there is no kind {kind}; kinds are {', '.join(KINDS)}")


def check_name(kind: str, name: str) -> None:
    """Names become parts of paths and of ids: one part for most kinds, <server>/<name> where a server has
    many."""
    check_kind(kind)
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


def conflict(error: ConflictError) -> RefusedError:
    current = resource_json(error.current) if error.current else None
    return RefusedError(412, str(error), current=current)


def protected(error: ProtectedError) -> RefusedError:
    """409: it is not to be deleted as it stands."""
    return RefusedError(409, str(error))


def json_text(epoch: int, rows: Iterable[Row]) -> Response:
    """Resources as the API lists them."""
    return _listed(epoch, (_json(row) for row in rows))


def _listed(epoch: int, texts: Iterable[str]) -> Response:
    body = f'{{"epoch":{epoch},"resources":[{",".join(texts)}]}}'
    return Response(body, media_type="application/json")


def answer(row: Row) -> Response:
    """One resource, with its revision as the ETag."""
    return Response(_json(row), media_type="application/json", headers={"ETag": f'"{row.revision}"'})


def _json(row: Row) -> str:
    """The same as `resource_json`, without parsing what is stored as JSON already: an estate has
    thousands."""
    rest = {"managedBy": row.managed_by, "updatedAt": row.updated_at, "updatedBy": row.updated_by}
    return (
        f'{{"kind":{json.dumps(row.kind)},"name":{json.dumps(row.name)},"revision":{row.revision},'
        f'"spec":{row.spec},"secrets":{row.secrets},{json.dumps(rest)[1:-1]},'
        f'"applyId":{json.dumps(row.apply_id)},"protected":{"true" if row.protected else "false"}}}'
    )


def _summary_json(found: Summary) -> str:
    """Without parsing the digests of secrets, which are stored as JSON."""
    known = (found.kind, found.name, found.revision, found.digest)
    rest = (found.managed_by, found.updated_at, found.updated_by, found.apply_id, bool(found.protected))
    return f"{_ENCODE(known)[:-1]},{found.secrets},{_ENCODE(rest)[1:]}"


def _supervisor(request: Request) -> Supervisor:
    supervisor: Supervisor = request.app.state.supervisor
    return supervisor
