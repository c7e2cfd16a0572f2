"""Golden files: the exact text of a renderer, kept beside the tests."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def assert_golden(name: str, shown: str) -> None:
    """`shown` is what the golden file holds. WRITE_GOLDEN_FILES=1 writes it first."""
    path = GOLDEN / name
    if os.environ.get("WRITE_GOLDEN_FILES"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
