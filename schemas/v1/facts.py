"""What is known of every field of a kind, read off the declarations: the one source of explain, diffs and documents.

`fields("ImapSettings")["maxConnectionsPerUser"]` tells its Exchange name, default, limits, unit and impact. A group is
walked into, so that paths look like services.imap4.startupType; a group that may be null has a row of its own too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, cast, get_args, get_origin

from pydantic import JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from schemas.v1.base import (
    Exchange,
    FieldImpact,
    Model,
    Reference,
    Restarts,
    Secret,
    SecurityRelevant,
    Unit,
    marker,
)
from schemas.v1.enforcement import NOT_YET_ENFORCED
from schemas.v1.impact import Impact
from schemas.v1.kinds import KINDS
from schemas.v1.scalar import Between, Scalar, Words


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of a field as people and schemas see it. `words` is the closed set it is chosen from, if it is one."""

    name: str
    expected: str
    json_schema: Mapping[str, JsonValue]
    words: tuple[str, ...] = ()
    is_nullable: bool = False
    group: type[Model] | None = None
    between: Between | None = None
    scalar: Scalar | None = None


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """One field: `path` in YAML names, `attribute` the Python attribute path, `default` in canonical form.

    `allowed` says in one line what may stand there ("1 to 16384", "Hourly, Daily"); `services` are the services whose
    `impact` a change has, by name. `security` says why a change is looked at first, of those fields where it is.
    """

    path: str
    attribute: str
    exchange: str | None
    impact: Impact
    services: tuple[str, ...]
    unit: str | None
    is_secret: bool
    default: JsonValue
    type: str
    allowed: str | None
    description: str
    is_enforced: bool
    is_required: bool
    is_nullable: bool
    words: tuple[str, ...]
    minimum: JsonValue
    maximum: JsonValue
    reference: str | None
    security: str | None
    value_type: ValueType


@cache
def fields(kind: str) -> Mapping[str, FieldFacts]:
    """Return the facts of every field of the kind by its YAML path, as declared. KeyError: no such kind."""
    spec = KINDS[kind].spec
    rows = _walk(_Place(kind, "", "", spec.default_impact or Restarts()), spec)
    return MappingProxyType({row.path: row for row in rows})


