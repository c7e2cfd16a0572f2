"""The canonical style of our YAML, document by document, with comments and the order of fields kept.

    apiVersion, kind, metadata, spec, lifecycle      in this order, each with the comments above it
    two spaces a level, lists indented below their key
    quotes (double ones) where another YAML reader could see something else than text, or where a colon stands

Values that people wrote in blocks (`|`, `>`), flow style and blank lines stay as they are. What is written means
exactly what was read, and no comment is lost: both are checked on every document. Where comments stand in the middle of
brackets, or in other places that the library loses them in, the document keeps its layout.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from reconciler.authoring.layout import LayoutError, Part, comments_of, parts_of, tidy
from reconciler.authoring.spelling import quoted_if_needed, respelled, spelled
from reconciler.declared.positions import index
from reconciler.declared.reader import read

TOP_KEYS = ("apiVersion", "kind", "metadata", "spec", "lifecycle")
_MAX_ROUNDS = 4
#: Columns that a value in brackets may take.
MAX_FLOW = 90
_FILE = Path("document")


class FormatError(Exception):
    """A file cannot be given the canonical style; the text says why. It is left as it is."""


def format_text(text: str) -> str:
    """A whole file in canonical style; formatting it again changes nothing. Raises FormatError."""
    for _ in range(_MAX_ROUNDS):
        once = _format_once(text)
        if once == text:
            return text
        text = once
    raise FormatError("does not come to rest; it is left as it is")


def is_same(before: str, after: str) -> bool:
    """True when both texts can be read, mean the same and hold the same comments."""
    try:
        is_equal = values_of(before) == values_of(after)
    except FormatError:
        return False
    return is_equal and Counter(comments_of(before)) == Counter(comments_of(after))


def values_of(text: str) -> list[str]:
    """What the documents of a file mean, types included and the order of keys not; FormatError: it cannot be read."""
    documents, problems = read(text.encode(), _FILE)
    if problems:
        where = problems[0].position
        raise FormatError(f"line {where.line if where else 1}: {problems[0].message}; correct it first")
    return [json.dumps(document.value, sort_keys=True) for document in documents]


def _format_once(text: str) -> str:
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    values_of(text)
    try:
        parts = parts_of(text)
    except LayoutError as error:
        raise FormatError(str(error)) from error
    after = join(format_part(part) for part in parts)
    if not is_same(text, after):
        raise FormatError("cannot be styled without a change of its meaning; it is left as it is")
    return after


def join(documents: Iterator[str]) -> str:
    """Documents as one file; the comments above the first document's `---` are part of it."""
    return "---\n".join(documents)


def format_part(part: Part) -> str:
    """One document's text; one without a value keeps its comments."""
    if not part.has_value:
        return part.text.strip("\n") + "\n" if part.text.strip() else ""
    text = in_order(part.text.lstrip("\n"))
    for style in (_laid_out_anew, _touched_up):
        if (styled := _attempt(style, text)) is not None:
            return styled
    return text


def _attempt(style: Callable[[str], str], text: str) -> str | None:
    """The styled text, unless it came out as something else."""
    try:
        styled = style(text)
    except YAMLError:
        return None
    return styled if is_same(text, styled) else None


def _laid_out_anew(text: str) -> str:
    return render(load_document(text))


def _touched_up(text: str) -> str:
    """For comments in places that the library behind `render` loses: the layout stays, the rest is canonical."""
    return tidy(respelled(text))


def load_document(text: str) -> Any:
    """One document as ruamel holds it, with comments; every scalar is text, spelled as it is. Raises YAMLError."""
    return _yaml().load(text)


def render(document: Any) -> str:
    """A loaded document in canonical style."""
    _restyle(document, in_flow=False)
    stream = io.StringIO()
    _yaml().dump(document, stream)
    return tidy(stream.getvalue())


def in_order(text: str) -> str:
    """The text with its top-level keys in canonical order, if they stand in lines of their own.

    Lines are moved rather than values, because a comment belongs to what stands below it.
    """
    blocks = _top_blocks(text)
    if blocks is None:
        return text
    head, keyed, tail = blocks
    ordered = sorted(keyed, key=lambda block: _rank(block[0]))
    if ordered == keyed:
        return text
    moved = head + "".join(lines for _, lines in ordered) + tail
    # An alias may not stand above its anchor; then the order stays.
    documents, problems = read(moved.encode(), _FILE)
    before, _ = read(text.encode(), _FILE)
    return moved if not problems and [d.value for d in documents] == [d.value for d in before] else text


