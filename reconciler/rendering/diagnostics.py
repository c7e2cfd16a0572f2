"""Diagnostics → text with the line and a caret under the exact column, and → JSON.

estate/imap.yaml:7:26: error: maxConnectionsPerUser: expected a whole number, got "many"
  7 |   maxConnectionsPerUser: many
    |                          ^
    = hint: ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reconciler.model import Diagnostic, Position, Severity
from reconciler.rendering.text import Paint, count, escaped, painter, place, printable, width

if TYPE_CHECKING:
    from pydantic import JsonValue

FORMAT = "reconciler/diagnostics/v1"
_TAB = "    "
_WINDOW = 120  # columns of a source line that are shown; longer ones are cut around the caret
_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


class _Excerpt(NamedTuple):
    line: str
    caret: int


def render_diagnostics_text(
    diagnostics: Iterable[Diagnostic], sources: Mapping[Path, str], *, colour: bool
) -> str:
    """Every diagnostic with its line and caret, then how many there are; empty text for none."""
    paint = painter(colour=colour)
    found = tuple(diagnostics)
    lines = _Lines(sources)
    blocks = [_block(diagnostic, lines, paint) for diagnostic in found]
    return "\n\n".join([*blocks, summary(found)]) + "\n" if found else ""


def diagnostics_json(diagnostics: Iterable[Diagnostic]) -> dict[str, JsonValue]:
    """The same as data."""
    return {"format": FORMAT, "diagnostics": [_as_json(diagnostic) for diagnostic in diagnostics]}


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning in 2 files`."""
    severities = [diagnostic.severity for diagnostic in diagnostics if diagnostic.allowed is None]
    counts = [
        count(severities.count(severity), severity.value) for severity in Severity if severity in severities
    ]
    if allowed := len(diagnostics) - len(severities):
        counts.append(f"{allowed:,} allowed")
    files = {
        diagnostic.position.file
        for diagnostic in diagnostics
        if diagnostic.position and diagnostic.position.line
    }
    return ", ".join(counts) + (f" in {count(len(files), 'file')}" if files else "")


def _block(diagnostic: Diagnostic, lines: _Lines, paint: Paint) -> str:
    where = f"{place(diagnostic.position)}: " if diagnostic.position and diagnostic.position.line else ""
    if diagnostic.allowed is not None:
        return _allowed(diagnostic, where, paint)
    severity = paint(f"{diagnostic.severity.value}:", _STYLES[diagnostic.severity])
    text = [f"{paint(where, 'bold')}{severity} {printable(diagnostic.message)}"]
    gutter = "  "
    if diagnostic.position and (excerpt := lines.excerpt(diagnostic.position)):
        number = str(diagnostic.position.line)
        gutter = " " * (len(number) + 2)
        text.append(f"  {paint(number, 'dim')} {paint('|', 'dim')} {excerpt.line}".rstrip())
        text.append(f"{gutter} {paint('|', 'dim')} {' ' * excerpt.caret}{paint('^', 'red')}")
    if diagnostic.hint:
        text.append(f"{gutter} {paint('= hint:', 'cyan')} {printable(diagnostic.hint)}")
    if diagnostic.policy:
        text.append(f"{gutter} {paint('= policy:', 'cyan')} {printable(diagnostic.policy)}")
    return "\n".join(text)


def _allowed(diagnostic: Diagnostic, where: str, paint: Paint) -> str:
    reason = printable(diagnostic.allowed.reason) if diagnostic.allowed is not None else ""
    head = f"{paint(where, 'bold')}{paint('allowed:', 'dim')} {printable(diagnostic.message)}"
    return f"{head}\n   {paint('= reason:', 'cyan')} {reason}"


class _Lines:
    """The lines of each source, split once; YAML and Python agree on what ends a line."""

    def __init__(self, sources: Mapping[Path, str]) -> None:
        self._sources = sources
        self._split: dict[Path, list[str]] = {}

    def excerpt(self, position: Position) -> _Excerpt | None:
        """The line as shown and the caret's column in it; None when the source or the line is not there."""
        if position.file not in self._sources or position.line < 1:
            return None
        if position.file not in self._split:
            self._split[position.file] = self._sources[position.file].splitlines()
        lines = self._split[position.file]
        line = lines[position.line - 1] if position.line <= len(lines) else ""
        return _shown(line, position.column - 1)


def _shown(line: str, column: int) -> _Excerpt:
    cells = [_TAB if character == "\t" else escaped(character) for character in line]
    caret = width("".join(cells[:column])) + max(0, column - len(cells))
    if width("".join(cells)) <= _WINDOW:
        return _Excerpt("".join(cells), caret)
    start = max(0, column - _WINDOW // 2)
    before, after = "..." if start else "", "..." if start + _WINDOW < len(cells) else ""
    shown = "".join(cells[start : start + _WINDOW])
    return _Excerpt(before + shown + after, width(before) + width("".join(cells[start:column])))


def _as_json(diagnostic: Diagnostic) -> dict[str, JsonValue]:
    where = diagnostic.position
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "file": str(where.file) if where else None,
        "line": where.line if where and where.line else None,
        "column": where.column if where and where.line else None,
        "hint": diagnostic.hint,
        "allowed": diagnostic.allowed.reason if diagnostic.allowed is not None else None,
    }
