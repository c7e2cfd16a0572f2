"""Brings existing files up to what is live, in place: comments, order and everything that did not change stay.

A field that differs is given its live value where it is declared, or added to the document that declares the resource;
what is live and undeclared becomes new documents; what is declared and no longer live is told and left. A document that
stands for several servers is changed only where all of them agree, and a value that comes from a variable or from an
overlay is told, because it is more than this one resource. Called by `reconcile import --update`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import PlainScalarString

from reconciler.authoring.canonical import format_text, join, load_document, render
from reconciler.authoring.documents import Secrets, document_of, scalar
from reconciler.authoring.imported import as_file, file_of, imported_keys
from reconciler.authoring.layout import parts_of
from reconciler.authoring.spelling import quoted_if_needed
from reconciler.declared.certificates import FILLED_IN
from reconciler.declared.positions import Positions
from reconciler.declared.reader import read
from reconciler.declared.variables import MARK
from reconciler.model import Absent, Change, Desired, Key, LiveState, Position, Present, Resource
from reconciler.planning.diff import PROTECTION, change_of
from schemas.v1.base import Spec
from schemas.v1.certificate import Certificate

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Updated:
    """New text of each file that changes, and what people have to look at: `left` pairs a subject with a reason."""

    files: Mapping[Path, str]
    removed: tuple[Key, ...]
    left: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Edits:
    """What changes in one document: live values by YAML path."""

    position: Position
    values: dict[str, JsonValue] = field(default_factory=dict)


def update(
    directory: Path, desired: Desired, live: LiveState, *, server: str | None, secrets: Secrets
) -> Updated:
    """What `directory` would look like; nothing is written. It may be an overlay: then what other files declare is not
    this environment's alone, and is told."""
    left: list[tuple[str, str]] = []
    keys = imported_keys(live, server=server)
    edits = [edit for edit in _edits(desired, live, keys, left) if _is_ours(edit, directory, left)]
    files = {path: _edited(path, edits, left) for path in dict.fromkeys(edit.position.file for edit in edits)}
    added: dict[Path, list[str]] = {}
    for key in keys:
        observed = live.resources[key]
        if key not in desired.resources and isinstance(observed, Present):
            document = document_of(key, observed, secrets=secrets)
            added.setdefault(directory / file_of(key, live), []).append(document)
    for path, documents in added.items():
        before = files.get(path) or (path.read_text(encoding="utf-8") if path.exists() else "")
        files[path] = (
            f"{before.rstrip()}\n---\n{join(iter(documents))}" if before.strip() else as_file(documents)
        )
    gone = (key for key in desired.resources if isinstance(live.resources.get(key, Absent()), Absent))
    return Updated(files, tuple(sorted(gone)), tuple(dict.fromkeys(left)))


def _edits(
    desired: Desired, live: LiveState, keys: Iterable[Key], left: list[tuple[str, str]]
) -> Iterator[_Edits]:
    """The edits of each document, once for all the resources that it stands for."""
    documents: dict[Position, list[Key]] = {}
    for key in desired.resources:
        documents.setdefault(desired.resources[key].position(), []).append(key)
    for position in dict.fromkeys(
        desired.resources[key].position() for key in keys if key in desired.resources
    ):
        resources = [desired.resources[key] for key in documents[position]]
        wanted = [_wanted(resource, live) for resource in resources]
        edit = _Edits(position)
        for path in dict.fromkeys(path for values in wanted for path in values):
            _decide(edit, path, [values.get(path, _MISSING) for values in wanted], resources, left)
        if edit.values:
            yield edit


def _is_ours(edit: _Edits, directory: Path, left: list[tuple[str, str]]) -> bool:
    """True when the document lies in the directory; else its live values are told."""
    if edit.position.file.absolute().is_relative_to(directory.absolute()):
        return True
    for path, value in edit.values.items():
        reason = f"{path} is live as {json.dumps(value)}; other environments have this document too, so write it to"
        left.append((str(edit.position), f"{reason} {directory}"))
    return False


