"""Canonical style for files and whole directories: what would change, and writing it. Called by `reconcile fmt`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.authoring.canonical import FormatError, format_text
from reconciler.authoring.layout import LayoutError
from reconciler.declared.files import find


@dataclass(frozen=True, slots=True)
class Formatted:
    """One file before and after; `problem` says why it cannot be formatted, and then both are equal."""

    path: Path
    before: str
    after: str
    problem: str | None = None

    @property
    def is_changed(self) -> bool:
        """True when the file is not in canonical style."""
        return self.before != self.after


def formatted(paths: Iterable[Path]) -> Iterator[Formatted]:
    """Every file named, and every YAML file below a directory named; nothing is written."""
    return rewritten(paths, format_text)


def rewritten(paths: Iterable[Path], rewrite: Callable[[str], str]) -> Iterator[Formatted]:
    """The same with what `rewrite` makes of each text; it may raise FormatError and LayoutError."""
    for path in paths:
        for file in (path / name for name in find(path)) if path.is_dir() else (path,):
            yield _rewritten(file, rewrite)


def _rewritten(file: Path, rewrite: Callable[[str], str]) -> Formatted:
    try:
        before = file.read_bytes().decode("utf-8")
    except OSError as error:
        return Formatted(file, "", "", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return Formatted(file, "", "", "is no UTF-8 text")
    try:
        return Formatted(file, before, rewrite(before))
    except (FormatError, LayoutError) as error:
        return Formatted(file, before, before, str(error))
