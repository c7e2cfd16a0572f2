"""A live resource as a value, and the row it is kept in.

Called by the store, the reader and everything that builds on them. Nothing here touches a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import ValidationError

from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec, parse_spec


class LiveConfigurationError(Exception):
    """The live configuration cannot be used; the text says which file or resource, and why."""


class Row(NamedTuple):
    """One resource as it is stored: `spec`, `secrets` and `credentials` are canonical JSON texts."""

    kind: str
    name: str
    revision: int
    spec: str
    secrets: str
    credentials: str
    managed_by: str | None
    updated_at: str
    updated_by: str | None
    apply_id: str | None
    protected: int = 0


#: The columns of `Row`, in order, for every SELECT and INSERT.
COLUMNS = ", ".join(Row._fields)


@dataclass(frozen=True, slots=True)
class LiveResource:
    """One live resource. `secrets` maps the path of each secret to its keyed digest, `credentials` the same
    paths to what a secret is verified against (argon2id); neither can be turned back. `updated_at` is ISO
    8601, UTC."""

    kind: str
    name: str
    revision: int
    spec: Spec
    secrets: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    updated_at: str = ""
    updated_by: str | None = None
    managed_by: str | None = None
    apply_id: str | None = None
    protected: bool = False


@dataclass(frozen=True, slots=True)
class MailboxRename:
    """A mailbox of `database` has another name since `revision`; what it holds is to follow."""

    revision: int
    database: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened after an epoch: resources that are present now, keys that are gone, mailboxes that were renamed,
    oldest first. `epoch` is the one to ask from the next time."""

    epoch: int
    present: tuple[LiveResource, ...]
    deleted: tuple[tuple[str, str], ...]
    renames: tuple[MailboxRename, ...] = ()


def resource_of(row: Row) -> LiveResource:
    """The value of a row. Raises LiveConfigurationError when the models of this version refuse what is
    stored."""
    try:
        spec = parse_spec(row.kind, json.loads(row.spec))
    except (ValidationError, ValueError, KeyError) as error:
        raise LiveConfigurationError(
            f"{row.kind}/{row.name} (revision {row.revision}) is stored as this version refuses it: "
            f"{_reason(error)}; write it again, or use the version of the program that wrote it"
        ) from error
    return LiveResource(
        kind=row.kind,
        name=row.name,
        revision=row.revision,
        spec=spec,
        secrets=json.loads(row.secrets),
        credentials=json.loads(row.credentials),
        updated_at=row.updated_at,
        updated_by=row.updated_by,
        managed_by=row.managed_by,
        apply_id=row.apply_id,
        protected=bool(row.protected),
    )


def _reason(error: Exception) -> str:
    """On one line, for logs and answers."""
    if isinstance(error, ValidationError):
        found = (
            (".".join(str(step) for step in one["loc"]), one["msg"])
            for one in error.errors(include_url=False, include_input=False)
        )
        return "; ".join(f"{path}: {text}" if path else text for path, text in found)
    return str(error)


def canonical(value: Mapping[str, object]) -> str:
    """JSON text that is equal when the meaning is equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_spec(spec: Spec) -> str:
    """The stored form of a spec: every field, no secret."""
    return canonical(dump_spec(spec))
