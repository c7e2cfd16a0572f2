"""CEL expressions: compiled and type-checked once, evaluated often. The only module that knows the CEL library.

The library (Google's C++ runtime, `cel_expr_python`) is imported at the first compilation, so that nobody without
policies pays for it. It cannot loop without end: an evaluation ends after 10,000 steps of its macros. Nothing an
expression does reaches a file or the network. Errors are sentences with a place in the expression, never crashes.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from reconciler.declared.suggest import did_you_mean
from reconciler.guardrails import functions

Documents = Mapping[str, Callable[[], object]]

_PLACE = re.compile(r"ERROR: <input>:-?(\d+):-?(\d+): ([^\n]*)")
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")


_REFUSED = (RuntimeError, TypeError, UnicodeError)  # the last two: text or numbers that CEL has no form of
_KNOWN = ("limit", "span", "covers", "addresses", "size", "timestamp", "duration", "has")


class CelSyntaxError(Exception):
    """An expression cannot be compiled; line and column count from 1 within it."""

    def __init__(self, message: str, line: int, column: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.hint = hint


class CelValueError(Exception):
    """An expression has no value for these variables; the text says why."""


class Variables:
    """The variables of one subject by name, each made when an expression first asks for it. The library's own form of
    them is kept from one expression to the next: making it costs more than an evaluation."""

    __slots__ = ("_activation", "_bound", "_documents", "_values")

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._values: dict[str, object] = {}
        self._bound: frozenset[str] = frozenset()
        self._activation: Any = None

    def activation(self, environment: Any, names: frozenset[str]) -> Any:
        """An activation with at least these names. All expressions about one subject are of one environment."""
        if self._activation is None or not names <= self._bound:
            for name in names - self._bound:
                self._values[name] = self._documents[name]()
            self._bound = self._bound | names
            self._activation = environment.Activation(self._values)
        return self._activation


class Expression:
    """One compiled expression over the variables of a scope; `mentions` are those that it needs."""

    __slots__ = ("_environment", "_program", "mentions", "text")

    def __init__(self, text: str, environment: Any, program: Any, mentions: frozenset[str]) -> None:
        self.text = text
        self.mentions = mentions
        self._environment = environment
        self._program = program

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def value(self, variables: Variables) -> Any:
        """Its value. Raises CelValueError."""
        try:
            result = self._program.eval(variables.activation(self._environment, self.mentions))
        except _REFUSED as failure:
            raise CelValueError(_reason(str(failure))) from None
        value = result.value()
        if isinstance(value, bool):
            return value
        if result.type().name() == "ERROR":
            raise CelValueError(_reason(str(value)))
        return result.plain_value()

    def is_true(self, variables: Variables) -> bool:
        """Its value, which must be true or false. Raises CelValueError."""
        value = self.value(variables)
        if isinstance(value, bool):
            return value
        raise CelValueError(f"expected true or false, got {value!r}")


def compile_expression(text: str, variables: frozenset[str], *, is_condition: bool) -> Expression:
    """Compile an expression over these variables; a condition is true or false. Raises CelSyntaxError."""
    environment = _environment(variables)
    try:
        program = environment.compile(text)
    except (TypeError, UnicodeError):
        raise CelSyntaxError("a character in it is not Unicode", 1, 1) from None
    except RuntimeError as failure:
        raise _syntax_error(str(failure), text, variables) from None
    kind = program.return_type().name()
    if is_condition and kind not in ("BOOL", "DYN"):
        raise CelSyntaxError(f"expected an expression that is true or false, this is {_article(kind)}", 1, 1)
    return Expression(text, environment, program, variables & set(_WORD.findall(_QUOTED.sub("", text))))


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind.lower()}"


@cache
def _library() -> Any:
    return importlib.import_module(
        "cel_expr_python.cel"
    )  # its stubs need protobuf's, which nothing else here does


@cache
def _environment(variables: frozenset[str]) -> Any:
    cel = _library()
    strings = importlib.import_module("cel_expr_python.ext.ext_strings")
    types = {name: cel.Type.TIMESTAMP if name == "now" else cel.Type.DYN for name in variables}
    return cel.NewEnv(variables=types, functions=_functions(cel), extensions=[strings.ExtStrings()])


def _functions(cel: Any) -> list[Any]:
    text, number, null = cel.Type.STRING, cel.Type.INT, cel.Type.NULL
    rows = (
        (functions.limit, number, ((text,), (number,), (null,))),
        (functions.span, cel.Type.DURATION, ((text,),)),
        (functions.covers, cel.Type.BOOL, ((text, text),)),
        (functions.addresses, number, ((text,), (cel.Type.LIST,))),
    )
    return [_declaration(cel, function, result, overloads) for function, result, overloads in rows]


def _declaration(cel: Any, function: Any, result: Any, overloads: tuple[tuple[Any, ...], ...]) -> Any:
    name = function.__name__
    return cel.FunctionDecl(
        name,
        [
            cel.Overload(f"{name}_{number}", return_type=result, parameters=list(parameters), impl=function)
            for number, parameters in enumerate(overloads)
        ],
    )


def _syntax_error(text: str, expression: str, variables: frozenset[str]) -> CelSyntaxError:
    found = _PLACE.search(text)
    if found is None:
        return CelSyntaxError(_reason(text), 1, 1)
    message = found[3].removesuffix(" [INVALID_ARGUMENT]").replace(" (in container '')", "")
    line, column = int(found[1]), int(found[2])
    unknown = _UNDECLARED.search(message)
    if unknown is None:
        return CelSyntaxError(message, line, column)
    name = unknown[1].partition(".")[0]
    hint = did_you_mean(name, (*variables, *_KNOWN)) or f"known here: {', '.join(sorted(variables))}"
    # The library points at a dot inside of the name.
    start = expression.split("\n")[line - 1].find(unknown[1])
    return CelSyntaxError(f'unknown name "{name}"', line, start + 1 if start >= 0 else column, hint)


def _reason(text: str) -> str:
    if "Iteration budget exceeded" in text:
        return "it goes through more than 10,000 items; look at one item at a time with match.each"
    plain = re.sub(r"^(?:[A-Z_]+: )|\s*\[[A-Z_]+\]$", "", text.strip())
    return plain.replace('Key not found in map : "', 'there is no "')
