"""Gives an unquoted YAML scalar its type: YAML 1.2's core schema, narrowed so that nothing is lost.

`yes`, `no`, `on`, `off` and times such as 00:30:00 are text. A number with leading zeros stays text too: as a number it
would lose them, and YAML 1.1 readers would take it for octal. Nothing here knows about files. Called by `reader`.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("+-.0123456789")
_MAX_NUMBER_LENGTH = 40  # longer ones are no setting, and turning digits into an int costs their square
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar; text when no other type fits."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMBER_STARTS and len(text) <= _MAX_NUMBER_LENGTH:
        return _number(text)
    return text


def _number(text: str) -> Scalar:
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
