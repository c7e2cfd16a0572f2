"""What every kind is made of: the `Spec` base class and the markers that state facts beside a field.

A field of a kind is declared once: its type, its default, and in `Annotated` what else is known of it. `facts.py` reads
the markers; nobody else does. The YAML name of a field is derived here, and only here, from its Exchange name.

Nothing here knows a particular kind, reads a file or compares two specs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from schemas.v1.impact import Impact

T = TypeVar("T")


@dataclass(frozen=True, slots=True, init=False)
class FieldImpact:
    """What a change of the field costs, and which services (names, such as "imap4") pay."""

    impact: Impact
    services: tuple[str, ...]

    def __init__(self, impact: Impact, services: Iterable[str]) -> None:
        object.__setattr__(self, "impact", impact)
        object.__setattr__(self, "services", tuple(services))


class Restarts(FieldImpact):
    """A change applies after a restart of these services."""

    __slots__ = ()

    def __init__(self, *services: str) -> None:
        super().__init__(Impact.RESTART, services)


class Reloads(FieldImpact):
    """A change applies to new sessions of these services; sessions that are open go on as they are."""

    __slots__ = ()

    def __init__(self, *services: str) -> None:
        super().__init__(Impact.RELOAD, services)


class TakesEffectAtOnce(FieldImpact):
    """A change applies without touching any service."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Impact.NONE, ())


@dataclass(frozen=True, slots=True)
class Exchange:
    """Exchange's name of the field, spelled as its cmdlets spell it. Fields of our own have none."""

    name: str

    @property
    def yaml_name(self) -> str:
        """The name in YAML: the leading run of capitals is lowered, so SSLBindings is sslBindings."""
        return _LEADING_CAPITALS.sub(lambda match: match.group().lower(), self.name, count=1)


_LEADING_CAPITALS = re.compile(r"^[A-Z]+(?![a-z])|^[A-Z]")


@dataclass(frozen=True, slots=True)
class Unit:
    """What the number counts: "connections", "bytes", "messages/minute"."""

    name: str


@dataclass(frozen=True, slots=True)
class Secret:
    """The field refers to a secret. It is left out of every dump and every digest."""


@dataclass(frozen=True, slots=True)
class SecurityRelevant:
    """A change of the field, or of anything in its group, is what a review shows first. `why` goes on from "it"."""

    why: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The field names another resource of this kind."""

    kind: str


class Model(BaseModel):
    """A frozen value with fields in YAML names: what a spec and the groups inside it have in common.

    Python code builds it by attribute names; `codec.parse_spec` accepts YAML names only.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
        # Building validators is put off to the first use, so that importing every kind stays cheap.
        defer_build=True,
    )

    #: What a change costs where the field itself says nothing. None: see the field that holds this group.
    default_impact: ClassVar[FieldImpact | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for attribute, field in cls.model_fields.items():
            if field.alias is None:
                _give_yaml_name(attribute, field)

    def rules(self) -> Iterator[tuple[str, str]]:
        """Yield (attribute, sentence) for each rule between fields that is broken. A kind overrides this."""
        yield from ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        if broken := [self._broken(attribute, sentence) for attribute, sentence in self.rules()]:
            # pydantic merges the lines of an error raised in a validator into its own, each at its own field.
            raise ValidationError.from_exception_data(type(self).__name__, broken)
        return self

    @classmethod
    def _broken(cls, attribute: str, sentence: str) -> InitErrorDetails:
        error = PydanticCustomError("rule", "{sentence}", {"sentence": sentence})
        return InitErrorDetails(type=error, loc=(cls.yaml_name(attribute),), input=None)

    @classmethod
    def yaml_name(cls, attribute: str) -> str:
        """How YAML spells this attribute."""
        return cls.model_fields[attribute].alias or attribute


class Spec(Model):
    """The settings of one resource. The class has the name of its kind."""

    #: Required fields that other fields may fill in: YAML name → {YAML name of the other: its values that do}.
    filled_in: ClassVar[Mapping[str, Mapping[str, tuple[str, ...]]]] = {}

    def as_live(self) -> Self:
        """What a target keeps of this declaration; two specs mean the same when these are equal."""
        return self

    @classmethod
    @cache
    def secret_attributes(cls) -> frozenset[str]:
        """The attributes that hold references to secrets."""
        fields = cls.model_fields.items()
        return frozenset(name for name, field in fields if marker(field.metadata, Secret) is not None)


def marker(metadata: Iterable[object], kind: type[T]) -> T | None:
    """Return the marker of this class among a field's metadata."""
    return next((found for found in metadata if isinstance(found, kind)), None)


def _give_yaml_name(attribute: str, field: FieldInfo) -> None:
    exchange = marker(field.metadata, Exchange)
    name = exchange.yaml_name if exchange else _camel(attribute)
    field.alias = field.validation_alias = field.serialization_alias = name


def _camel(attribute: str) -> str:
    head, *tail = attribute.split("_")
    return head + "".join(word.capitalize() for word in tail)
