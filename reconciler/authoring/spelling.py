"""How one scalar is spelled: plain where every YAML reader takes it for the text that it is, else in double quotes.

`respelled` does that in the text itself, touching nothing else. Called by `canonical`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml.scalarstring import DoubleQuotedScalarString, PlainScalarString, ScalarString

from reconciler.authoring.layout import events
from reconciler.declared.scalars import plain

#: Text that no reader takes for anything else, and that needs no quotes inside brackets either.
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9_/.$][A-Za-z0-9 _/.@$+=(){};^~<>*-]*")
_NEVER_IN_FLOW = re.compile(r"[{}]")
#: What YAML 1.1 takes for a boolean, a number, a date or nothing.
_YAML_1_1 = re.compile(
    r"y|Y|n|N|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|~|null|Null|NULL|true|True|TRUE|false|False|FALSE"
    r"|[-+]?[0-9][0-9_]*|[-+]?0[bx][0-9a-fA-F_]+|0o[0-7]+|[-+]?(?:[0-9][0-9_]*)?\.?[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|=|<<"
)


def spelled(value: str, *, in_flow: bool = False) -> Any:
    """The scalar with the quotes that it needs. A plain one that is no text is spelled canonically."""
    is_block = getattr(value, "style", "") in ("|", ">")
    if is_block or (isinstance(value, ScalarString) and value.anchor.value is not None):
        return value
    if type(value) in (str, PlainScalarString) and not isinstance(plain(value), str):
        return PlainScalarString(_WORDS.get(value, value))
    return quoted_if_needed(str(value), in_flow=in_flow)


def quoted_if_needed(text: str, *, in_flow: bool) -> Any:
    is_plain = _PLAIN_TEXT.fullmatch(text) and not _YAML_1_1.fullmatch(text) and text == text.strip()
    if is_plain and isinstance(plain(text), str) and not (in_flow and _NEVER_IN_FLOW.search(text)):
        return PlainScalarString(text)
    return DoubleQuotedScalarString(text)


_WORDS = {
    **dict.fromkeys(("", "~", "Null", "NULL"), "null"),
    **dict.fromkeys(("True", "TRUE"), "true"),
    **dict.fromkeys(("False", "FALSE"), "false"),
}


class _Spelling(NamedTuple):
    line: int
    first: int
    last: int
    text: str


def respelled(text: str) -> str:
    """The text with every scalar of one line in canonical spelling. What has an anchor stays as it is."""
    lines = text.split("\n")
    for spelling in reversed(list(_spellings(text))):
        line = lines[spelling.line]
        lines[spelling.line] = line[: spelling.first] + spelling.text + line[spelling.last :]
    return "\n".join(lines)


def _spellings(text: str) -> Iterator[_Spelling]:
    flow = 0
    for event in events(text):
        name = type(event).__name__
        if name in ("MappingStartEvent", "SequenceStartEvent"):
            flow += 1 if flow or event.flow_style else 0
        elif name in ("MappingEndEvent", "SequenceEndEvent"):
            flow -= 1 if flow else 0
        elif name == "ScalarEvent" and _can_be_respelled(event):
            styled = DoubleQuotedScalarString if event.style else PlainScalarString
            wanted = spelled(styled(event.value), in_flow=flow > 0)
            written = (
                json.dumps(wanted, ensure_ascii=False)
                if isinstance(wanted, DoubleQuotedScalarString)
                else wanted
            )
            first, last = event.start_mark, event.end_mark
            yield _Spelling(first.line, first.column, last.column, str(written))


def _can_be_respelled(event: Any) -> bool:
    is_one_line = event.start_mark.line == event.end_mark.line
    is_plain_word = not event.style and (not event.value or not isinstance(plain(event.value), str))
    return bool(
        event.value
        and is_one_line
        and not event.anchor
        and event.style not in ("|", ">")
        and not is_plain_word
    )
