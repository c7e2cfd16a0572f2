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
    """Return what `codec.digest_spec` returns; fields that have their default are not dumped again."""
    fragments = _fragments(type(spec))
    given = spec.__dict__
    texts, others = [], []
    for name, fragment in fragments.items():
        value, default = given[name], fragment.default
        if value is default or (value == default and value.__class__ is default.__class__):
            texts.append(fragment.text)
        else:
            others.append(name)
            texts.append("")
    if others:
        dump = spec.model_dump(mode="json", by_alias=True, include=set(others))
        made = {
            fragments[name].place: fragments[name].key + _ENCODE(dump[fragments[name].yaml])
            for name in others
        }
        for place, text in made.items():
            texts[place] = text
    return hashlib.sha256(f"{{{','.join(texts)}}}".encode()).hexdigest()


class _Fragment(NamedTuple):
    """One field of the canonical form: its place in it, its name, its JSON text when it has its default."""

    place: int
    yaml: str
    key: str
    default: Any
    text: str


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@cache
def _fragments(model: type[Spec]) -> Mapping[str, _Fragment]:
    """By attribute, in the order of the canonical form: by YAML name."""
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    template = model.model_construct(None, **cast("dict[str, Any]", dict.fromkeys(required)))
    dump = _defaults(template, dict.fromkeys(required))
    names = sorted(model.model_fields.keys() - set(model.secret_attributes()), key=model.yaml_name)
    found = {}
    for place, name in enumerate(names):
        yaml = model.yaml_name(name)
        key = f"{_ENCODE(yaml)}:"
        text = "" if name in required else key + _ENCODE(dump[yaml])
        default = _REQUIRED if name in required else getattr(template, name)
        found[name] = _Fragment(place, yaml, key, default, text)
    return found


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


def parse_field(model: type[Spec], attribute: str, value: JsonValue) -> Any:
    """Return one attribute's value from its canonical form. Raises ValidationError."""
    return _parser(model, attribute)(value)


@cache
def _parser(model: type[Spec], attribute: str) -> Callable[[Any], Any]:
    field = model.model_fields[attribute]
    annotation: Any = field.annotation
    check = TypeAdapter(
        Annotated[annotation, *field.metadata] if field.metadata else annotation
    ).validate_python
    remembering = lru_cache(maxsize=_REMEMBERED, typed=True)(check)
    return lambda value: check(value) if isinstance(value, list | dict) else remembering(value)
