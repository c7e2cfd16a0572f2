"""Rows of cells → aligned columns. On a terminal the last column takes what is left and is cut to it; elsewhere, where
there is no width to fit, nothing is cut."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.rendering.text import pad, width

_GAP = "  "
_LEAST = 12  # columns that the last cell keeps however narrow the terminal is


def table(rows: Sequence[Sequence[str]], *, columns: int | None, indent: str = "") -> list[str]:
    """One line a row. Cells are printable already and carry no colour. `columns` None: as wide as it takes."""
    if not rows:
        return []
    widths = [max(width(row[number]) for row in rows) for number in range(len(rows[0]) - 1)]
    if columns is None:
        return [indent + _line(row, widths, None) for row in rows]
    rest = max(_LEAST, columns - width(indent) - sum(widths) - len(widths) * len(_GAP))
    return [indent + _line(row, widths, rest) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int], rest: int | None) -> str:
    cells = [pad(cell, columns) for cell, columns in zip(row, widths, strict=False)]
    return _GAP.join([*cells, row[-1] if rest is None else cut(row[-1], rest)]).rstrip()


def cut(text: str, columns: int) -> str:
    """The text shortened to so many terminal columns, with three dots when something is missing."""
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 3:
        text = text[:-1]
    return text + "..."