def _top_blocks(text: str) -> tuple[str, list[tuple[str, str]], str] | None:
    """The lines above the first key, each key with its lines and the comments right above it, the comments below."""
    [document], _ = read(text.encode(), _FILE)
    if not isinstance(document.value, dict) or not document.value:
        return None
    marks = index(document)
    starts = {key: marks[(key,)].key for key in document.value}
    if any(column for _, column in starts.values()) or text.lstrip().startswith("{"):
        return None
    lines = text.splitlines(keepends=True)
    lines[-1] = lines[-1].rstrip("\n") + "\n"
    if len({line for line, _ in starts.values()}) != len(starts):
        return None
    first, *others = [(line, key) for key, (line, _) in starts.items()]
    edges = [first, *((_above(lines, line), key) for line, key in others)]
    tail = max(_above(lines, len(lines)), edges[-1][0] + 1)
    ends = [line for line, _ in edges[1:]] + [tail]
    keyed = [(key, "".join(lines[line:end])) for (line, key), end in zip(edges, ends, strict=True)]
    return "".join(lines[: first[0]]), keyed, "".join(lines[tail:])


def _above(lines: list[str], line: int) -> int:
    """The first of the comment lines directly above `line` that begin in the first column."""
    while line > 0 and lines[line - 1].startswith("#"):
        line -= 1
    return line


def _rank(key: str) -> int:
    return TOP_KEYS.index(key) if key in TOP_KEYS else len(TOP_KEYS)


class _TextResolver(VersionedResolver):
    """Takes every scalar for text, so that none is spelled anew: 0x10, 1.50 and yes stay as they are."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode:
            return Tag(suffix="tag:yaml.org,2002:str")
        return super().resolve(kind, value, implicit)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Resolver = _TextResolver
    yaml.preserve_quotes = True
    yaml.width = 10**9
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _restyle(node: Any, *, in_flow: bool) -> None:
    """Give each scalar below the node its canonical spelling. Nesting is bounded by the reader."""
    if isinstance(node, CommentedMap | CommentedSeq):
        in_flow = in_flow or _stays_in_flow(node)
    if isinstance(node, CommentedMap):
        for key in list(node):
            _rename(node, key, in_flow=in_flow)
        for key, value in node.items():
            node[key] = _restyled(value, in_flow=in_flow)
    elif isinstance(node, CommentedSeq):
        for number, value in enumerate(node):
            node[number] = _restyled(value, in_flow=in_flow)


def _stays_in_flow(node: Any) -> bool:
    """True for what stands in brackets; what does not fit into a line, or has comments inside, is opened."""
    if not node.fa.flow_style():
        return False
    if flow_width(node) <= MAX_FLOW and not _has_comments(node):
        return True
    node.fa.set_block_style()
    return False


def flow_width(node: Any) -> int:
    """About how many columns a value takes in brackets."""
    if isinstance(node, dict):
        return 2 + sum(len(str(key)) + 4 + flow_width(value) for key, value in node.items())
    if isinstance(node, list):
        return 2 + sum(2 + flow_width(value) for value in node)
    return len(str(node))


def _has_comments(node: Any) -> bool:
    if isinstance(node, CommentedMap | CommentedSeq):
        values = node.values() if isinstance(node, CommentedMap) else node
        return bool(node.ca.items) or any(_has_comments(value) for value in values)
    return False


def _restyled(value: Any, *, in_flow: bool) -> Any:
    if not isinstance(value, str):
        _restyle(value, in_flow=in_flow)
        return value
    return spelled(value, in_flow=in_flow)


def _rename(node: Any, key: Any, *, in_flow: bool) -> None:
    wanted = quoted_if_needed(str(key), in_flow=in_flow)
    if wanted.style == getattr(key, "style", ""):
        return
    place, comment = list(node).index(key), node.ca.items.get(key)
    value = node.pop(key)
    node.insert(place, wanted, value)
    if comment is not None:
        node.ca.items[wanted] = comment
