"""Turns what libyaml says about broken YAML into sentences that say what to do. Called by `reader` alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from reconciler.model import Diagnostic, Position, Severity

_TAB_HINT = "replace the tab with spaces; YAML refuses tabs in indentation"
_INDENT_HINT = (
    "keys of one mapping start in the same column; check the indentation of this line and the one above"
)
_VARIABLE_HINT = 'inside { } and [ ] a reference needs quotes: "${name}"'
_SPECIAL_HINT = "put the value in quotes"

_COLON = "found unexpected ':'"
#: In the hint, until what is said is known. Nothing but an address is repeated: it may be a secret.
_ADDRESS = "127.0.0.1:10993"
_IS_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}:\d{1,5}", re.ASCII)

_SENTENCES: dict[str, tuple[str, str]] = {
    "mapping values are not allowed in this context": (
        "a colon stands where no key can be",
        "check the indentation of this line and the one above, or put a value that holds a colon in quotes",
    ),
    _COLON: (
        "a value with a colon needs quotes inside [ ] and { }",
        f'write ["{_ADDRESS}"], or each value on a line of its own: - {_ADDRESS}',
    ),
    "did not find expected key": ("this line does not belong to the mapping above it", _INDENT_HINT),
    "did not find expected '-' indicator": (
        "this line does not belong to the list above it",
        'list items start with "- " in one column; a mapping and a list cannot be mixed',
    ),
    "did not find expected ',' or ']'": ("this list is never closed", "close it with ]"),
    "did not find expected ',' or '}'": ("this mapping is never closed", "close it with }"),
    "did not find expected <document start>": (
        "this line stands outside the document above it",
        "indent it like the first line, or start a new document with ---",
    ),
    "could not find expected ':'": ("this line is no key with a value", 'write "key: value"'),
    "found undefined tag handle": ("tags are not supported", "remove the word that starts with !"),
    "found unknown escape character": (
        "unknown escape in double quotes",
        "write \\\\ for a backslash, or use single quotes",
    ),
    "did not find expected node content": (
        "no value starts like this",
        'an IPv6 address needs quotes: "[::1]:10993"; so does every value that starts with a colon, [ or {',
    ),
    "did not find expected alphabetic or numeric character": (
        "a value that starts with * or & needs quotes",
        'write "*.contoso.example"',
    ),
    "found unexpected end of stream": ("this quote is never closed", "close it with the same quote"),
}
_AT_CONTEXT = frozenset(
    {
        "found unexpected end of stream",
        "did not find expected ',' or ']'",
        "did not find expected ',' or '}'",
    },
)


class LineColumn(Protocol):
    """A libyaml mark; counts from 0."""

    line: int
    column: int


def position_of(mark: LineColumn, file: Path) -> Position:
    """A libyaml mark as a position that counts from 1."""
    return Position(file, mark.line + 1, mark.column + 1)


def position_at(content: bytes, offset: int, file: Path) -> Position:
    """The position of a byte offset; bytes before it must be UTF-8."""
    before = content[:offset].decode("utf-8", errors="replace")
    line = before.count("\n")
    return Position(file, line + 1, len(before) - (before.rfind("\n") + 1) + 1)


def error(code: str, message: str, position: Position, hint: str | None = None) -> Diagnostic:
    """A diagnostic of severity error."""
    return Diagnostic(code, Severity.ERROR, message, position, hint)


def encoding_error(failure: UnicodeDecodeError, content: bytes, file: Path) -> Diagnostic:
    """The file is not UTF-8: names the byte."""
    byte = content[failure.start]
    return error(
        "not-utf-8",
        f"byte 0x{byte:02x} is not UTF-8; files are read as UTF-8 alone",
        position_at(content, failure.start, file),
        "save the file as UTF-8",
    )


def reader_error(failure: Exception, content: bytes, file: Path) -> Diagnostic:
    """A control character that YAML refuses."""
    offset = int(getattr(failure, "position", 0))
    return error(
        "control-character",
        "a control character that YAML does not allow",
        position_at(content, offset, file),
        "delete it, or write it as an escape in double quotes",
    )


def scanner_error(failure: Exception, content: bytes, file: Path) -> Diagnostic:
    """Any other complaint of libyaml, placed where the cause is rather than where it gave up."""
    problem = str(getattr(failure, "problem", None) or failure)
    mark = _cause(failure, problem)
    position = position_of(mark, file) if mark is not None else Position(file, 1, 1)
    if problem.startswith("found character that cannot start any token"):
        return _stray_character(content, position)
    message, hint = _SENTENCES.get(
        problem, (f"not valid YAML: {problem}", "check this line and the one above")
    )
    if problem == _COLON and (address := _address_at(content, position)) is not None:
        hint = hint.replace(_ADDRESS, address)
    if _has_bare_reference(content, position.line):
        hint = _VARIABLE_HINT
    return error("yaml-syntax", message, position, hint)


def _has_bare_reference(content: bytes, line: int) -> bool:
    """True when a `${name}` without quotes ended a flow mapping too early, or started one."""
    return re.search(r"[{\[].*[^\"'$]\$\{", _line(content, line)) is not None


def _line(content: bytes, number: int) -> str:
    lines = content.decode("utf-8").splitlines()
    return lines[number - 1] if number <= len(lines) else ""


def _address_at(content: bytes, position: Position) -> str | None:
    """The IPv4 address with a port that the position is in."""
    found = _IS_ADDRESS.finditer(_line(content, position.line))
    return next((one[0] for one in found if one.start() < position.column <= one.end()), None)


def _cause(failure: Exception, problem: str) -> LineColumn | None:
    context: LineColumn | None = getattr(failure, "context_mark", None)
    found: LineColumn | None = getattr(failure, "problem_mark", None)
    return context if context is not None and problem in _AT_CONTEXT else found


def _stray_character(content: bytes, position: Position) -> Diagnostic:
    line = content.decode("utf-8").splitlines()[position.line - 1]
    character = line[position.column - 1]
    if character == "\t":
        return error("yaml-tab", "a tab in the indentation", position, _TAB_HINT)
    return error("yaml-syntax", f"a value cannot start with {character}", position, _SPECIAL_HINT)
