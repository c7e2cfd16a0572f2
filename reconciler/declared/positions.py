"""Where each value of a document stands, kept as packed numbers and unpacked only when somebody asks.

The reader appends one number (line and column) for every node in the order in which the document is written, and one
more for every mapping key in front of its value. Walking the value in the same order finds them again, so ten thousand
documents cost a few megabytes and nobody pays for positions that no message needs. A document that was put together
from several files names them, and its marks say in which of them each value is written.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from reconciler.model import Position

Step = str | int
Trail = tuple[Step, ...]
COLUMN_BITS = 24  # a mark is line << 24 | column, both from 0; no file is longer than 2**24 bytes
FILE_BITS = 48  # above the line: the number of the file among those of the document
_COLUMN = (1 << COLUMN_BITS) - 1
_LINE = (1 << (FILE_BITS - COLUMN_BITS)) - 1


class Mark(NamedTuple):
    """Where a value starts and, in a mapping, where its key does; (line, column) from 0, and the number of the file
    among those of the document."""

    value: tuple[int, int]
    key: tuple[int, int]
    value_file: int = 0
    key_file: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the packed marks of its nodes; as text they are base64 of eight bytes each.

    `files` are those that it was put together from, none for one that stands in a single file. `notes` say of a value
    where it comes from, when that is not where it stands."""

    value: object
    marks: Sequence[int] | str
    files: tuple[Path, ...] = ()
    notes: Mapping[Trail, str] = field(default_factory=dict)

    def marks_text(self) -> str:
        """The marks in the form that a cache keeps."""
        if isinstance(self.marks, str):
            return self.marks
        return b64encode(array("Q", self.marks).tobytes()).decode("ascii")

    def position(self, mark: Mark, file: Path, *, at_key: bool = False) -> Position:
        """The mark as people count; `file` is that of a document that stands in a single one."""
        line, column = mark.key if at_key else mark.value
        if self.files:
            file = self.files[mark.key_file if at_key else mark.value_file]
        return Position(file, line + 1, column + 1)


def index(document: Document) -> dict[Trail, Mark]:
    """Every node of the document by the keys and list indexes that lead to it."""
    return dict(_walk(document))


def _walk(document: Document) -> Iterator[tuple[Trail, Mark]]:
    marks = iter(numbers(document.marks))
    here = next(marks)
    yield (), _mark(here, here)
    stack = [_children((), document.value)]
    while stack:
        for trail, value in stack[-1]:
            key = next(marks) if isinstance(trail[-1], str) else None
            start = next(marks)
            yield trail, _mark(start, start if key is None else key)
            if isinstance(value, dict | list):
                stack.append(_children(trail, value))
                break
        else:
            stack.pop()


def numbers(marks: Sequence[int] | str) -> Sequence[int]:
    """The packed marks as numbers."""
    return array("Q", b64decode(marks)) if isinstance(marks, str) else marks


def _mark(value: int, key: int) -> Mark:
    return Mark(_line_column(value), _line_column(key), value >> FILE_BITS, key >> FILE_BITS)


def _line_column(mark: int) -> tuple[int, int]:
    return mark >> COLUMN_BITS & _LINE, mark & _COLUMN


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
    """Positions of a document's spec by YAML path ("bindings[0]") and of its lifecycle ("lifecycle.protect"), found
    when first asked; "" is the document."""

    __slots__ = ("_document", "_file", "_found")

    def __init__(self, document: Document, file: Path) -> None:
        self._document = document
        self._file = file
        self._found: dict[str, Position] | None = None

    @property
    def document(self) -> Document:
        """What they are of."""
        return self._document

    @property
    def files(self) -> tuple[Path, ...]:
        """All that the document was put together from."""
        return self._document.files or (self._file,)

    def _positions(self) -> dict[str, Position]:
        if self._found is None:
            marks = index(self._document)
            self._found = {"": self._document.position(marks[()], self._file)}
            for trail, mark in marks.items():
                if len(trail) > 1 and trail[0] == "spec":
                    self._found[path_text(trail[1:])] = self._document.position(mark, self._file)
                elif len(trail) > 1 and trail[0] == "lifecycle":
                    self._found[path_text(trail)] = self._document.position(mark, self._file)
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

    def __getitem__(self, path: str) -> Position:
        return self._positions()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions())

    def __len__(self) -> int:
        return len(self._positions())
