"""The control API's part that writes many resources at once, and the one that renames.

A batch is an ordered list of writes, each with the revision that it was decided on. They are carried out in order, up
to the first that fails: that one has done nothing, those before it are live, those after it were not looked at. The
written ones reach the disk together, so a crash leaves all of them or none, and the hosts are told once. Whether a name
belongs to two resources is asked at the end, so that they may swap names: the first write that asks for a name which
another resource still has fails, and what was written before it stays only as far as that holds by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from runtime.live import (
    Author,
    ConflictError,
    Draft,
    LiveStore,
    NameTakenError,
    NoSuchVersionError,
    ProtectedError,
)
from runtime.live.resource import Row
from runtime.supervisor.api_errors import RefusedError, invalid, problem
from runtime.supervisor.api_resources import (
    Checked,
    Written,
    answer,
    check_kind,
    check_name,
    check_version,
    conflict,
    draft_of,
    json_text,
    protected,
    told,
)
from runtime.supervisor.supervisor import Supervisor

router = APIRouter(prefix="/v1")

#: Writes in one batch; the limit of a body is reached sooner by most.
MAX_ITEMS = 1000
#: Kinds whose name others keep things under: a database is a directory, settings are named after their server.
_NOT_RENAMED = frozenset({"Server", "MailboxDatabase", "ImapSettings", "PopSettings"})


class Item(BaseModel):
    """One write. `expect`: the live revision it was decided on, null when the resource must be absent. A rename gives
    `renamedFrom` its new `name`, with the version `revision` or with `spec` when either is given."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    op: Literal["put", "delete", "restore", "rename"]
    kind: str
    name: str
    expect: int | None
    spec: dict[str, JsonValue] | None = None
    secrets: dict[str, SecretStr | None] = Field(default_factory=dict)
    managed_by: str | None = Field(default=None, alias="managedBy")
    protected: bool | None = None
    revision: int | None = None
    renamed_from: str | None = Field(default=None, alias="renamedFrom")

    @property
    def key(self) -> tuple[str, str]:
        """What the write makes, or takes away."""
        return self.kind, self.name

    @property
    def current_key(self) -> tuple[str, str]:
        """What `expect` is about."""
        return self.kind, self.renamed_from or self.name


