"""What the runtime says of one resource, understood: JSON → `Present`, or `Unreadable` when this version cannot.

A module of its own because it needs the models of the schemas, which a look at digests does not. Called by `embedded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from reconciler.model import Present, Unreadable
from schemas.v1.base import Spec
from schemas.v1.canonical import parse_canonical
from schemas.v1.codec import dump_spec


def observed(item: Mapping[str, Any], known: Spec | None = None) -> Present | Unreadable:
    """The resource in an answer; `known`: a spec that it may be equal to, which is then taken for it."""
    try:
        # Canonical forms are equal exactly when specs are, and comparing them costs a quarter of checking one.
        is_known = known is not None and dump_spec(known) == item["spec"]
        spec = known if known is not None and is_known else parse_canonical(item["kind"], item["spec"])
    except KeyError:
        return Unreadable("this version knows no such kind; a newer one wrote it")
    except ValidationError as error:
        return Unreadable(f"this version does not understand its live values: {_first_problem(error)}")
    return Present(
        spec=spec,
        revision=item["revision"],
        secrets=item.get("secrets") or {},
        updated_by=item.get("updatedBy"),
        updated_at=item.get("updatedAt"),
        apply_id=item.get("applyId"),
        managed_by=item.get("managedBy"),
        protected=bool(item.get("protected")),
    )


def _first_problem(error: ValidationError) -> str:
    """One line: the first field that is not understood and why, without its value."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(step) for step in first["loc"])
    more = f", and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    return f"{path or 'the whole'}: {first['msg']}{more}"
