"""Leaves out of a file's text what may be a secret in clear, before lines of it are shown around a caret.

Diagnostics are read on terminals and in CI logs, and the very mistake that they point out may be a password written
into a file. Whatever follows a key that is, or looks like, a secret's is replaced, unless it is a reference; so is the
value that a diagnostic calls a secret. Called by `load`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from reconciler.declared.suggest import closest
from reconciler.model import Position
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS

MASK = "***"
_PAIR = re.compile(r"(?P<key>[\w-]+)[\"']?[ \t]*:[ \t]+(?=(?P<value>[^\s#][^\r\n]*))")
_PLACE = r"\{\s*(?:file|env|encrypted)\s*:\s*[^,{}]+\}"
_REFERENCE = re.compile(rf"(?:\{{\s*secretRef\s*:\s*{_PLACE}\s*\}}|{_PLACE})")
_SOUNDS_SECRET = re.compile(r"pass|pwd|secret|token|credential", re.IGNORECASE)


def masked(text: str, secrets: Iterable[Position] = ()) -> str:
    """The text with the same lines, and the same columns up to each masked value."""
    lines = [_line(line) for line in text.splitlines(keepends=True)]
    for position in secrets:
        if 0 < position.line <= len(lines):
            lines[position.line - 1] = _cut(lines[position.line - 1], position.column - 1)
    return "".join(lines)


def _line(line: str) -> str:
    for pair in _PAIR.finditer(line):
        if _is_secret(pair["key"]) and not _REFERENCE.match(pair["value"]):
            return _cut(line, pair.end())
    return line


def _cut(line: str, column: int) -> str:
    return line[:column] + MASK + line[len(line.rstrip("\r\n")) :]


@cache
def _is_secret(key: str) -> bool:
    if key in _harmless():
        return False
    return bool(_SOUNDS_SECRET.search(key)) or closest(key, _secret_names()) is not None


@cache
def _secret_names() -> frozenset[str]:
    return frozenset(
        fact.path.rpartition(".")[2] for kind in KINDS for fact in fields(kind).values() if fact.is_secret
    )


@cache
def _harmless() -> frozenset[str]:
    """Every step of every path that is no secret: passwordHashing, and words that merely resemble one."""
    paths = (fact.path for kind in KINDS for fact in fields(kind).values() if not fact.is_secret)
    return frozenset(step for path in paths for step in path.split("."))
