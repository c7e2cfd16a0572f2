"""What every text renderer needs: escaping, display width, and a few colours. Values in, text out.

Everything that comes from a file or a target passes `printable` once, so that no value can move the cursor, fake a
line or turn the direction of text. Without colour the renderers' own signs are ASCII.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING

from reconciler.model import Position

if TYPE_CHECKING:
    from pydantic import JsonValue

Paint = Callable[[str, str], str]

_CODES = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "dim": "2", "bold": "1"}
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})
_SHOWN = 200


def painter(*, colour: bool) -> Paint:
    """A function (text, style) → text in that style, or as it is without colour."""
    if not colour:
        return lambda text, _style: text
    return lambda text, style: f"\x1b[{_CODES[style]}m{text}\x1b[0m" if text else text


def printable(text: str) -> str:
    """The text with control, format and unassigned characters written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(escaped(character) for character in text)


def escaped(character: str) -> str:
    """One character as it is, or as \\n, \\x1b, \\u202e when it would not show as itself."""
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")


def width(text: str) -> int:
    """How many terminal columns the text takes: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, columns: int) -> str:
    """The text filled with spaces to so many terminal columns."""
    return text + " " * max(0, columns - width(text))


def value(of: JsonValue) -> str:
    """A value of a plan for people: words as they are, text with spaces in quotes, lists in brackets."""
    match of:
        case None:
            return "none"
        case bool():
            return "true" if of else "false"
        case str():
            return _text(of)
        case list():
            return _cut("[" + ", ".join(value(member) for member in of) + "]")
        case dict():
            pairs = (
                f"{printable(name)}: {value(member)}" for name, member in of.items() if member is not None
            )
            return _cut("{" + ", ".join(pairs) + "}")
        case _:
            return str(of)


def _text(of: str) -> str:
    safe = printable(of)
    return _cut(safe) if safe and safe == of and " " not in of and of != "none" else _cut(json.dumps(of))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def place(position: Position) -> str:
    """`file:line:column`; the file alone where there is no line."""
    file = printable(str(position.file))
    return f"{file}:{position.line}:{position.column}" if position.line else file


def count(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural(noun)}"


def plural(noun: str) -> str:
    """The noun in the plural; regular ones only."""
    return noun[:-1] + "ies" if noun.endswith("y") and not noun.endswith(("ay", "ey")) else noun + "s"
