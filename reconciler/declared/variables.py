"""`${name}` in documents → the variable's value, with a note of where that was set.

A scalar that is one reference takes the variable's type; inside a longer text the value's text is inserted; `$${`
stands for `${` itself. Keys, kinds and versions hold no references, values of variables neither: nothing is expanded
twice, nothing is computed. A secret cannot get here: there is no type for one. Called by `load`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import PydanticCustomError

from reconciler.declared.check import Checker
from reconciler.declared.item import Item
from reconciler.declared.positions import Document, Mark, Trail, index
from reconciler.declared.sentences import sentence
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Position, Severity
from schemas.v1.variables import TYPES, Variable, VariableType, from_text

MARK = "${"
_WHOLE = re.compile(r"\$\{([^{}$]*)\}")
_ANY = re.compile(r"\$\$\{|\$\{([^{}$]*)\}|\$\{")
_LITERAL = ("apiVersion", "kind")
_SYNTAX_HINT = "write ${name}; $${ stands for ${ itself"


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared variable: its type, its value (None: unset), where it is declared, and where its value was set. A
    wrong one has been complained about already."""

    kind: VariableType
    value: str | int | bool | None
    position: Position
    origin: str
    is_wrong: bool = False


@dataclass(slots=True)
class Variables:
    """All variables by name, which of them were used, and a digest of their values."""

    table: dict[str, Declared] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    is_complete: bool = True

    @property
    def digest(self) -> str:
        """Equal when every reference expands to the same."""
        known = sorted((name, found.kind, repr(found.value)) for name, found in self.table.items())
        return hashlib.sha256(repr(known).encode()).hexdigest()

    def unused(self) -> Iterator[Diagnostic]:
        """A warning for each variable that no document uses."""
        for name in self.table.keys() - self.used:
            message = f"nothing uses the variable {name}"
            yield Diagnostic(
                "unused-variable", Severity.WARNING, message, self.table[name].position, "remove it"
            )


def declare(items: Sequence[Item], given: Mapping[str, str]) -> tuple[Variables, list[Diagnostic]]:
    """The variables that these documents declare, with the values `given` on the command line."""
    variables, problems = Variables(), []
    typed = [name for item in items for name in _typed(item.document)]
    for item in items:
        checker = Checker(item.document, item.file)
        for name, variable in checker.variables(typed).items():
            if (known := variables.table.get(name)) is not None:
                message = f"variable {name} is declared already, at {known.position}"
                checker.problem("duplicate-variable", message, ("spec", name), at_key=True, hint="remove one")
            else:
                variables.table[name] = _declared(name, variable, checker)
        if checker.problems:
            item.complain()
            variables.is_complete = False
            problems.extend(checker.problems)
    problems.extend(_set(variables, given))
    return variables, problems


def _typed(document: Document) -> Iterator[str]:
    """The variables that a document gives a type, whatever else is wrong with it."""
    match document.value:
        case {"spec": dict(spec)}:
            yield from (str(name) for name, raw in spec.items() if isinstance(raw, dict) and "type" in raw)


def _declared(name: str, variable: Variable, checker: Checker) -> Declared:
    where = "value" if variable.value is not None else "default"
    value = getattr(variable, where)
    trail: Trail = ("spec", name, where)
    at_key = checker.position(("spec", name), at_key=True)
    if value is None:
        return Declared(variable.type, None, at_key, "")
    if isinstance(value, str) and MARK in value:
        message = f"{name}: the value of a variable uses no other variable"
        checker.problem("variable-syntax", message, trail, hint="write the value out")
    elif (wrong := _mistyped(variable.type, value)) is not None:
        checker.problem("variable-type", f"{name}: {wrong}", trail)
    else:
        return Declared(variable.type, value, at_key, f"set at {checker.position(trail)}")
    return Declared(variable.type, None, at_key, "", is_wrong=True)


def _mistyped(kind: VariableType, value: object) -> str | None:
    try:
        TYPES[kind].validate(value)
    except PydanticCustomError as failure:
        return sentence(failure.type, failure.context or {}, message=failure.message(), value=value).message
    return None


