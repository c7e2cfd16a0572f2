"""Where things stand in a policy file: values by their trail, and places inside an expression.

libyaml tells where a scalar begins. What follows may be plain, quoted, or a block over several lines whose line ends
are folded, so a place inside is found by counting the characters that are not blank, which no style changes.
"""

from __future__ import annotations

from pathlib import Path

from reconciler.declared.positions import Document, Mark, Trail, index
from reconciler.model import Position


class Places:
    """The positions of one document; `source` is the text of its file."""

    def __init__(self, document: Document, file: Path, source: str) -> None:
        self._file = file
        self._source = source
        self._marks = index(document)

    def of(self, trail: Trail, *, at_key: bool = False) -> Position:
        """Where the trail leads; the key of what is nearest around it when it leads nowhere."""
        while trail not in self._marks:
            trail, at_key = trail[:-1], True
        mark = self._marks[trail]
        return self._position(mark.key if at_key else mark.value)

    def inside(self, trail: Trail, text: str, *, line: int, column: int) -> Position:
        """Where line and column (from 1) of the scalar's text stand in the file."""
        mark: Mark = self._marks[trail]
        before = "".join(text.split("\n")[: line - 1]) + text.split("\n")[line - 1][: column - 1]
        return self._walk(mark.value, sum(not character.isspace() for character in before))

    def _walk(self, start: tuple[int, int], count: int) -> Position:
        line, column = start
        lines = self._source.split("\n")
        if lines[line][column : column + 1] in ("|", ">"):
            line, column = line + 1, 0
        elif lines[line][column : column + 1] in ('"', "'"):
            column += 1
        while line < len(lines):
            for at in range(column, len(lines[line])):
                if not lines[line][at].isspace():
                    if count == 0:
                        return self._position((line, at))
                    count -= 1
            line, column = line + 1, 0
        return self._position(start)

    def _position(self, place: tuple[int, int]) -> Position:
        return Position(self._file, place[0] + 1, place[1] + 1)
