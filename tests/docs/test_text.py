"""House rules that a program can check: marks that must not be left, and escape hatches, whose count only falls."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path for house in ("reconciler", "runtime", "schemas") for path in sorted((ROOT / house).rglob("*.py"))
]

#: escape hatch → how many there are; lower it when you remove one, never raise it.
ESCAPE_HATCHES = {r"#\s*type:\s*ignore": 3, r"#\s*noqa": 36, r"pragma:\s*no cover": 0}


@pytest.mark.parametrize("mark", ["NotImplementedError", "TODO", "FIXME", "XXX"])
def test_nothing_is_left_undone(mark: str) -> None:
    word = re.compile(rf"\b{mark}\b")
    assert [
        str(path.relative_to(ROOT)) for path in SOURCES if word.search(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize("hatch", ESCAPE_HATCHES)
def test_escape_hatches_do_not_grow(hatch: str) -> None:
    found = [path for path in SOURCES for _ in re.findall(hatch, path.read_text(encoding="utf-8"))]
    assert len(found) <= ESCAPE_HATCHES[hatch], sorted({str(path.relative_to(ROOT)) for path in found})
