"""Where each value of a document stands, kept as packed numbers and unpacked only when somebody asks.

The reader appends one number (line and column) for every node in the order in which the document is written, and one
more for every mapping key in front of its value. Walking the value in the same order finds them again, so ten thousand
documents cost a few megabytes and nobody pays for positions that no message needs.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from reconciler.model import Position

Step = str | int
Trail = tuple[Step, ...]
COLUMN_BITS = 24  # a mark is line << 24 | column, both from 0; no file is longer than 2**24 bytes


class Mark(NamedTuple):
    """Where a value starts and, in a mapping, where its key does; (line, column) from 0."""

    value: tuple[int, int]
    key: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the packed marks of its nodes; as text they are base64 of eight bytes each."""

    value: object
    marks: Sequence[int] | str

    def marks_text(self) -> str:
        """The marks in the form that a cache keeps."""
        if isinstance(self.marks, str):
            return self.marks
        return b64encode(array("Q", self.marks).tobytes()).decode("ascii")


def index(document: Document) -> dict[Trail, Mark]:
    """Every node of the document by the keys and list indexes that lead to it."""
    return dict(_walk(document))


def _walk(document: Document) -> Iterator[tuple[Trail, Mark]]:
    marks = map(_unpack, _numbers(document.marks))
    here = next(marks)
    yield (), Mark(here, here)
    stack = [_children((), document.value)]
    while stack:
        for trail, value in stack[-1]:
            key = next(marks) if isinstance(trail[-1], str) else None
            start = next(marks)
            yield trail, Mark(start, key or start)
            if isinstance(value, dict | list):
                stack.append(_children(trail, value))
                break
        else:
            stack.pop()


def _numbers(marks: Sequence[int] | str) -> Sequence[int]:
    return array("Q", b64decode(marks)) if isinstance(marks, str) else marks


def _unpack(mark: int) -> tuple[int, int]:
    return mark >> COLUMN_BITS, mark & ((1 << COLUMN_BITS) - 1)


def _children(trail: Trail, value: object) -> Iterator[tuple[Trail, object]]:
    if isinstance(value, dict):
        return (((*trail, key), child) for key, child in value.items())
    if isinstance(value, list):
        return (((*trail, number), child) for number, child in enumerate(value))
    return iter(())


def path_text(trail: Trail) -> str:
    """`("services", "imap4")` as "services.imap4", list items as "bindings[0]"."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in trail)
    return text.removeprefix(".")


class Positions(Mapping[str, Position]):
    """Positions of a document's spec by YAML path ("bindings[0]"), found when first asked; "" is the document."""

    __slots__ = ("_document", "_file", "_found")

    def __init__(self, document: Document, file: Path) -> None:
        self._document = document
        self._file = file
        self._found: dict[str, Position] | None = None

    def _positions(self) -> dict[str, Position]:
        if self._found is None:
            marks = index(self._document)
            self._found = {"": self._position(marks[()])}
            for trail, mark in marks.items():
                if len(trail) > 1 and trail[0] == "spec":
                    self._found[path_text(trail[1:])] = self._position(mark)
        return self._found

    def item(self, path: str, is_wanted: Callable[[object], bool]) -> Position | None:
        """Where the first wanted member of the list at `path` (a top-level field) is written."""
        spec = self._document.value["spec"] if isinstance(self._document.value, dict) else {}
        members = spec.get(path)
        found = (
            number
            for number, raw in enumerate(members if isinstance(members, list) else ())
            if is_wanted(raw)
        )
        number = next(found, None)
        return None if number is None else self[f"{path}[{number}]"]

    def _position(self, mark: Mark) -> Position:
        line, column = mark.value
        return Position(self._file, line + 1, column + 1)

    def __getitem__(self, path: str) -> Position:
        return self._positions()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions())

    def __len__(self) -> int:
        return len(self._positions())
