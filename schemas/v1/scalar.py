"""How one value of YAML becomes one value of Python and back: the machinery under `types.py`.

A `Scalar` in `Annotated` carries everything about a type: how it is read, how it is written canonically, what an error
says was expected, and its JSON Schema. `Between` limits it; `SetOf` makes a set of it. No implicit conversion
happens: a quoted number is not a number, "yes" is not a Boolean, and a Boolean is never a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from pydantic import GetCoreSchemaHandler, JsonValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

UNLIMITED: Final = "Unlimited"
#: Stands for a value that an error must not show.
HIDDEN = object()
_SHOWN = 60
_WORD = re.compile(r"[A-Za-z][\w.@/-]*", re.ASCII)


def unexpected(code: str, expected: str, got: object, *, hint: str = "") -> PydanticCustomError:
    """Return the error of a value that is not what its type expects. `hint` is appended as it is."""
    context = {"expected": expected, "got": show(got), "hint": hint}
    return PydanticCustomError(code, "expected {expected}, got {got}{hint}", context)


def show(value: object) -> str:
    """Render a value as YAML's user would recognise it, cut to a length that fits a line."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if value is HIDDEN:
        return "something else"
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else _quoted(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _quoted(value: object) -> str:
    if not isinstance(value, str):
        return str(value)
    # One line on a terminal, whatever the text holds.
    return json.dumps(value, ensure_ascii=not value.isprintable())


# Compared by identity: typing caches Annotated by equality, and two types must never fall together there.
@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A type of value. `parse` takes what YAML gave or the run-time value itself and raises ValueError when it is
    neither; its text, if any, becomes the hint of the error."""

    name: str
    expected: str
    parse: Callable[[Any], Any]
    dump: Callable[[Any], JsonValue]
    json_schema: dict[str, JsonValue]
    is_unlimitable: bool = False
    #: The value may be a secret: an error does not show it.
    hides_input: bool = False

    def validate(self, value: Any) -> Any:
        """Return the run-time value. Raises PydanticCustomError saying what was expected."""
        try:
            return self.parse(value)
        except ValueError as error:
            hint = f": {error}" if str(error) else ""
            raise unexpected(
                self.name, self.expected, HIDDEN if self.hides_input else value, hint=hint
            ) from None

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        writer = core_schema.plain_serializer_function_ser_schema(self.dump, when_used="json")
        return core_schema.no_info_plain_validator_function(self.validate, serialization=writer)

    def or_unlimited(self, *, is_null_unlimited: bool = False) -> Scalar:
        """The same type, or the word Unlimited (any case); null too where Exchange reads it so."""
        word: dict[str, JsonValue] = {"type": "string", "pattern": "^[Uu][Nn][Ll][Ii][Mm][Ii][Tt][Ee][Dd]$"}
        null: list[JsonValue] = [{"type": "null"}] if is_null_unlimited else []

        def parse(value: Any) -> Any:
            is_word = isinstance(value, str) and value.casefold() == "unlimited"
            return UNLIMITED if is_word or (is_null_unlimited and value is None) else self.parse(value)

        return Scalar(
            name=self.name,
            expected=f"{self.expected} or Unlimited",
            parse=parse,
            dump=lambda value: value if value == UNLIMITED else self.dump(value),
            json_schema={"anyOf": [self.json_schema, word, *null]},
            is_unlimitable=True,
        )


@dataclass(frozen=True, slots=True)
class Between:
    """Limits a scalar to low ≤ value ≤ high, both as YAML would write them; Unlimited passes. None: no limit."""

    low: JsonValue = None
    high: JsonValue = None

    @property
    def text(self) -> str:
        """The limits as part of a sentence."""
        if self.high is None:
            return f"at least {self.low}"
        return f"at most {self.high}" if self.low is None else f"between {self.low} and {self.high}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler(source)
        scalar = _scalar_of(inner)
        low, high = (None if limit is None else scalar.parse(limit) for limit in (self.low, self.high))
        expected = f"{scalar.expected}, {self.text}"

        def validate(value: Any) -> Any:
            try:
                parsed = scalar.parse(value)
            except ValueError as error:
                hint = f": {error}" if str(error) else ""
                raise unexpected(scalar.name, expected, value, hint=hint) from None
            if _is_outside(parsed, low, high):
                raise unexpected("range", expected, value)
            return parsed

        return core_schema.no_info_plain_validator_function(
            validate, serialization=inner.get("serialization")
        )


def _scalar_of(schema: CoreSchema) -> Scalar:
    function = schema.get("function", {})
    scalar = getattr(function.get("function"), "__self__", None) if isinstance(function, dict) else None
    if not isinstance(scalar, Scalar):
        raise TypeError("Between stands directly behind a Scalar in Annotated")
    return scalar


def _is_outside(value: Any, low: Any, high: Any) -> bool:
    if value == UNLIMITED:
        return False
    return (low is not None and value < low) or (high is not None and value > high)


@dataclass(frozen=True, slots=True)
class SetOf:
    """Makes a tuple field a set: null is empty, duplicates fall together, the order is canonical.

    `empty` stands for no member at all, where Exchange has a word for that ("None"). With `keeps_null` null is a value
    of its own, not the empty set.
    """

    empty: tuple[Any, ...] = ()
    keeps_null: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        items = core_schema.no_info_before_validator_function(self._as_list, handler(source))
        return core_schema.no_info_after_validator_function(self._canonical, items)

    def _canonical(self, items: Iterable[Any] | None) -> tuple[Any, ...] | None:
        return None if items is None else tuple(sorted(set(items), key=str)) or self.empty

    def _as_list(self, value: Any) -> Any:
        return (None if self.keeps_null else ()) if value is None else _as_tuple(value)


class ListOf:
    """Makes a tuple field a list, whose order counts; null is empty."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_list_or_empty, handler(source))


def _list_or_empty(value: Any) -> Any:
    return () if value is None else _as_tuple(value)


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(value)
    raise unexpected(
        "list", "a list", value, hint=f": write [{_items(value)}]" if isinstance(value, str) else ""
    )


def _items(text: str) -> str:
    """What stands between commas, as members of a YAML list in brackets."""
    return ", ".join(_item(one.strip()) for one in text.split(",") if one.strip()) or _item(text)


def _item(text: str) -> str:
    """The text as a member of a YAML list in brackets: in quotes when it is more than one word."""
    return text if _WORD.fullmatch(text) else _quoted(text)


class Words(StrEnum):
    """A closed set of Exchange's words. Numbers are refused, with the word that Exchange numbers so."""

    @classmethod
    def parse(cls, value: object) -> Words:
        """Return the member. Raises PydanticCustomError naming all of them."""
        if isinstance(value, str) and value in list(cls):
            return cls(value)
        raise unexpected("enum", f"one of {', '.join(cls)}", value, hint=cls._hint(value))

    @classmethod
    def _hint(cls, value: object) -> str:
        if isinstance(value, str):
            alike = [word for word in cls if word.casefold() == value.strip().casefold()]
            return f": write {alike[0]}" if alike else ""
        first = _FIRST_NUMBERS.get(cls)
        if first is None or not isinstance(value, int) or isinstance(value, bool):
            return ""
        members = list(cls)
        return f": {value} is {members[value - first]}" if 0 <= value - first < len(members) else ""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        writer = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=writer)


_FIRST_NUMBERS: dict[type[Words], int] = {}


W = TypeVar("W", bound=type[Words])


def numbered_from(first: int) -> Callable[[W], W]:
    """Decorate Words that Exchange numbers in this order, starting at `first`."""

    def note(words: W) -> W:
        _FIRST_NUMBERS[words] = first
        return words

    return note
