"""Base documents and the partial ones of an environment → whole documents, each value with the place that won.

Documents meet by kind and metadata.name, before any server is selected. Mappings merge key by key; null deletes what
the base says, back to the default. Lists are replaced, but for those whose items are told apart by a key. Server
selections and references to secrets are replaced whole. `$patch: delete` removes a document, or an item of a keyed
list. A document that the base has not is added as it stands. Nothing is checked here but that patches meet something.
Called by `load`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.declared.item import Item, Name, name_of
from reconciler.declared.positions import FILE_BITS, Document, Trail, index, numbers, path_text
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Position
from schemas.v1.document import LIST_KEYS
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS

PATCH, DELETE = "$patch", "delete"


@dataclass(slots=True)
class Node:
    """A value with the packed marks of itself and its key; mappings and lists hold nodes."""

    value: Any
    place: int
    key: int


@dataclass(slots=True)
class Combined:
    """The whole documents, and what is wrong with the patches."""

    items: list[Item] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)


def combine(base: Sequence[Item], patches: Sequence[Item]) -> Combined:
    """Every base document as the patches leave it, then those that only the overlay has."""
    combined = Combined()
    known: dict[Name, list[Item]] = defaultdict(list)
    for item in base:
        if (name := name_of(item.document)) is not None:
            known[name].append(item)
    patched: dict[int, Item | None] = {}
    added: list[Item] = []
    patching = _Patching(known, patched, {}, added, combined.problems)
    for patch in patches:
        patching.patch(patch)
    left = (patched.get(id(item), item) for item in base)
    combined.items = [*(item for item in left if item is not None), *added]
    return combined


@dataclass(frozen=True, slots=True)
class _Patching:
    """Meets one patch with its base document; `patched` maps a base item's identity to what became of it, `patches` to
    the document that changed it."""

    known: dict[Name, list[Item]]
    patched: dict[int, Item | None]
    patches: dict[int, Item]
    added: list[Item]
    problems: list[Diagnostic]

    def patch(self, patch: Item) -> None:
        name = name_of(patch.document)
        targets = self.known.get(name, []) if name is not None else []
        word = patch.document.value.get(PATCH) if isinstance(patch.document.value, dict) else None
        if word is not None and word != DELETE:
            self._refuse(
                patch, (PATCH,), f"{PATCH}: expected {DELETE}", f"write {PATCH}: {DELETE}, or no {PATCH}"
            )
        elif len(targets) > 1:
            self._refuse_many(patch, targets)
        elif targets and id(targets[0]) in self.patched:
            first = _position(self.patches[id(targets[0])], ())
            message = f"{_named(name)} is changed by two documents of this overlay; the first is at {first}"
            self._refuse(patch, (), message, "make one document of the two")
        elif targets:
            self.patches[id(targets[0])] = patch
            targets[0].declaration = None  # what it declares without the patch, from an earlier reading
            self.patched[id(targets[0])] = None if word else self._merged(targets[0], patch)
        elif word is not None:
            self._refuse(
                patch, (PATCH,), f"there is no {_named(name)} in the base to delete", self._alike(name)
            )
        else:
            self.added.append(Item(patch.document, patch.records, is_added=True))

    def _merged(self, base: Item, patch: Item) -> Item:
        files = (base.file, patch.file)
        merger = _Merger(_kind(base.document), patch)
        node = merger.merge(tree(base.document, 0), tree(patch.document, 1), ())
        self.problems.extend(merger.problems)
        return Item(flat(node, files), (*base.records, *patch.records))

    def _refuse_many(self, patch: Item, targets: Sequence[Item]) -> None:
        places = ", ".join(str(_position(item, ())) for item in targets)
        message = f"{_named(name_of(patch.document))} stands more than once in the base: {places}"
        self._refuse(patch, (), message, "give each a name of its own, so that one can be meant")

    def _refuse(self, patch: Item, trail: Trail, message: str, hint: str | None) -> None:
        patch.complain()
        self.problems.append(error("overlay", message, _position(patch, trail), hint))

    def _alike(self, name: Name | None) -> str | None:
        return alike(name, self.known)


def alike(name: Name | None, known: Iterable[Name]) -> str | None:
    """A hint at the base document that was meant, if one is close."""
    if name is None:
        return None
    return did_you_mean("/".join(name), ["/".join(other) for other in known])


def missing_base(item: Item, base: Iterable[Item]) -> Diagnostic:
    """Said with the errors of a document that an overlay adds: perhaps it was meant to change another one."""
    name = name_of(item.document)
    message = f"there is no {_named(name)} in the base, so this document must be a whole one"
    known = [other for one in base if (other := name_of(one.document)) is not None]
    hint = alike(name, known) or "complete it, or correct kind and metadata.name"
    return error("overlay", message, _position(item, ("metadata", "name")), hint)


class _Merger:
    """Merges the nodes of one document and collects what the patch cannot mean."""

    def __init__(self, kind: str, patch: Item) -> None:
        self.kind = kind
        self.patch = patch
        self.problems: list[Diagnostic] = []

    def merge(self, base: Node, patch: Node, trail: tuple[str, ...]) -> Node:
        if isinstance(base.value, dict) and isinstance(patch.value, dict) and not _is_whole(self.kind, trail):
            return Node(self._mapping(base.value, patch.value, trail), base.place, base.key)
        key = LIST_KEYS.get(trail)
        if key is not None and isinstance(base.value, list) and isinstance(patch.value, list):
            return Node(self._items(base.value, patch.value, trail, key=key), base.place, base.key)
        return patch

    def _mapping(
        self, base: dict[str, Node], patch: dict[str, Node], trail: tuple[str, ...]
    ) -> dict[str, Node]:
        found = dict(base)
        for name, child in patch.items():
            if child.value is not None:
                found[name] = self.merge(base[name], child, (*trail, name)) if name in base else child
            elif found.pop(name, None) is None:
                hint = (
                    did_you_mean(name, base)
                    or "an undeclared field means its default already; remove the line"
                )
                self._refuse((*trail, name), "the base does not say it, so there is nothing to delete", hint)
        return found

    def _items(self, base: list[Node], patch: list[Node], trail: tuple[str, ...], *, key: str) -> list[Node]:
        """Items by key: those of the base in their order, then new ones. Items without a key are left to the check."""
        found = {_text(node, key) or f"\0{number}": node for number, node in enumerate(base)}
        for number, node in enumerate(patch):
            name = _text(node, key) or f"\1{number}"
            if _text(node, PATCH) != DELETE:
                found[name] = self.merge(found[name], node, (*trail, key)) if name in found else node
            elif found.pop(name, None) is None:
                self._refuse(trail, f"the base has no item with {key} {name}", did_you_mean(name, found))
        return list(found.values())

    def _refuse(self, trail: Trail, message: str, hint: str | None) -> None:
        self.patch.complain()
        position = _position(self.patch, trail, at_key=True)
        self.problems.append(error("overlay", f"{path_text(trail)}: {message}", position, hint))


@cache
def _is_whole(kind: str, trail: tuple[str, ...]) -> bool:
    """True for what is replaced as one: which servers, and references to secrets."""
    if trail == ("spec", "servers"):
        return True
    facts = fields(kind).get(".".join(trail[1:])) if kind in KINDS and trail[:1] == ("spec",) else None
    return facts is not None and facts.is_secret


def _text(node: Node, key: str) -> str | None:
    found = node.value.get(key) if isinstance(node.value, dict) else None
    return found.value if found is not None and isinstance(found.value, str) else None


def _kind(document: Document) -> str:
    name = name_of(document)
    return name[0] if name else ""


def _named(name: Name | None) -> str:
    return "/".join(name) if name else "document of this kind and name"


def _position(item: Item, trail: Trail, *, at_key: bool = False) -> Position:
    marks = index(item.document)
    while trail not in marks:
        trail = trail[:-1]
    return item.document.position(marks[trail], item.file, at_key=at_key)


def tree(document: Document, file: int) -> Node:
    """The document as nodes, their marks in the file of this number. Files nest 64 levels at most."""
    marks = iter(mark | file << FILE_BITS for mark in numbers(document.marks))

    def build(value: object, key: int) -> Node:
        place = next(marks)
        node = Node(value, place, key or place)
        if isinstance(value, dict):
            node.value = {name: build(child, next(marks)) for name, child in value.items()}
        elif isinstance(value, list):
            node.value = [build(child, 0) for child in value]
        return node

    return build(document.value, 0)


def flat(node: Node, files: tuple[Path, ...]) -> Document:
    """Nodes as a document again."""
    return Document(_plain(node), list(_marks(node)), files)


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {name: _plain(child) for name, child in node.value.items()}
    return [_plain(child) for child in node.value] if isinstance(node.value, list) else node.value


def _marks(node: Node) -> Iterator[int]:
    yield node.place
    if isinstance(node.value, dict):
        for child in node.value.values():
            yield child.key
            yield from _marks(child)
    elif isinstance(node.value, list):
        for child in node.value:
            yield from _marks(child)