class Batch(BaseModel):
    """The body of a batch."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    items: list[Item] = Field(max_length=MAX_ITEMS)


class Renamed(BaseModel):
    """The body of a rename: the new name, within the same server for kinds that are named below one."""

    model_config = ConfigDict(extra="forbid")

    to: str


class Wanted(BaseModel):
    """Kind and name of each resource to read."""

    model_config = ConfigDict(extra="forbid")

    keys: list[tuple[str, str]] = Field(max_length=MAX_ITEMS)


@router.post("/batch")
async def write_batch(request: Request, body: Batch, headers: Checked) -> dict[str, Any]:
    """Carry the items out in order, up to the first that fails. One result an item that was looked at: `status` as
    the single request would have answered, and `revision`, or `error` with what goes with it; `item` is the number of
    the item that failed, when that was a later one; `holder` is who has a name that is asked for."""
    supervisor = _supervisor(request)
    ready, refused = await _prepared(supervisor, body.items)
    failure = {"status": refused.status, **refused.body} if refused else None
    done = _carried_out(supervisor.store, ready, author=headers.author(), failure=failure)
    for item, row in done.written:
        _emit(supervisor, item, row, by=headers.x_actor)
    if done.written:
        await supervisor.tell_hosts()
    return {"results": done.results}


@router.post("/read")
async def read_many(request: Request, body: Wanted) -> Any:
    """These resources; those that are not there are left out."""
    store = _supervisor(request).store
    found = (store.row(kind, name) for kind, name in body.keys)
    return json_text(store.epoch, [row for row in found if row is not None])


@router.post("/rename/{kind}/{name:path}")
async def rename_resource(request: Request, kind: str, name: str, body: Renamed, headers: Checked) -> Any:
    """Give a resource another name; what a mailbox holds follows. Sessions of its old name end."""
    supervisor = _supervisor(request)
    expect = headers.expect()
    if expect is None:
        raise RefusedError(428, 'say which revision you rename: If-Match: "<revision>"')
    check_rename(kind, name, body.to)
    try:
        row = supervisor.store.rename((kind, name), body.to, expect=expect, author=headers.author())
    except ConflictError as error:
        raise conflict(error) from error
    supervisor.events.emit("resource.renamed", kind=kind, name=name, to=row.name, by=headers.x_actor)
    await told(supervisor, row)
    return answer(row)


def check_rename(kind: str, old: str, new: str) -> None:
    """Raises RefusedError for kinds and names that cannot take another."""
    check_kind(kind)
    check_name(kind, new)
    if kind in _NOT_RENAMED:
        raise invalid([problem("", f"a {kind} cannot be renamed; declare a new one, and delete the old one")])
    if old.rpartition("/")[0] != new.rpartition("/")[0]:
        raise invalid([problem("", f"a rename from {old} to {new} would move it to another server")])


async def _prepared(
    supervisor: Supervisor, items: Sequence[Item]
) -> tuple[list[tuple[Item, Draft | None]], RefusedError | None]:
    """The items up to the first that is refused for itself, with specs checked and secrets hashed, side by side."""
    found = await asyncio.gather(*(_draft(supervisor, item) for item in items), return_exceptions=True)
    ready: list[tuple[Item, Draft | None]] = []
    for item, draft in zip(items, found, strict=True):
        if isinstance(draft, RefusedError):
            return ready, draft
        if isinstance(draft, BaseException):
            raise draft
        ready.append((item, draft))
    return ready, None


async def _draft(supervisor: Supervisor, item: Item) -> Draft | None:
    check_name(item.kind, item.name)
    if item.op == "rename":
        check_rename(item.kind, item.renamed_from or "", item.name)
    if item.op == "put" and item.spec is None:
        raise invalid([problem("spec", "a put has a spec")])
    if item.spec is None:
        check_version(supervisor, item.key, item.revision)
        return None
    body = Written(spec=item.spec, secrets=item.secrets, protected=item.protected)
    return await draft_of(supervisor, item.current_key, body, expect=item.expect)


class _Attempt(NamedTuple):
    """One result an item up to the first failure, and what was written: all of it, or nothing of it when a name would
    belong to two (`clash`)."""

    results: list[dict[str, Any]]
    written: list[tuple[Item, Row | int]]
    clash: NameTakenError | None = None

    def failure(self) -> dict[str, Any] | None:
        """What the last item that was looked at failed of."""
        return self.results[-1] if self.results and self.results[-1]["status"] != 200 else None


def _carried_out(
    store: LiveStore,
    ready: Sequence[tuple[Item, Draft | None]],
    *,
    author: Author,
    failure: dict[str, Any] | None,
) -> _Attempt:
    """As far as it goes; `failure` is what the item after those that are ready failed of. The writes before one that
    fails may fail for their names without it: each time fewer are left, and `item` says which one it all began with."""
    attempt = _attempt(store, ready, author=author)
    cause = attempt.failure() or failure
    if cause is not None and cause is failure:
        attempt.results.append(cause)
    told = cause and {**cause, "item": len(attempt.results) - 1}
    while (clash := attempt.clash) is not None:
        at = next(at for at, (item, _) in enumerate(ready) if item.key == clash.key)
        attempt = _attempt(store, ready[:at], author=author)
        attempt.results.append(told or _taken(clash))
    return attempt


def _taken(clash: NameTakenError) -> dict[str, Any]:
    kind, name = clash.holder
    return {"status": 409, "error": str(clash), "holder": {"kind": kind, "name": name}}


def _attempt(store: LiveStore, ready: Sequence[tuple[Item, Draft | None]], *, author: Author) -> _Attempt:
    results: list[dict[str, Any]] = []
    written: list[tuple[Item, Row | int]] = []
    try:
        with store.transaction():
            for item, draft in ready:
                try:
                    done = _write(store, item, draft=draft, author=_owned(author, item))
                except (ConflictError, NoSuchVersionError, ProtectedError) as error:
                    results.append(_refusal(error))
                    break
                written.append((item, done))
                results.append({"status": 200, "revision": done if isinstance(done, int) else done.revision})
    except NameTakenError as clash:
        return _Attempt(results, [], clash)
    return _Attempt(results, written)


def _owned(author: Author, item: Item) -> Author:
    return Author(author.actor, author.apply_id, item.managed_by)


def _write(store: LiveStore, item: Item, *, draft: Draft | None, author: Author) -> Row | int:
    """The row, or the revision at which it went."""
    if item.op == "put":
        assert draft is not None
        return store.write(item.key, draft, expect=item.expect, author=author)
    if item.op == "rename":
        content = draft if draft is not None else item.revision
        return store.rename(
            item.current_key, item.name, expect=item.expect or 0, author=author, content=content
        )
    if item.op == "restore":
        revision, row = store.restore(item.key, item.revision, expect=item.expect, author=author)
        return row or revision
    return store.delete(item.key, expect=item.expect or 0, author=author)


def _refusal(error: ConflictError | NoSuchVersionError | ProtectedError) -> dict[str, Any]:
    if isinstance(error, ConflictError):
        refused = conflict(error)
    elif isinstance(error, ProtectedError):
        refused = protected(error)
    else:
        refused = RefusedError(404, str(error))
    return {"status": refused.status, **refused.body}


def _emit(supervisor: Supervisor, item: Item, row: Row | int, *, by: str | None) -> None:
    if item.renamed_from:
        supervisor.events.emit(
            "resource.renamed", kind=item.kind, name=item.renamed_from, to=item.name, by=by
        )
    event = "resource.deleted" if isinstance(row, int) else "resource.written"
    revision = row if isinstance(row, int) else row.revision
    supervisor.events.emit(event, kind=item.kind, name=item.name, revision=revision, by=by)


def _supervisor(request: Request) -> Supervisor:
    supervisor: Supervisor = request.app.state.supervisor
    return supervisor
