"""A checked declaration as plain data and back, so that a second run need not check what the first one found good.

Only what differs from the kind's defaults is kept, and only of declarations whose values are plain (numbers, text,
lists of text, references to secrets): the others are checked again. Data of another version of the schemas never gets
here; `cache` sees to that, and it alone calls this.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.declared.check import Declaration
from reconciler.declared.digest import declared_values, meaning
from reconciler.declared.positions import Document
from schemas.v1.base import Model
from schemas.v1.document import Metadata
from schemas.v1.kinds import KINDS
from schemas.v1.secret_reference import SecretReference

Frozen = dict[str, Any]

_SECRET = "secretRef"  # noqa: S105 - the name of a key
_MEANING = ""  # no attribute is called so
_PLAIN = (str, int, bool, type(None))


def freeze(declaration: Declaration) -> Frozen | None:
    """The attributes that are not defaults as JSON-able data; None when that is not possible."""
    if declaration.servers is not None or declaration.lifecycle is not None:
        return None
    values = declared_values(declaration.spec)
    frozen: Frozen = {_MEANING: meaning(values)}
    for name, value in values.items():
        if type(value) in _PLAIN:
            frozen[name] = value
        elif type(value) is tuple and all(type(member) is str for member in value):
            frozen[name] = list(value)
        elif isinstance(value, SecretReference):
            frozen[name] = {_SECRET: [value.source, value.location]}
        else:
            return None
    return frozen


def thaw(frozen: Frozen, document: Document, file: Path) -> Declaration:
    """The declaration that was frozen; its document is the one that it was made from."""
    value: Any = document.value
    kind = KINDS[value["kind"]]
    attributes = {name: _thawed(found) for name, found in frozen.items() if name != _MEANING}
    spec = _template(kind.spec).model_copy(update=attributes)
    metadata = _template(Metadata).model_copy(update=value["metadata"])
    return Declaration(kind, metadata, spec, None, None, document, file, meaning=frozen[_MEANING])


def _thawed(value: Any) -> Any:
    if type(value) is list:
        return tuple(value)
    return SecretReference(*value[_SECRET]) if type(value) is dict else value


@cache
def _template(model: type[Model]) -> Any:
    """An instance with every default, and None where a value is required: each copy is given one."""
    required: Mapping[str, None] = {
        name: None for name, field in model.model_fields.items() if field.is_required()
    }
    return model.model_construct(**required)
