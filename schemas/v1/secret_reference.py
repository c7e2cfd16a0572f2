"""`SecretReference`: where a secret lies, in the place where YAML would otherwise hold the secret itself.

It names a file, an environment variable or a file encrypted with age and reads none of them; whoever applies the
configuration does. Its errors never repeat what was written, which may be a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import JsonValue

from schemas.v1.scalar import Scalar

Source = Literal["file", "env", "encrypted"]

#: How a reference is written, for people.
EXPECTED = "{secretRef: {file: PATH}}, {secretRef: {env: NAME}} or {secretRef: {encrypted: PATH}}"
_SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True, slots=True)
class SecretReference:
    """`{secretRef: {SOURCE: location}}`; a path is as it was declared."""

    source: Source
    location: str


def _parse(value: object) -> SecretReference:
    if isinstance(value, SecretReference):
        return value
    place = value.get("secretRef") if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(place, Mapping) or len(place) != 1:
        raise ValueError("a secret never stands in the declaration itself" if isinstance(value, str) else "")
    [(source, location)] = place.items()
    if source not in _SOURCES or not isinstance(location, str) or not location:
        raise ValueError
    return SecretReference(cast("Source", source), location)


def _dump(reference: SecretReference) -> JsonValue:
    return {"secretRef": {reference.source: reference.location}}


_PLACE: Any = {
    "type": "object",
    "properties": {source: {"type": "string", "minLength": 1} for source in _SOURCES},
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
    EXPECTED,
    _parse,
    _dump,
    _SCHEMA,
    hides_input=True,
)

SecretReferenceValue = Annotated[SecretReference, SECRET_REFERENCE]
