"""One YAML document → one checked declaration, or everything that is wrong with it.

The envelope is looked at key by key, the parts by the schemas' models. Every problem is placed at the value that it is
about: at the key for one that nobody knows, at the parent for one that is missing. Nothing here looks at other
documents; `resolve` does. Called by `load`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from reconciler.declared.positions import Document, Mark, Step, Trail, index, path_text
from reconciler.declared.sentences import Sentence, secret_in_clear, sentence, show
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Position
from schemas.v1.base import Model, Spec
from schemas.v1.codec import parse_spec
from schemas.v1.document import API_VERSION, Lifecycle, Metadata, ServerSelector, parse_selector
from schemas.v1.facts import fields, find
from schemas.v1.kinds import KINDS, Kind

PartT = TypeVar("PartT", bound=Model)
_KEYS = ("apiVersion", "kind", "metadata", "spec", "lifecycle")
_KEY_SET = frozenset(_KEYS)
_REQUIRED = ("apiVersion", "kind", "metadata", "spec")
_SERVERS = "servers"
_LISTED = 8


@dataclass(frozen=True, slots=True)
class Declaration:
    """A checked document: its spec is valid by itself, its names and references are not looked up yet. `meaning` is the
    digest of its spec where a former run left it."""

    kind: Kind
    metadata: Metadata
    spec: Spec
    servers: ServerSelector | None
    lifecycle: Lifecycle | None
    document: Document
    file: Path
    meaning: str | None = None


def check(document: Document, file: Path) -> tuple[Declaration | None, tuple[Diagnostic, ...]]:
    """The declaration, or None and every problem."""
    checker = _Checker(document, file)
    return checker.declaration(), tuple(checker.problems)


class _Checker:
    """Collects the problems of one document; positions are unpacked at the first of them."""

    def __init__(self, document: Document, file: Path) -> None:
        self.document = document
        self.file = file
        self.problems: list[Diagnostic] = []

    def declaration(self) -> Declaration | None:
        value = self.document.value
        if not isinstance(value, dict):
            self._no_mapping(value)
            return None
        kind = self._kind(value)
        if kind is None:
            return None
        metadata = self._part(Metadata, "metadata")
        lifecycle = self._part(Lifecycle, "lifecycle") if "lifecycle" in value else None
        servers = self._servers(kind)
        spec = self._spec(kind)
        if self.problems or metadata is None or spec is None:
            return None
        if lifecycle is not None and not self._knows_ignored(kind, lifecycle):
            return None
        return Declaration(kind, metadata, spec, servers, lifecycle, self.document, self.file)

    def _no_mapping(self, value: object) -> None:
        hint = "a document starts with apiVersion, kind, metadata and spec"
        self._problem("not-a-mapping", f"expected a mapping, got {show(value)}", (), hint=hint)

    def _kind(self, value: dict[str, Any]) -> Kind | None:
        """The kind, when the envelope is good enough to go on."""
        if "apiVersion" not in value and "kind" not in value:
            hint = "move the file elsewhere, or start its name with a dot"
            self._problem(
                "not-a-declaration",
                "this declares nothing: it has neither apiVersion nor kind",
                (),
                hint=hint,
            )
            return None
        for key in value.keys() - _KEY_SET:
            self._unknown(str(key), (key,), _KEYS)
        for key in _REQUIRED:
            if key not in value:
                self._problem("missing", f"{key} is missing", (), hint=f"add {key}")
        if value.get("apiVersion", API_VERSION) != API_VERSION:
            self._unknown_word("apiVersion", value["apiVersion"], [API_VERSION])
        kind = value.get("kind")
        if "kind" in value and not (isinstance(kind, str) and kind in KINDS):
            self._unknown_word("kind", kind, KINDS)
        return (
            KINDS[kind] if isinstance(kind, str) and kind in KINDS and not self._lacks_parts(value) else None
        )

    def _lacks_parts(self, value: dict[str, Any]) -> bool:
        for key in ("metadata", "spec"):
            if key in value and not isinstance(value[key], dict):
                message = f"{key}: expected a mapping, got {show(value[key])}"
                self._problem("type", message, (key,), hint="write key: value pairs, indented")
        return not all(isinstance(value.get(key), dict) for key in ("metadata", "spec"))

    def _part(self, model: type[PartT], key: str) -> PartT | None:
        try:
            return model.model_validate(self._value(key), by_alias=True, by_name=False)
        except ValidationError as failure:
            names = {"": [model.yaml_name(attribute) for attribute in model.model_fields]}
            for line in failure.errors(include_url=False):
                self._report(line, (key,), subject=(key,), names=names)
            return None

    def _servers(self, kind: Kind) -> ServerSelector | None:
        spec = self._value("spec")
        if not kind.selects_servers:
            return None
        if _SERVERS not in spec:
            hint = "write servers: [name], or servers: {matchLabels: {label: value}}"
            self._problem("missing", f"{_SERVERS} is missing", ("spec",), hint=hint, at_key=True)
            return None
        try:
            return parse_selector(spec[_SERVERS])
        except PydanticCustomError as failure:
            found = sentence(failure.type, failure.context or {}, message=failure.message(), value=None)
            self._say(found, _bad_selection(spec[_SERVERS]), subject=_SERVERS)
            return None

    def _spec(self, kind: Kind) -> Spec | None:
        spec = self._value("spec")
        if kind.selects_servers and _SERVERS in spec:
            spec = {key: value for key, value in spec.items() if key != _SERVERS}
        try:
            return parse_spec(kind.name, spec)
        except ValidationError as failure:
            for line in failure.errors(include_url=False):
                self._report_field(kind, line)
            return None

    def _report_field(self, kind: Kind, line: ErrorDetails) -> None:
        facts = find(kind.name, _path(line["loc"]))
        if facts is not None and facts.is_secret:
            self._say(secret_in_clear(line["input"]), ("spec", *line["loc"]), subject=facts.path)
        elif line["loc"] == (_SERVERS,):
            hint = "it belongs to the whole estate; remove the line"
            self._problem(
                "unknown-key",
                f"{kind.name} does not select servers",
                ("spec", _SERVERS),
                hint=hint,
                at_key=True,
            )
        else:
            self._report(line, ("spec",), subject=(), names=_names(kind), of=kind.name)

    def _report(
        self,
        line: ErrorDetails,
        prefix: Trail,
        *,
        subject: Trail,
        names: Mapping[str, Collection[str]],
        of: str | None = None,
    ) -> None:
        """One error line of a model. `names`: the known keys of each group by its path, for did-you-mean."""
        loc = line["loc"]
        if line["type"] == "extra_forbidden":
            self._unknown(str(loc[-1]), (*prefix, *loc), names.get(_path(loc[:-1]), ()), of=of)
            return
        found = sentence(line["type"], line.get("ctx", {}), message=line["msg"], value=line["input"])
        self._say(found, (*prefix, *loc), subject=path_text((*subject, *loc)))

    def _say(self, found: Sentence, trail: Trail, *, subject: str) -> None:
        joint = " " if found.code == "missing" else ": "
        hint = f"add {subject}" if found.code == "missing" else found.hint
        self._problem(found.code, f"{subject}{joint}{found.message}", trail, hint=hint)

    def _knows_ignored(self, kind: Kind, lifecycle: Lifecycle) -> bool:
        known = fields(kind.name)
        for number, ignored in enumerate(lifecycle.ignore):
            if ignored.path not in known:
                hint = did_you_mean(ignored.path, known)
                message = f'unknown field "{ignored.path}" of {kind.name}'
                self._problem("unknown-key", message, ("lifecycle", "ignore", number, "path"), hint=hint)
        return not self.problems

    def _unknown(self, key: str, trail: Trail, known: Collection[str], *, of: str | None = None) -> None:
        hint = did_you_mean(key, known) or (
            f"known here: {', '.join(known)}" if 0 < len(known) <= _LISTED else None
        )
        self._problem(
            "unknown-key",
            f'unknown field "{key}" of {of}' if of else f'unknown key "{key}"',
            trail,
            hint=hint,
            at_key=True,
        )

    def _unknown_word(self, key: str, value: object, known: Collection[str]) -> None:
        hint = did_you_mean(value, known) if isinstance(value, str) else None
        message = (
            f"{key}: expected {'one of ' if len(known) > 1 else ''}{', '.join(known)}, got {show(value)}"
        )
        self._problem(f"unknown-{'kind' if key == 'kind' else 'version'}", message, (key,), hint=hint)

    def _value(self, key: str) -> Any:
        return self.document.value[key] if isinstance(self.document.value, dict) else None

    def _problem(
        self, code: str, message: str, trail: Trail, *, hint: str | None = None, at_key: bool = False
    ) -> None:
        self.problems.append(error(code, message, self._position(trail, at_key=at_key), hint))

    def _position(self, trail: Trail, *, at_key: bool) -> Position:
        """Where the trail leads; the key of what is nearest around it when it leads nowhere."""
        while trail not in self._marks:
            trail, at_key = trail[:-1], True
        mark = self._marks[trail]
        line, column = mark.key if at_key else mark.value
        return Position(self.file, line + 1, column + 1)

    @cached_property
    def _marks(self) -> Mapping[Trail, Mark]:
        return index(self.document)


def _path(loc: tuple[Step, ...]) -> str:
    return ".".join(step for step in loc if isinstance(step, str))


def _names(kind: Kind) -> Mapping[str, Collection[str]]:
    """The keys of each group of the kind by the group's path; the spec itself is "" and may select servers."""
    groups: dict[str, dict[str, None]] = {"": {_SERVERS: None} if kind.selects_servers else {}}
    for path in fields(kind.name):
        steps = path.split(".")
        for depth, step in enumerate(steps):
            groups.setdefault(".".join(steps[:depth]), {})[step] = None
    return groups


def _bad_selection(value: object) -> Trail:
    """The trail of the first server name that is none, or of the whole selector."""
    for number, name in enumerate(value if isinstance(value, list) else ()):
        try:
            parse_selector([name])
        except PydanticCustomError:
            return "spec", _SERVERS, number
    return "spec", _SERVERS
