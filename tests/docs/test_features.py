"""The list of capabilities names tests and verbs that exist."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.cli.main import VERBS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
_ROWS = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", PAGE, re.MULTILINE)


def test_every_row_is_shown_by_something() -> None:
    assert [number for number, shown in _ROWS if "`" not in shown] == []
    assert {int(number) for number, _ in _ROWS} == set(range(1, 72)) - {67, 69}


def test_every_file_exists() -> None:
    files = set(re.findall(r"`((?:tests|benchmarks)/[^`]+)`", PAGE))
    assert [name for name in sorted(files) if not (ROOT / name).is_file()] == []


def test_every_verb_exists() -> None:
    assert sorted(set(re.findall(r"`reconcile ([a-z]+)", PAGE)) - set(VERBS)) == []
