"""`SecretReference`: where a secret lies, in the place where YAML would otherwise hold the secret itself.

It names a file or an environment variable and reads neither; whoever applies the configuration does. Its errors
never repeat what was written, which may be a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import JsonValue

from schemas.v1.scalar import Scalar

Source = Literal["file", "env"]


@dataclass(frozen=True, slots=True)
class SecretReference:
    """`{secretRef: {file: path}}` or `{secretRef: {env: NAME}}`; a path is as it was declared."""

    source: Source
    location: str


def _parse(value: object) -> SecretReference:
    if isinstance(value, SecretReference):
        return value
    place = value.get("secretRef") if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(place, Mapping) or len(place) != 1:
        raise ValueError("a secret never stands in the declaration itself" if isinstance(value, str) else "")
    [(source, location)] = place.items()
    if source not in ("file", "env") or not isinstance(location, str) or not location:
        raise ValueError
    return SecretReference(cast("Source", source), location)


def _dump(reference: SecretReference) -> JsonValue:
    return {"secretRef": {reference.source: reference.location}}


_PLACE: Any = {
    "type": "object",
    "properties": {"file": {"type": "string", "minLength": 1}, "env": {"type": "string", "minLength": 1}},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
_SCHEMA: Any = {
    "type": "object",
    "properties": {"secretRef": _PLACE},
    "required": ["secretRef"],
    "additionalProperties": False,
}
SECRET_REFERENCE = Scalar(
    "secret",
    "{secretRef: {file: PATH}} or {secretRef: {env: NAME}}",
    _parse,
    _dump,
    _SCHEMA,
    hides_input=True,
)

SecretReferenceValue = Annotated[SecretReference, SECRET_REFERENCE]
