"""Every diagnostic has an id that is listed with its severity, in the code and in the documentation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from reconciler.declared.rules import RULES

ROOT = Path(__file__).parents[2]
ROOMS = ("declared", "guardrails", "applying", "planning", "review", "cli")
#: Functions whose first word is the id of what they tell; the others take it in third place.
_FIRST = {"error", "Diagnostic", "Sentence", "problem", "_problem", "_warning"}
_THIRD = {"_about"}
_ID = re.compile(r"[a-z]+(-[a-z]+)*")
#: Told by a review alone, about changes, not about a rule.
_OTHERS = {"look-at-first"}


def _calls() -> Iterator[tuple[str, list[ast.expr]]]:
    for room in ROOMS:
        for file in (ROOT / "reconciler" / room).glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                    yield name, [*node.args, *(one.value for one in node.keywords if one.arg == "code")]


def _ids() -> set[str]:
    found = set()
    for name, arguments in _calls():
        place = 0 if name in _FIRST else 2 if name in _THIRD else None
        if place is not None and len(arguments) > place:
            value = getattr(arguments[place], "value", None)
            if isinstance(value, str) and _ID.fullmatch(value):
                found.add(value)
    return found


def test_every_id_is_listed() -> None:
    assert _ids() - RULES.keys() - _OTHERS == set()


def test_what_is_listed_is_told_somewhere() -> None:
    text = "".join(
        file.read_text(encoding="utf-8")
        for room in ROOMS
        for file in (ROOT / "reconciler" / room).glob("*.py")
        if file.name != "rules.py"
    )
    assert [
        name for name in RULES if f'"{name}"' not in text and f'"{name.replace("-", "_")}"' not in text
    ] == []


def test_the_documentation_lists_the_same() -> None:
    page = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning) \| (.*) \|$", page, re.MULTILINE)
    assert rows == [(name, rule.severity.value, rule.tells) for name, rule in sorted(RULES.items())]
