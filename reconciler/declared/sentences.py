"""One plain sentence for each way a value can be wrong: what, what was expected, how to go on.

The types of `schemas` say it themselves ("expected …, got …"); pydantic's own error types are translated here, so that
none of its wording reaches a user. A secret's value never becomes part of a sentence. Called by `check`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from schemas.v1.secret_reference import EXPECTED

SECRET_CODES = frozenset({"secret-in-clear", "secret-reference"})  # what stands there is never shown
_SHOWN = 60


class Sentence(NamedTuple):
    """A diagnostic's code, message (without the path of the field) and hint."""

    code: str
    message: str
    hint: str | None = None


def sentence(kind: str, context: Mapping[str, Any], *, message: str, value: object) -> Sentence:
    """The sentence for one error line of pydantic: its type, context, message and input."""
    if "expected" in context and "got" in context:
        hint = str(context.get("hint") or "").removeprefix(": ")
        return Sentence(
            kind, f"expected {context['expected']}, got {context['got']}", _better(kind, value, hint)
        )
    if kind in _BY_TYPE:
        return _BY_TYPE[kind](context, value)
    return Sentence(kind.replace("_", "-"), _without_prefix(message))


def secret_in_clear(value: object) -> Sentence:
    """A secret field holds something else than a reference; what it holds is not repeated."""
    if not isinstance(value, str | int | float):
        return Sentence("secret-reference", "expected a reference to a secret", _REFERENCE_HINT)
    return Sentence(
        "secret-in-clear", "a secret stands here in clear; expected a reference to it", _REFERENCE_HINT
    )


_REFERENCE_HINT = f"write {EXPECTED}; a secret that was committed must be changed"


def show(value: object) -> str:
    """A value as the author of YAML knows it, with its type where that is the point."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            text = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
            return f'the text "{text}"'
        case Mapping():
            return "a mapping"
        case list() | tuple() | set() | frozenset():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def _better(kind: str, value: object, hint: str) -> str | None:
    if kind == "boolean" and isinstance(value, str):
        return "write true or false without quotes; yes, no, on and off are words here"
    if isinstance(value, str) and re.fullmatch(r"[-+]?0[0-9]+", value):
        return f"leading zeros make it text; write {int(value)}"
    return hint or None


def _without_prefix(message: str) -> str:
    return re.sub(r"^(Value|Assertion) error, ", "", message)


def _expected(
    what: str, *, code: str = "type", hint: str | None = None
) -> Callable[[Mapping[str, Any], object], Sentence]:
    return lambda _context, value: Sentence(code, f"expected {what}, got {show(value)}", hint)


def _bound(words: str, key: str) -> Callable[[Mapping[str, Any], object], Sentence]:
    def say(context: Mapping[str, Any], value: object) -> Sentence:
        return Sentence("range", f"expected {words} {context[key]}, got {show(value)}")

    return say


def _one_of(context: Mapping[str, Any], value: object) -> Sentence:
    words = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
    return Sentence("enum", f"expected one of {words}, got {show(value)}")


def _rule(context: Mapping[str, Any], _value: object) -> Sentence:
    return Sentence("rule", str(context["sentence"]))


_TEXT = _expected("text", hint="put the value in quotes")
_LIST = _expected("a list", hint="write [first, second]")
_MAPPING = _expected("a mapping", hint="write key: value pairs, indented")
_WHOLE = _expected("a whole number")
_NUMBER = _expected("a number")
_FLAG = _expected("true or false", hint="yes, no, on and off are words here")

_BY_TYPE: dict[str, Callable[[Mapping[str, Any], object], Sentence]] = {
    "rule": _rule,
    "missing": lambda _context, _value: Sentence("missing", "is missing", "add it"),
    "string_type": _TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "none_required": _expected("nothing"),
    "literal_error": _one_of,
    "enum": _one_of,
    "greater_than": _bound("more than", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("less than", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "string_too_short": _bound("at least this many characters:", "min_length"),
    "string_too_long": _bound("at most this many characters:", "max_length"),
    "too_short": _bound("at least this many members:", "min_length"),
    "too_long": _bound("at most this many members:", "max_length"),
    "string_pattern_mismatch": _expected("text of the right form", code="format"),
}
