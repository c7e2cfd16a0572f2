"""Diagnostics → GitHub's workflow commands, one line each, which become annotations of a pull request.

Source: GitHub's "Workflow commands"; a value ends at `:` or `,` and a command at the line's end, so these are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import Diagnostic
from reconciler.rendering.text import escaped

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """`::error file=…,line=…,col=…,title=…::message`; empty text for none."""
    return "".join(f"{_command(diagnostic)}\n" for diagnostic in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    properties: dict[str, str] = {}
    if (where := diagnostic.position) is not None:
        properties["file"] = str(where.file)
        if where.line:
            properties |= {"line": str(where.line), "col": str(max(1, where.column))}
    properties["title"] = diagnostic.code
    text = ",".join(f"{name}={_escaped(found, _PROPERTY)}" for name, found in properties.items())
    message = diagnostic.message + (f"\n{diagnostic.hint}" if diagnostic.hint else "")
    level = diagnostic.severity.value
    if diagnostic.allowed is not None:
        level, message = "notice", f"{message}\nallowed: {diagnostic.allowed.reason}"
    return f"::{level} {text}::{_escaped(message, _DATA)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character) or escaped(character) for character in text)
