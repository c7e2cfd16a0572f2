"""Diagnostics → SARIF 2.1.0, which code hosts show on the lines of a pull request.

Sources: SARIF 2.1.0 (OASIS), sections 3.14 run, 3.27 result, 3.28 location, 3.30 region, 3.35 suppression.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from urllib.parse import quote

from pydantic import JsonValue

from reconciler.model import Diagnostic, Position, Severity
from reconciler.rendering.text import printable

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}


def sarif(diagnostics: Iterable[Diagnostic], *, about: Mapping[str, str]) -> dict[str, JsonValue]:
    """One run. `about`: a sentence for those rules that have one."""
    found = tuple(diagnostics)
    codes = sorted({diagnostic.code for diagnostic in found})
    rules: list[JsonValue] = [_rule(code, about.get(code)) for code in codes]
    driver: dict[str, JsonValue] = {"name": "reconcile", "rules": rules}
    results: list[JsonValue] = [_result(diagnostic, codes) for diagnostic in found]
    run: dict[str, JsonValue] = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str, about: str | None) -> JsonValue:
    rule: dict[str, JsonValue] = {"id": code, "name": "".join(part.title() for part in code.split("-"))}
    return rule | {"shortDescription": {"text": about}} if about else rule


def _result(diagnostic: Diagnostic, codes: list[str]) -> JsonValue:
    text = printable(diagnostic.message) + (f" ({printable(diagnostic.hint)})" if diagnostic.hint else "")
    result: dict[str, JsonValue] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": text},
        "partialFingerprints": {"finding/v1": _fingerprint(diagnostic)},
    }
    if diagnostic.position is not None:
        result["locations"] = [{"physicalLocation": _location(diagnostic.position)}]
    if diagnostic.allowed is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": printable(diagnostic.allowed.reason)}]
    return result


def _location(position: Position) -> JsonValue:
    location: dict[str, JsonValue] = {"artifactLocation": {"uri": uri(position)}}
    if position.line:
        location["region"] = {"startLine": position.line, "startColumn": max(1, position.column)}
    return location


def uri(position: Position) -> str:
    """The file as a URI reference: relative as it is, absolute as a file URI."""
    path = PurePosixPath(position.file.as_posix())
    return path.as_uri() if path.is_absolute() else quote(str(path))


def _fingerprint(diagnostic: Diagnostic) -> str:
    """The same for the same finding wherever in the file it has moved."""
    file = diagnostic.position.file.as_posix() if diagnostic.position else ""
    return hashlib.sha256(f"{diagnostic.code}\n{file}\n{diagnostic.message}".encode()).hexdigest()[:32]
