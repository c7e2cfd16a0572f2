"""Files of an older version of the contract, rewritten in the newest with comments and order kept.

Only documents of an older version are touched, and they come out in canonical style. The result is read again: it must
mean exactly what the upgrade function says, and hold every comment; one that stood at a group that is no more goes to
what came after it. Variables stay references, partial documents stay partial. Called by `reconcile upgrade`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from reconciler.authoring.canonical import FormatError, join, load_document, render, values_of
from reconciler.authoring.formatting import Formatted, rewritten
from reconciler.authoring.layout import Part, comments_of, parts_of
from reconciler.declared.older import upgrade_of
from reconciler.declared.positions import Document, index
from reconciler.declared.reader import read
from schemas.v1alpha1.upgrade import Trail, Upgraded

_FILE = Path("document")


def upgraded(paths: Iterable[Path]) -> Iterator[Formatted]:
    """Every file named, and every YAML file below a directory named; nothing is written."""
    return rewritten(paths, upgrade_text)


def upgrade_text(text: str) -> str:
    """A whole file in the newest version; the same text when it is already. Raises FormatError, LayoutError."""
    values_of(text)
    parts = parts_of(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    after = [_part(part) for part in parts]
    return text if after == [part.text for part in parts] else join(iter(after))


def _part(part: Part) -> str:
    documents, _ = read(part.text.encode(), _FILE)
    found = upgrade_of(documents[0]) if documents else None
    if found is None:
        return part.text
    text = render(_Rebuilding(load_document(part.text), found).document())
    if read(text.encode(), _FILE)[0][0].value != found.document:
        raise FormatError("cannot be rewritten without a change of its meaning; rewrite it by hand")
    return _with_lost_comments(part.text, text, documents[0], found)


def _with_lost_comments(before: str, text: str, document: Document, found: Upgraded) -> str:
    """The new text with each comment that it lacks above what came after it in the old one."""
    lost = Counter(comments_of(before)) - Counter(comments_of(text))
    if not lost:
        return text
    lines = text.splitlines(keepends=True)
    old, new = index(document), index(read(text.encode(), _FILE)[0][0])
    places = sorted((old[origin].key[0], new[trail].key[0]) for trail, origin in found.origins.items())
    inserted: list[tuple[int, str]] = []
    for number, line in enumerate(before.splitlines()):
        comment = next((one for one in lost if lost[one] and line.rstrip().endswith(one)), None)
        if comment is not None:
            lost[comment] -= 1
            inserted.append((next((after for at, after in places if at > number), 0), comment))
    for at, comment in sorted(inserted, key=lambda one: one[0])[::-1]:
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        lines.insert(at, f"{indent}{comment}\n")
    return "".join(lines)


class _Rebuilding:
    """Puts an upgraded document together from the nodes of the old one, each with its comments."""

    def __init__(self, old: Any, found: Upgraded) -> None:
        self._old = old
        self._new = found.document
        self._origins = found.origins
        self._taken: set[Trail] = set()
        self._opened: set[Trail] = set()

    def document(self) -> Any:
        """The new document as ruamel holds it."""
        return self._node(self._new, ())

    def _node(self, value: Any, trail: Trail) -> Any:
        old = self._at(self._origins[trail])
        if isinstance(value, dict):
            return self._filled(CommentedMap(), old, [(key, child) for key, child in value.items()], trail)
        if isinstance(value, list):
            return self._filled(CommentedSeq(), old, list(enumerate(value)), trail)
        return old if isinstance(old, str) and not self._is_new(trail) else value

    def _is_new(self, trail: Trail) -> bool:
        """True of what the upgrade itself says: the version."""
        return trail == ("apiVersion",)

    def _filled(self, new: Any, old: Any, items: list[tuple[Any, Any]], trail: Trail) -> Any:
        has_brackets = not isinstance(old, CommentedMap | CommentedSeq) or old.fa.flow_style()
        new.fa.set_flow_style() if has_brackets else new.fa.set_block_style()
        if type(new) is type(old) and self._origins[trail] not in self._opened:
            self._opened.add(self._origins[trail])
            new.ca.comment = old.ca.comment
        for key, child in items:
            comment = self._comment(self._origins[(*trail, key)])
            node = self._node(child, (*trail, key))
            if isinstance(new, CommentedMap):
                new[key] = node
            else:
                new.append(node)
            if comment is not None:
                new.ca.items[key] = comment
        return new

    def _comment(self, origin: Trail) -> list[Any] | None:
        """What stands around the node, in the form that a mapping keeps it in; once."""
        if not origin or origin in self._taken:
            return None
        self._taken.add(origin)
        around = self._at(origin[:-1])
        found: list[Any] | None = around.ca.items.get(origin[-1])
        if found is None or isinstance(around, CommentedMap):
            return found
        behind, above = (*found, None, None)[:2]
        return [None, above, behind, None]

    def _at(self, trail: Trail) -> Any:
        found = self._old
        for step in trail:
            found = found[step]
        return found
