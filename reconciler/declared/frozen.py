"""A checked declaration as plain data and back, so that a second run need not check what the first one found good.

Only what differs from the kind's defaults is kept: plain values as they are, others in their canonical form. Data of
another version of the schemas never gets here; `cache` sees to that, and it alone calls this.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from reconciler.declared.check import Declaration
from reconciler.declared.positions import Document
from schemas.v1.base import Model, Spec
from schemas.v1.canonical import dump_field, parse_field
from schemas.v1.document import Lifecycle, Metadata, parse_selector
from schemas.v1.kinds import KINDS
from schemas.v1.secret_reference import SecretReference

Frozen = dict[str, Any]
ModelT = TypeVar("ModelT", bound=Model)

_SECRET = "secretRef"  # noqa: S105 - the name of a key
_CANONICAL = "canonical"
_DIGEST = ""  # no attribute is called so
_PLAIN = (str, int, bool, type(None))
_UNSET = object()


def freeze(declaration: Declaration) -> Frozen:
    """The digest and the attributes that are not defaults, as JSON-able data."""
    spec = declaration.spec
    model = type(spec)
    return {
        _DIGEST: declaration.digest,
        **{name: _frozen(model, name, value) for name, value in declared_values(spec).items()},
    }


def thaw(frozen: Frozen, document: Document, file: Path) -> Declaration:
    """The declaration that was frozen; its document is the one that it was made from."""
    value: Any = document.value
    kind = KINDS[value["kind"]]
    model = kind.spec
    attributes = {
        name: found if type(found) in _PLAIN else _thawed(model, name, found)
        for name, found in frozen.items()
        if name != _DIGEST
    }
    spec = _filled_in(model, attributes)
    metadata = _filled_in(Metadata, value["metadata"])
    servers = parse_selector(value["spec"]["servers"]) if kind.selects_servers else None
    lifecycle = Lifecycle.model_validate(value["lifecycle"]) if "lifecycle" in value else None
    return Declaration(kind, metadata, spec, servers, lifecycle, document, file, frozen[_DIGEST])


def declared_values(spec: Spec) -> dict[str, object]:
    """The attributes whose values differ from the kind's defaults."""
    defaults, values = _defaults(type(spec)), vars(spec)
    return {  # what nobody set is a default
        name: value
        for name in spec.model_fields_set
        if (value := values[name]) is not (default := defaults.get(name, _UNSET)) and value != default
    }


def _frozen(model: type[Spec], name: str, value: Any) -> Any:
    """The value itself where it is the same in JSON; references to secrets are in no dump."""
    if type(value) in _PLAIN:
        return value
    if type(value) is tuple and all(type(member) is str for member in value):
        return list(value)
    if isinstance(value, SecretReference):
        return {_SECRET: [value.source, value.location]}
    return {_CANONICAL: dump_field(model, name, value)}


def _thawed(model: type[Spec], name: str, value: Any) -> Any:
    if type(value) is list:
        return tuple(value)
    if _SECRET in value:
        return SecretReference(*value[_SECRET])
    return parse_field(model, name, value[_CANONICAL])


@cache
def _defaults(kind: type[Spec]) -> Mapping[str, object]:
    return {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in kind.model_fields.items()
        if not field.is_required()
    }


def _filled_in(model: type[ModelT], attributes: Mapping[str, object]) -> ModelT:
    """What `model.model_construct(**attributes)` gives, in a fifth of the time: it does not go through the fields."""
    made = model.__new__(model)
    object.__setattr__(made, "__dict__", {**_template(model), **attributes})
    object.__setattr__(made, "__pydantic_fields_set__", set(attributes))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


@cache
def _template(model: type[Model]) -> dict[str, object]:
    """The attributes of an instance with every default; each one made of it is given the required ones."""
    required: Mapping[str, None] = {
        name: None for name, field in model.model_fields.items() if field.is_required()
    }
    return vars(model.model_construct(**required))