def _wanted(resource: Resource, live: LiveState) -> Mapping[str, JsonValue]:
    """The live values of the fields that differ."""
    observed = live.resources.get(resource.key)
    change: Change | None = change_of(resource, observed, {}) if isinstance(observed, Present) else None
    fields = change.fields if change else ()
    wanted = {one.path: one.old for one in fields if not one.is_secret}
    if isinstance(observed, Present) and isinstance(observed.spec, Certificate):
        return _from_one_source(wanted, resource.spec, observed.spec)
    return wanted


def _from_one_source(
    wanted: Mapping[str, JsonValue], declared: Spec, live: Certificate
) -> Mapping[str, JsonValue]:
    """A certificate that comes from elsewhere than is declared: the declared source goes as a whole."""
    if isinstance(declared, Certificate) and declared.self_signed and not live.self_signed:
        others = {path: value for path, value in wanted.items() if not path.startswith("selfSigned")}
        return {**others, "selfSigned": None}
    if live.self_signed and _is_from_file(declared):
        others = {path: value for path, value in wanted.items() if path not in FILLED_IN}
        return {**others, "certificateFile": None, "privateKeyFile": None}
    return wanted


def _is_from_file(spec: Spec) -> bool:
    return isinstance(spec, Certificate) and spec.certificate_file is not None


def _is_not_declared(path: str, resource: Resource) -> bool:
    return path == PROTECTION or (path in FILLED_IN and _is_from_file(resource.spec))


def _decide(
    edit: _Edits, path: str, values: Sequence[Any], resources: Sequence[Resource], left: list[tuple[str, str]]
) -> None:
    names = ", ".join(str(resource.key) for resource in resources)
    where = resources[0].positions.get(path)
    if _is_not_declared(path, resources[0]):
        left.append((names, f"{path} is not written; change it yourself if the live one is right"))
    elif any(value != values[0] for value in values[1:]):
        left.append((names, f"{path} is live in different values; one document declares them all"))
    elif where is not None and where.file != edit.position.file:
        left.append((names, f"{path} is declared at {where}, apart from its document; change it there"))
    else:
        edit.values[path] = values[0]


def _edited(path: Path, edits: Iterable[_Edits], left: list[tuple[str, str]]) -> str:
    """The file's text with its edits; documents without any stay as they are."""
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    documents, _ = read(text.encode(), path)
    lines = iter(_lines(documents, path))
    by_line = {edit.position.line: edit for edit in edits if edit.position.file == path}
    parts = []
    for part in parts_of(text):
        edit = by_line.get(next(lines)) if part.has_value else None
        parts.append(part.text if edit is None else _changed(part.text, edit, left))
    return join(part.rstrip("\n") + "\n" for part in parts)


def _lines(documents: Iterable[Any], path: Path) -> Iterator[int]:
    return (Positions(document, path)[""].line for document in documents)


def _changed(text: str, edit: _Edits, left: list[tuple[str, str]]) -> str:
    document = load_document(text)
    is_changed = False
    for path, value in edit.values.items():
        *groups, last = path.split(".")
        place = document["spec"]
        for group in groups:
            if not isinstance(place.get(group), dict):
                place[group] = CommentedMap()
            place = place[group]
        if MARK in str(place.get(last)):
            left.append((f"{edit.position}", f"{path} comes from a variable; change it there"))
        else:
            place[last], is_changed = _merged(place.get(last), value), True
    return format_text(render(document)) if is_changed else text


def _merged(before: Any, value: JsonValue) -> Any:
    """The new value as ruamel holds it; the items of a list that stay keep their place and comments."""
    if isinstance(before, CommentedSeq) and isinstance(value, list):
        wanted = {str(item): item for item in value}
        for number in reversed(range(len(before))):
            if str(before[number]) not in wanted:
                del before[number]
        known = {str(item) for item in before}
        before.extend(_node(item) for text, item in wanted.items() if text not in known)
        return before
    return _node(value)


def _node(value: JsonValue) -> Any:
    if isinstance(value, dict):
        return CommentedMap({name: _node(inner) for name, inner in value.items()})
    if isinstance(value, list):
        items = CommentedSeq(_node(item) for item in value)
        items.fa.set_flow_style()
        return items
    if isinstance(value, str):
        return quoted_if_needed(value, in_flow=False)
    return PlainScalarString(scalar(value))