def find(kind: str, path: str) -> FieldFacts | None:
    """Return the facts of the field that holds `path`: itself, or the nearest one around it (a list's item, say)."""
    known = fields(kind)
    while path and path not in known:
        path = path.rpartition(".")[0]
    return known.get(path)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk stands: the prefixes of paths, and the impact that holds unless a field says otherwise."""

    kind: str
    path: str
    attribute: str
    impact: FieldImpact
    security: SecurityRelevant | None = None

    def enter(self, name: str, attribute: str, field: FieldInfo) -> _Place:
        impact = marker(field.metadata, FieldImpact) or self.impact
        security = marker(field.metadata, SecurityRelevant) or self.security
        return _Place(self.kind, f"{self.path}{name}.", f"{self.attribute}{attribute}.", impact, security)


def _walk(place: _Place, model: type[Model]) -> Iterator[FieldFacts]:
    for attribute, field in model.model_fields.items():
        name = model.yaml_name(attribute)
        value_type = type_of(field)
        if value_type.group is None or value_type.is_nullable:
            yield _facts(place, name, attribute, field)
        if value_type.group is not None:
            yield from _walk(place.enter(name, attribute, field), value_type.group)


def _facts(place: _Place, name: str, attribute: str, field: FieldInfo) -> FieldFacts:
    impact = marker(field.metadata, FieldImpact) or place.impact
    exchange, unit = marker(field.metadata, Exchange), marker(field.metadata, Unit)
    reference, value_type = marker(field.metadata, Reference), type_of(field)
    security = marker(field.metadata, SecurityRelevant) or place.security
    path, between = place.path + name, value_type.between or Between()
    return FieldFacts(
        path=path,
        attribute=place.attribute + attribute,
        exchange=exchange.name if exchange else None,
        impact=impact.impact,
        services=impact.services,
        unit=unit.name if unit else None,
        is_secret=marker(field.metadata, Secret) is not None,
        default=_default(field),
        type=value_type.name,
        allowed=_allowed(value_type),
        description=field.description or "",
        is_enforced=not _is_listed(place.kind, path),
        is_required=field.is_required(),
        is_nullable=value_type.is_nullable,
        words=value_type.words,
        minimum=between.low,
        maximum=between.high,
        reference=reference.kind if reference else None,
        security=security.why if security else None,
        value_type=value_type,
    )


def _is_listed(kind: str, path: str) -> bool:
    return path in NOT_YET_ENFORCED.get(kind, frozenset())


def _default(field: FieldInfo) -> JsonValue:
    value = field.get_default(call_default_factory=True, validated_data={})
    return None if value is PydanticUndefined else canonical(value, type_of(field))


def canonical(value: Any, value_type: ValueType) -> JsonValue:
    """Return a run-time value in its canonical form."""
    if value is None:
        return None
    if isinstance(value, Model):
        return cast("JsonValue", value.model_dump(mode="json", by_alias=True))
    dump = value_type.scalar.dump if value_type.scalar else to_jsonable_python
    return [dump(item) for item in value] if isinstance(value, tuple) else dump(value)


def _allowed(value_type: ValueType) -> str | None:
    if value_type.words:
        return ", ".join(value_type.words)
    text = value_type.between.text if value_type.between else ""
    scalar = value_type.scalar
    if scalar is None or not scalar.is_unlimitable:
        return text or None
    kind = scalar.expected.removesuffix(" or Unlimited").partition(" such as ")[0]
    return f"{text or kind} or Unlimited"


# Types, from annotations.


def type_of(field: FieldInfo) -> ValueType:
    """Return the type of a declared field."""
    return _type(field.annotation, tuple(field.metadata))


def _type(annotation: Any, metadata: tuple[Any, ...]) -> ValueType:
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0], (*annotation.__metadata__, *metadata))
    if (scalar := marker(metadata, Scalar)) is not None:
        return _scalar(scalar, marker(metadata, Between))
    if isinstance(annotation, type) and issubclass(annotation, Words):
        return _words(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return ValueType("group", "a mapping", {}, group=annotation)
    return _composed(annotation, metadata)


def _composed(annotation: Any, metadata: tuple[Any, ...]) -> ValueType:
    arguments = [argument for argument in get_args(annotation) if argument not in (type(None), Ellipsis)]
    if get_origin(annotation) is tuple:
        return _list_of(_type(arguments[0], ()))
    if get_origin(annotation) is dict:
        texts: dict[str, JsonValue] = {"type": "object", "additionalProperties": {"type": "string"}}
        return ValueType("labels", "a mapping of text", texts)
    return _nullable(_type(arguments[0], metadata))


def _scalar(scalar: Scalar, between: Between | None) -> ValueType:
    schema = _with_range(scalar, between) if between else scalar.json_schema
    return ValueType(scalar.name, scalar.expected, schema, between=between, scalar=scalar)


def _with_range(scalar: Scalar, between: Between) -> Mapping[str, JsonValue]:
    limits = {"minimum": between.low, "maximum": between.high}
    parsed = {key: scalar.parse(limit) for key, limit in limits.items() if limit is not None}
    numbers = {key: limit for key, limit in parsed.items() if isinstance(limit, int)}
    return _limited(scalar.json_schema, numbers)


def _limited(schema: Mapping[str, JsonValue], numbers: Mapping[str, int]) -> dict[str, JsonValue]:
    """The schema with the limits at every choice that is a whole number."""
    if schema.get("type") == "integer":
        return {**schema, **numbers}
    if "anyOf" not in schema:
        return dict(schema)
    choices = cast("list[dict[str, JsonValue]]", schema["anyOf"])
    return {**schema, "anyOf": [_limited(choice, numbers) for choice in choices]}


def _words(words: type[Words]) -> ValueType:
    names: list[JsonValue] = [str(word) for word in words]
    listed = tuple(str(word) for word in words)
    return ValueType("enum", f"one of {', '.join(listed)}", {"type": "string", "enum": names}, words=listed)


def _list_of(item: ValueType) -> ValueType:
    schema: dict[str, JsonValue] = {"type": ["array", "null"], "items": cast("JsonValue", item.json_schema)}
    expected = f"a list, each item {item.expected}"
    return ValueType(f"list of {item.name}", expected, schema, words=item.words, scalar=item.scalar)


def _nullable(inner: ValueType) -> ValueType:
    schema: dict[str, JsonValue] = {"anyOf": [cast("JsonValue", dict(inner.json_schema)), {"type": "null"}]}
    return replace(inner, json_schema=schema, is_nullable=True)