def _set(variables: Variables, given: Mapping[str, str]) -> Iterator[Diagnostic]:
    for name, text in given.items():
        known = variables.table.get(name)
        if known is None:
            if variables.is_complete:
                message = f"--set {name}=…: no Variables document declares {name}"
                yield _without_place("unknown-variable", message, did_you_mean(name, variables.table))
            continue
        value = from_text(text, known.kind)
        wrong = _mistyped(known.kind, text if value is None else value)
        if wrong is not None:
            yield _without_place("variable-type", f"--set {name}=…: {wrong}", f"declared at {known.position}")
        is_wrong = wrong is not None
        variables.table[name] = Declared(known.kind, value, known.position, "set by --set", is_wrong=is_wrong)


def _without_place(code: str, message: str, hint: str | None) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, None, hint)


class Substituted(NamedTuple):
    """A document with its references replaced. It is whole when all could be; why not, `problems` tell, or those of the
    variables themselves."""

    document: Document
    problems: tuple[Diagnostic, ...] = ()
    is_whole: bool = True


def substitute(item: Item, variables: Variables) -> Substituted:
    """The document with every reference replaced."""
    document = item.document
    if not isinstance(document.value, dict):
        return Substituted(document)
    expanding = _Expanding(item, variables)
    value = {
        key: child if key in _LITERAL else expanding.walk(child, (key,))
        for key, child in document.value.items()
    }
    found = Document(value, document.marks, document.files, expanding.notes)
    return Substituted(found, tuple(expanding.problems), expanding.is_whole)


class _Expanding:
    """One walk over a document."""

    def __init__(self, item: Item, variables: Variables) -> None:
        self.item = item
        self.variables = variables
        self.notes: dict[Trail, str] = {}
        self.problems: list[Diagnostic] = []
        self.is_whole = True
        self._marks: Mapping[Trail, Mark] | None = None

    def walk(self, value: Any, trail: Trail) -> Any:
        """A copy of the value with its texts expanded."""
        if isinstance(value, str):
            return self._text(value, trail) if MARK in value else value
        if isinstance(value, dict):
            return {key: self.walk(child, (*trail, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [self.walk(child, (*trail, number)) for number, child in enumerate(value)]
        return value

    def _text(self, text: str, trail: Trail) -> Any:
        if (whole := _WHOLE.fullmatch(text)) is not None:
            return self._value(whole[1], trail)
        return _ANY.sub(lambda found: self._part(found, trail), text)

    def _part(self, found: re.Match[str], trail: Trail) -> str:
        if found[0] == "$" + MARK:
            return MARK
        if found[1] is None:
            self._refuse("variable-syntax", f"{MARK} is never closed", trail, _SYNTAX_HINT)
            return found[0]
        value = self._value(found[1], trail)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _value(self, name: str, trail: Trail) -> str | int | bool | None:
        known = self.variables.table.get(name)
        self.variables.used.add(name)
        if known is not None and known.value is not None and not known.is_wrong:
            self.notes[trail] = f"${{{name}}} is {known.origin}"
            return known.value
        self.is_whole = False
        if known is None and self.variables.is_complete:
            hint = did_you_mean(name, self.variables.table)
            hint = hint or f"declare it in a document of kind Variables; {_SYNTAX_HINT}"
            self._refuse("unknown-variable", f'there is no variable "{name}"', trail, hint)
        elif known is not None and not known.is_wrong:
            message = f"variable {name} is not set; it is declared at {known.position}"
            hint = f"give it a default there, a value in the overlay, or --set {name}=VALUE"
            self._refuse("unset-variable", message, trail, hint)
        return ""

    def _refuse(self, code: str, message: str, trail: Trail, hint: str) -> None:
        self.is_whole = False
        if self._marks is None:
            self._marks = index(self.item.document)
        position = self.item.document.position(self._marks[trail], self.item.file)
        self.problems.append(error(code, message, position, hint))


def noted(problems: Iterable[Diagnostic], documents: Iterable[tuple[Document, Any]]) -> list[Diagnostic]:
    """The problems, those at a value that came from a variable with where it was set. `documents` come with the file
    that they stand in."""
    notes: dict[Position, str] = {}
    for document, file in documents:
        if document.notes:
            marks = index(document)
            notes.update(
                {document.position(marks[trail], file): text for trail, text in document.notes.items()}
            )
    return [_with_note(problem, notes) for problem in problems]


def _with_note(problem: Diagnostic, notes: Mapping[Position, str]) -> Diagnostic:
    note = notes.get(problem.position) if problem.position else None
    if note is None:
        return problem
    return Diagnostic(
        problem.code, problem.severity, f"{problem.message}; {note}", problem.position, problem.hint
    )
