"""Canonical forms back to specs, and specs to the digests of their canonical forms, several times faster than `codec`.

For what a program keeps: a live resource as the runtime stored it after checking it. Each value still passes the
checks of its own field, but equal values pass once a process, and the rules between fields are taken as obeyed.
Whatever is not exactly a canonical form goes to `codec.parse_spec`, with its errors. Called by whoever reads live
resources by the thousand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Annotated, Any, NamedTuple, cast

from pydantic import JsonValue, TypeAdapter, ValidationError

from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec, parse_spec
from schemas.v1.kinds import KINDS

_REMEMBERED = 65_536  # values; an estate has few different ones but for names and addresses
_REQUIRED = object()


class _Field(NamedTuple):
    attribute: str
    default: Any
    parse: Callable[[Any], Any]


class _Shape(NamedTuple):
    """A kind's fields by YAML name, and an instance of nothing but defaults to copy."""

    fields: Mapping[str, _Field]
    template: Spec


def parse_canonical(kind: str, dump: Mapping[str, JsonValue]) -> Spec:
    """Return the spec that `dump_spec` gave this for. Raises what `parse_spec` raises when it is no canonical form."""
    shape = _shape(kind)
    if len(dump) != len(shape.fields):
        return parse_spec(kind, dump)
    try:
        return shape.template.model_copy(update=_changed(shape, dump))
    except (ValidationError, KeyError):
        return parse_spec(kind, dump)


def _changed(shape: _Shape, dump: Mapping[str, JsonValue]) -> dict[str, Any]:
    changed, fields = {}, shape.fields
    for name, value in dump.items():
        attribute, default, parse = fields[name]
        if value != default or value.__class__ is not default.__class__:
            changed[attribute] = parse(value)
    return changed


def digest_canonical(spec: Spec) -> str:
    """Return what `codec.digest_spec` returns; what nobody set has its default and is not dumped again."""
    model, given = type(spec), spec.__dict__
    form = _form(model)
    texts = form.defaults.copy()
    for name in spec.model_fields_set:
        if name in texts:  # a secret is not
            texts[name] = form.keys[name] + _json(model, name, given[name])
    return hashlib.sha256(f"{{{','.join(texts.values())}}}".encode()).hexdigest()


class _Form(NamedTuple):
    """A kind's canonical form by attribute, in its order, which is that of YAML names: the JSON text of each field that
    has its default, and what stands before its value."""

    defaults: dict[str, str]
    keys: Mapping[str, str]


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@cache
def _form(model: type[Spec]) -> _Form:
    required = {name: None for name, field in model.model_fields.items() if field.is_required()}
    template = model.model_construct(None, **cast("dict[str, Any]", required))
    dump = {**dict.fromkeys(map(model.yaml_name, required)), **_defaults(template, required)}
    names = sorted(model.model_fields.keys() - set(model.secret_attributes()), key=model.yaml_name)
    keys = {name: f"{_ENCODE(model.yaml_name(name))}:" for name in names}
    return _Form({name: keys[name] + _ENCODE(dump[model.yaml_name(name)]) for name in names}, keys)


def _json(model: type[Spec], attribute: str, value: Any) -> str:
    """A value of the canonical form. Text, of which each resource has its own, is what it is there, too."""
    if type(value) is str:
        return _ENCODE(value)
    if type(value) is tuple and all(type(one) is str for one in value):
        return f"[{','.join(map(_ENCODE, value))}]"
    return _remembered_json(model, attribute, value)


@lru_cache(maxsize=_REMEMBERED, typed=True)
def _remembered_json(model: type[Spec], attribute: str, value: Any) -> str:
    return _ENCODE(dump_field(model, attribute, value))


@cache
def _shape(kind: str) -> _Shape:
    model = KINDS[kind].spec
    secrets = model.secret_attributes()
    required = {name: None for name, field in model.model_fields.items() if field.is_required()}
    template = model.model_construct(None, **cast("dict[str, Any]", required))
    defaults = dump_spec(template.model_copy()) if not required else _defaults(template, required)
    fields = {
        model.yaml_name(name): _Field(
            attribute=name,
            default=_REQUIRED if name in required else defaults[model.yaml_name(name)],
            parse=_parser(model, name),
        )
        for name in model.model_fields
        if name not in secrets
    }
    return _Shape(fields, template)


def _defaults(template: Spec, required: Mapping[str, None]) -> Mapping[str, JsonValue]:
    left_out = {*required, *template.secret_attributes()}
    return cast("dict[str, JsonValue]", template.model_dump(mode="json", by_alias=True, exclude=left_out))


@lru_cache(maxsize=_REMEMBERED, typed=True)
def dump_field(model: type[Spec], attribute: str, value: Any) -> JsonValue:
    """Return the canonical form of one attribute's value, not to be changed: equal values share it."""
    return cast("JsonValue", _adapter(model, attribute).dump_python(value, mode="json", by_alias=True))


def parse_field(model: type[Spec], attribute: str, value: JsonValue) -> Any:
    """Return one attribute's value from its canonical form. Raises ValidationError."""
    return _parser(model, attribute)(value)


@cache
def _parser(model: type[Spec], attribute: str) -> Callable[[Any], Any]:
    check = _adapter(model, attribute).validate_python
    remembering = lru_cache(maxsize=_REMEMBERED, typed=True)(check)
    return lambda value: check(value) if isinstance(value, list | dict) else remembering(value)


@cache
def _adapter(model: type[Spec], attribute: str) -> TypeAdapter[Any]:
    """Reads and writes one field as its model does."""
    field = model.model_fields[attribute]
    annotation: Any = field.annotation
    return TypeAdapter(Annotated[annotation, *field.metadata] if field.metadata else annotation)
