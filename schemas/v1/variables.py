"""Variables: values with a type and a name, which documents use as `${name}`.

A document `kind: Variables` declares them; overlays and the command line may set them. Nothing of it is live, so it is
no `Kind`. There is no type for secrets: a secret is referred to, never written down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from schemas.v1.base import Model
from schemas.v1.scalar import Scalar, Words
from schemas.v1.types import BYTE_SIZE, DURATION, FLAG, TEXT, WHOLE, Text

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
NAME_PATTERN: Final = f"^{_NAME.pattern}$"


class VariableType(Words):
    """What a variable can hold."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    SIZE = "size"
    DURATION = "duration"


TYPES: Final[Mapping[VariableType, Scalar]] = {
    VariableType.STRING: TEXT,
    VariableType.INTEGER: WHOLE,
    VariableType.BOOLEAN: FLAG,
    VariableType.SIZE: BYTE_SIZE,
    VariableType.DURATION: DURATION,
}


class Variable(Model):
    """One variable. `value` is what an overlay sets; without one `default` holds."""

    type: Annotated[VariableType, Field(description="What it holds.")]
    description: Annotated[Text, Field(description="What it is for.")] = ""
    default: Annotated[Any, Field(description="Its value unless something sets it.")] = None
    value: Annotated[Any, Field(description="Its value, whatever the default.")] = None


def is_variable_name(name: object) -> bool:
    """A letter, then up to 63 letters, digits and underscores."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def from_text(text: str, kind: VariableType) -> str | int | bool | None:
    """What YAML would make of the text of a command line for this type; None when it cannot be one."""
    if kind is VariableType.BOOLEAN:
        return {"true": True, "false": False}.get(text)
    if kind is VariableType.INTEGER:
        return int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else None
    return text


def variables_schema() -> dict[str, Any]:
    """Return the JSON Schema of a document of variables, without its headers."""
    value = {kind: {"anyOf": [scalar.json_schema, {"type": "null"}]} for kind, scalar in TYPES.items()}
    properties = {
        "type": {"enum": [str(kind) for kind in VariableType], "description": "What it holds."},
        "description": {"type": "string", "description": "What it is for."},
        "default": {"description": "Its value unless something sets it."},
        "value": {"description": "Its value, whatever the default."},
    }
    one = {
        "type": "object",
        "properties": properties,
        "required": ["type"],
        "additionalProperties": False,
        "allOf": [_when(kind, {"default": found, "value": found}) for kind, found in value.items()],
    }
    return {
        "type": "object",
        "patternProperties": {NAME_PATTERN: one},
        "additionalProperties": False,
        "description": "The variables by name.",
    }


def _when(kind: VariableType, properties: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {"type": {"const": str(kind)}}}, "then": {"properties": properties}}
