"""Checked declarations → live resources: who is selected, who claims what, what refers to what.

A document for servers becomes one resource a server. Two documents for one live resource, a selector that matches
nothing and a name that nobody declares are errors that name every place involved. Called by `load`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from reconciler.declared.allowances import ALLOW, allowances, unknown_annotations
from reconciler.declared.check import Declaration
from reconciler.declared.positions import Document, Positions, index, path_text
from reconciler.declared.secrets import take_secrets
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Ignore, Key, Lifecycle, Position, Resource
from schemas.v1.document import parse_name
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS
from schemas.v1.renames import why_not_renamable

_SERVERS = "servers"


@dataclass(frozen=True, slots=True)
class Broken:
    """What the documents with errors declare as far as it can be told, so that nobody is told that it is not there.

    `is_complete` is false when a file could not be read at all: then any name may be in it."""

    keys: frozenset[Key]
    servers: Mapping[str, Mapping[str, str]]
    is_complete: bool

    def may_declare(self, kind: str) -> bool:
        """True when a resource of the kind may be missing because its document is broken."""
        return not self.is_complete or any(key.kind == kind or key.kind not in KINDS for key in self.keys)


def known_names(documents: Iterable[Document], *, is_complete: bool) -> Broken:
    """The names and labels in documents that have errors elsewhere."""
    keys: set[Key] = set()
    servers: dict[str, Mapping[str, str]] = {}
    for document in documents:
        match document.value:
            case {"kind": str(kind), "metadata": {"name": str(name), **rest}}:
                keys.add(Key(kind, name))
                is_complete = is_complete and _is_name(name)
                labels = rest.get("labels")
                if kind == "Server":
                    servers[name] = labels if isinstance(labels, dict) else {}
            case _:
                is_complete = False
    return Broken(frozenset(keys), servers, is_complete)


def _start(declaration: Declaration) -> Position:
    return Positions(declaration.document, declaration.file)[""]


def _is_name(name: str) -> bool:
    try:
        return parse_name(name) == name
    except ValueError:
        return False


class Resolver:
    """Turns declarations into resources and collects what is wrong between them."""

    def __init__(self, declarations: Iterable[Declaration], broken: Broken) -> None:
        self.declarations = tuple(declarations)
        self.broken = broken
        self.resources: dict[Key, Resource] = {}
        self.digests: dict[Key, str] = {}
        self.problems: list[Diagnostic] = []
        self.misplaced: set[str] = set()  # kinds with a document whose servers are not all there
        servers = (item.metadata for item in self.declarations if item.kind.name == "Server")
        self._names = {(item.kind.name, item.metadata.name): item for item in self.declarations}
        self._former: dict[tuple[str, str], Declaration] = {}
        self._servers = {**broken.servers, **{server.name: server.labels for server in servers}}

    def run(self) -> None:
        """Resolve everything."""
        for declaration in self.declarations:
            self._add(declaration)
        for resource in self.resources.values():
            self._check_references(resource)

    def unsure(self) -> frozenset[str]:
        """The kinds that may have more resources than were found, because a document of theirs has errors."""
        return frozenset(kind for kind in KINDS if kind in self.misplaced or self.broken.may_declare(kind))

    def check_refused(self, document: Document, file: Path) -> None:
        """Look up what a document with errors refers to, as far as it is text, so that one run tells everything."""
        self.problems.extend(unknown_annotations(document, file))
        match document.value:
            case {"kind": str(kind), "spec": dict(spec)} if kind in KINDS:
                positions = Positions(document, file)
                for path, name, wanted in _named(kind, spec):
                    if Key(wanted, name) not in self.resources:
                        known = [key.name for key in self.resources if key.kind == wanted]
                        self._refuse_unknown(wanted, name, positions[path], known)

    def _add(self, declaration: Declaration) -> None:
        positions = Positions(declaration.document, declaration.file)
        spec, secrets = take_secrets(declaration.spec, _declaring(declaration, positions))
        ignore = () if declaration.lifecycle is None else declaration.lifecycle.ignore
        ignored = tuple(Ignore(item.path, item.reason) for item in ignore)
        lifecycle = self._lifecycle(declaration)
        allowed = (
            allowances(declaration.document, declaration.file)
            if ALLOW in declaration.metadata.annotations
            else ()
        )
        if declaration.metadata.annotations:
            self.problems.extend(unknown_annotations(declaration.document, declaration.file))
        notes = _notes(declaration.document) if declaration.document.notes else {}
        labels = declaration.metadata.labels
        for key in self._live_keys(declaration, positions):
            resource = Resource(key, spec, secrets, ignored, positions, labels, lifecycle, allowed, notes)
            known = self.resources.setdefault(key, resource)
            if known is not resource:
                self._refuse_second(known, resource)
            else:
                self.digests[key] = declaration.digest

    def _lifecycle(self, declaration: Declaration) -> Lifecycle:
        found, name = declaration.lifecycle, declaration.metadata.name
        if found is None:
            return Lifecycle()
        if found.renamed_from is not None:
            if (reason := why_not_renamable(declaration.kind.name)) is not None:
                message = f"{declaration.kind.name} cannot be renamed: {reason}"
                self._refuse_rename(declaration, message, _hint_instead(declaration, found.renamed_from))
            other = self._names.get((declaration.kind.name, found.renamed_from))
            if found.renamed_from == name:
                self._refuse_rename(declaration, "its own name is no former one", "remove renamedFrom")
            elif other is not None:
                message = (
                    f"{declaration.kind.name}/{found.renamed_from} is still declared, at {_start(other)}"
                )
                self._refuse_rename(declaration, message, "remove that document, or renamedFrom")
            self._refuse_second_rename(declaration, found.renamed_from)
        return Lifecycle(protect=found.protect, renamed_from=found.renamed_from)

    def _refuse_second_rename(self, declaration: Declaration, former: str) -> None:
        first = self._former.setdefault((declaration.kind.name, former), declaration)
        if first is not declaration:
            message = f"{declaration.kind.name}/{former} has another new name already, at {_start(first)}"
            self._refuse_rename(declaration, message, "one resource has one new name")

    def _refuse_rename(self, declaration: Declaration, message: str, hint: str) -> None:
        trail = ("lifecycle", "renamedFrom")
        mark = index(declaration.document)[trail]
        position = declaration.document.position(mark, declaration.file)
        self.problems.append(error("rename", f"renamedFrom: {message}", position, hint))

    def _live_keys(self, declaration: Declaration, positions: Positions) -> Iterator[Key]:
        kind, name = declaration.kind, declaration.metadata.name
        if not kind.selects_servers:
            yield Key(kind.name, name)
            return
        for server in self._selected(declaration, positions):
            yield Key(kind.name, kind.live_name(name, server))

    def _selected(self, declaration: Declaration, positions: Positions) -> list[str]:
        selector = declaration.servers
        if selector is None:
            return []
        for number, name in enumerate(selector.names):
            if name not in self._servers:
                self.misplaced.add(declaration.kind.name)
                self._refuse_unknown("Server", name, positions[f"{_SERVERS}[{number}]"], self._servers)
        if selector.names:
            return [name for name in dict.fromkeys(selector.names) if name in self._servers]
        selected = [name for name, labels in self._servers.items() if selector.matches(name, labels)]
        if not selected:
            self.misplaced.add(declaration.kind.name)
            self._refuse_selector(positions[_SERVERS], dict(selector.match_labels))
        return selected

    def _refuse_selector(self, position: Position, wanted: Mapping[str, str]) -> None:
        if not self.broken.is_complete:
            return
        words = ", ".join(f"{label}: {value}" for label, value in wanted.items())
        there = sorted(
            {f"{label}: {value}" for labels in self._servers.values() for label, value in labels.items()}
        )
        hint = did_you_mean(words, there) or (f"declared labels: {', '.join(there[:8])}" if there else None)
        hint = hint or "no Server carries labels; add metadata.labels to one"
        self.problems.append(error("empty-selector", f"no Server carries the labels {words}", position, hint))

    def _refuse_second(self, first: Resource, second: Resource) -> None:
        place = second.positions.get(_SERVERS) or second.position()
        message = f"{second.key} is declared already, at {first.position()}"
        hint = "two documents cannot claim one resource; remove one of them or narrow its servers"
        self.problems.append(error("duplicate-resource", message, place, hint))

    def _refuse_unknown(self, kind: str, name: str, position: Position, known: Iterable[str]) -> None:
        if not self.broken.is_complete or Key(kind, name) in self.broken.keys:
            return
        hint = did_you_mean(name, known) or f"declare a {kind} of this name"
        self.problems.append(error("unknown-reference", f'there is no {kind} "{name}"', position, hint))

    def _check_references(self, resource: Resource) -> None:
        for path, attribute, kind in _references(resource.key.kind):
            name = attribute(resource.spec)
            if name is not None and Key(kind, name) not in self.resources:
                known = [key.name for key in self.resources if key.kind == kind]
                self._refuse_unknown(kind, name, resource.position(path), known)


def _declaring(declaration: Declaration, positions: Positions) -> Callable[[str], Path]:
    """Which file a field stands in: paths in it lead on from there."""
    if not declaration.document.files:
        return lambda _: declaration.file
    return lambda path: (positions.get(path) or positions[""]).file


def _notes(document: Document) -> Mapping[str, str]:
    """Where values of the spec come from, by YAML path."""
    return {path_text(trail[1:]): text for trail, text in document.notes.items() if trail[0] == "spec"}


def _hint_instead(declaration: Declaration, former: str) -> str:
    kind, name = declaration.kind.name, declaration.metadata.name
    if declaration.kind.scope == "server":
        return "remove renamedFrom"
    return (
        f"declare {kind}/{name} beside {kind}/{former}, move over what refers to it, then remove the old one"
    )


def _named(kind: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(YAML path, name, kind referred to) for each reference in an unchecked spec that is a name."""
    found = [(path, spec.get(path), wanted) for path, _, wanted in _references(kind)]  # all stand at the top
    servers = spec.get(_SERVERS) if KINDS[kind].selects_servers else None
    for number, server in enumerate(servers if isinstance(servers, list) else ()):
        found.append((f"{_SERVERS}[{number}]", server, "Server"))
    return ((path, name, wanted) for path, name, wanted in found if isinstance(name, str) and _is_name(name))


@cache
def _references(kind: str) -> tuple[tuple[str, Any, str], ...]:
    """(YAML path, how to get the value, kind referred to) for each field of the kind that names another resource."""
    found = (fact for fact in fields(kind).values() if fact.reference is not None)
    return tuple((fact.path, attrgetter(fact.attribute), str(fact.reference)) for fact in found)
