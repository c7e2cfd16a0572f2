"""The lines of a YAML file: where its documents begin, which text is comment, how comments are indented.

It looks at libyaml's events for what stands where and never at what values mean. Called by `canonical`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_libyaml: Any = importlib.import_module("_ruamel_yaml")  # ships no types


class LayoutError(Exception):
    """The file has something that canonical style knows nothing of; the text says what."""


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of one document without its `---`; `has_value` is false when there is nothing but comments."""

    text: str
    has_value: bool


@dataclass(slots=True)
class _Start:
    """A document as its events show it: the line of its `---` (None: it has none), and whether it holds anything."""

    line: int | None
    has_value: bool = True


def parts_of(text: str) -> list[Part]:
    """The documents of a file that can be read, in order. Comments above the first `---` go to the first document.

    Raises LayoutError for %-directives.
    """
    lines = text.splitlines(keepends=True)
    starts = _starts(text, lines)
    if not starts:
        return [Part(text, has_value=False)]
    edges = [0 if number == 0 else start.line or 0 for number, start in enumerate(starts)]
    ends = [*edges[1:], len(lines)]
    for start in starts:
        if start.line is not None:
            lines[start.line] = _without_marker(lines[start.line])
    return [
        Part("".join(lines[first:last]), start.has_value)
        for first, last, start in zip(edges, ends, starts, strict=True)
    ]


def _starts(text: str, lines: list[str]) -> list[_Start]:
    starts: list[_Start] = []
    is_root = False
    for event in events(text):
        if isinstance(event, _libyaml.DocumentStartEvent):
            if event.version or event.tags:
                raise LayoutError("%-directives have no canonical style; remove them")
            starts.append(_Start(event.start_mark.line if event.explicit else None))
        elif isinstance(event, _libyaml.DocumentEndEvent) and event.explicit:
            lines[event.start_mark.line] = (
                ""  # "...": the next document, or the end of the file, says the same
            )
        elif is_root and isinstance(event, _libyaml.ScalarEvent):
            starts[-1].has_value = bool(event.value or event.style)
        is_root = isinstance(event, _libyaml.DocumentStartEvent)
    return starts


def _without_marker(line: str) -> str:
    rest = line[3:]
    return rest.lstrip(" \t") if rest.strip() else ""


def events(text: str) -> Iterator[Any]:
    """libyaml's events of a text that it can read."""
    parser = _libyaml.CParser(text.encode())
    while not isinstance(event := parser.get_event(), _libyaml.StreamEndEvent):
        yield event


def comments_of(text: str) -> list[str]:
    """Every comment of a file that can be read, from its `#` to the end of the line. What stands behind the `|` of a
    block is not looked at."""
    rows = [list(line) for line in text.splitlines()]
    for first, last in _scalar_spans(text):
        _blank(rows, first, last)
    found = ("".join(row) for row in rows)
    return [row[row.index("#") :].rstrip() for row in found if "#" in row]


Place = tuple[int, int]


def _scalar_spans(text: str) -> Iterator[tuple[Place, Place]]:
    for event in events(text):
        if isinstance(event, _libyaml.ScalarEvent):
            first, last = event.start_mark, event.end_mark
            yield (first.line, first.column), (last.line, last.column)


def _blank(rows: list[list[str]], first: Place, last: Place) -> None:
    for line in range(first[0], min(last[0] + 1, len(rows))):
        begin = first[1] if line == first[0] else 0
        end = last[1] if line == last[0] else len(rows[line])
        rows[line][begin:end] = " " * (min(end, len(rows[line])) - begin)


def tidy(text: str) -> str:
    """Comment lines at the column of what they stand among, no blanks at the ends of lines, one line end at the end.

    Lines inside a value are left alone.
    """
    lines = text.splitlines()
    inside = {
        line for first, last in _scalar_spans(text) for line in range(first[0] + 1, last[0] + (last[1] > 0))
    }
    levels: tuple[int, ...] = (0,)
    for number, line in enumerate(lines):
        if number in inside:
            continue
        if line.lstrip().startswith("#"):
            lines[number] = _placed(line, levels, _next_column(lines, number, inside))
        elif line.strip():
            levels = _levels(levels, line)
            lines[number] = line.rstrip()
    while len(lines) - 1 not in inside and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines) + "\n"


def _placed(comment: str, levels: Sequence[int], following: int) -> str:
    """The comment at the deepest level that is open here and no deeper than it stands now."""
    column = len(comment) - len(comment.lstrip())
    open_here = [following, *(level for level in levels if level > following)]
    level = max((level for level in open_here if level <= column), default=min(open_here))
    return " " * level + comment.strip()


def _next_column(lines: Sequence[str], number: int, inside: set[int]) -> int:
    """The column of the next line that is no comment; 0 at the end."""
    for later in range(number + 1, len(lines)):
        text = lines[later].lstrip()
        if text and not text.startswith("#") and later not in inside:
            return len(lines[later]) - len(text)
    return 0


def _levels(levels: Sequence[int], line: str) -> tuple[int, ...]:
    """The columns at which something is open after this line: those around it, its own, and behind each dash."""
    column = len(line) - len(line.lstrip())
    found = [level for level in levels if level < column]
    found.append(column)
    while line[column:].startswith("- "):
        column += 2
        found.append(column)
    return tuple(found)
