"""One YAML document → one checked declaration, or everything that is wrong with it.

The envelope is looked at key by key, the parts by the schemas' models. Every problem is placed at the value that it is
about: at the key for one that nobody knows, at the parent for one that is missing. Nothing here looks at other
documents; `resolve` does. Called by `load`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from reconciler.declared.allowances import ALLOW, allowances, unreasoned
from reconciler.declared.layout import ASKED_OPTION, ASKED_VARIABLE, BASE, POLICIES
from reconciler.declared.positions import Document, Mark, Step, Trail, index, path_text
from reconciler.declared.sentences import Sentence, secret_in_clear, sentence, show
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.model import Diagnostic, Position
from schemas.v1.base import Model, Spec
from schemas.v1.canonical import digest_canonical
from schemas.v1.codec import parse_spec
from schemas.v1.document import API_VERSION, VARIABLES, Lifecycle, Metadata, ServerSelector, parse_selector
from schemas.v1.facts import fields, find
from schemas.v1.kinds import KINDS, Kind
from schemas.v1.variables import Variable, is_variable_name

PartT = TypeVar("PartT", bound=Model)
_KEYS = ("apiVersion", "kind", "metadata", "spec", "lifecycle")
_REQUIRED = ("apiVersion", "kind", "metadata", "spec")
_SERVERS = "servers"
_POLICIES = "reconciler/policy/"
_LISTED = 8
_VARIABLE_NAME = "start with a letter; letters, digits and _ may follow, 64 at most"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A checked document: its spec is valid by itself, its names and references are not looked up yet. `digest` is that
    of the spec's canonical form."""

    kind: Kind
    metadata: Metadata
    spec: Spec
    servers: ServerSelector | None
    lifecycle: Lifecycle | None
    document: Document
    file: Path
    digest: str


def check(document: Document, file: Path) -> tuple[Declaration | None, tuple[Diagnostic, ...]]:
    """The declaration, or None and every problem."""
    checker = Checker(document, file)
    return checker.declaration(), tuple(checker.problems)


def is_policy(document: Document) -> bool:
    """True of what `guardrails` reads: documents of policies, waivers and their tests."""
    return _version(document).startswith(_POLICIES)


def unasked(
    policies: Iterable[Document], file: Path, *, root: Path, asked: Iterable[Path]
) -> Iterator[Diagnostic]:
    """An error for each policy of a file where `guardrails` does not read it: nobody would obey it. `asked` are the
    directories whose policies the run names; a root that is itself called `policies` is taken for one of them."""
    for document in policies:
        if file.is_relative_to(root / POLICIES) or _is_of_policies(file, root, asked):
            return
        message = f"this is of {_version(document)}, and this run asks no policies of this directory"
        hint = (
            f"an estate's own policies are read from {POLICIES}/ at its top, beside {BASE}/ where there is one; "
            f"others are named with {ASKED_OPTION} or {ASKED_VARIABLE}"
        )
        where = Checker(document, file).position(("apiVersion",))
        yield error("misplaced-policy", message, where, hint)


def _is_of_policies(file: Path, root: Path, asked: Iterable[Path]) -> bool:
    found = file.resolve()
    return root.resolve().name == POLICIES or any(found.is_relative_to(one.resolve()) for one in asked)


def _version(document: Document) -> str:
    return str(document.value.get("apiVersion")) if isinstance(document.value, dict) else ""


class Checker:
    """Collects the problems of one document; positions are unpacked at the first of them."""

    def __init__(self, document: Document, file: Path) -> None:
        self.document = document
        self.file = file
        self.problems: list[Diagnostic] = []

    def declaration(self) -> Declaration | None:
        """The checked declaration; None when there are problems."""
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
        if ALLOW in metadata.annotations:
            self.problems.extend(unreasoned(allowances(self.document, self.file)))
            if self.problems:
                return None
        digest = digest_canonical(spec)
        return Declaration(kind, metadata, spec, servers, lifecycle, self.document, self.file, digest)

    def variables(self, typed: Collection[str] = ()) -> Mapping[str, Variable]:
        """The variables of a document of kind Variables, as far as they are good; their values are not looked at.
        `typed`: all that have a type, one of which is probably meant by a name that has none."""
        value = self.document.value
        if (
            not isinstance(value, dict)
            or not self._has_envelope(value, _KEYS[:-1])
            or self._lacks_parts(value)
        ):
            return {}
        self._part(Metadata, "metadata")
        found: dict[str, Variable] = {}
        for name, raw in value["spec"].items():
            if not is_variable_name(name):
                message = f'"{name}" is no name of a variable'
                self.problem("name", message, ("spec", name), hint=_VARIABLE_NAME, at_key=True)
            elif isinstance(raw, dict) and "type" not in raw and (meant := did_you_mean(name, typed)):
                message = f"there is no variable {name} to set, and {name}.type is missing to declare one"
                self.problem("missing", message, ("spec", name), hint=meant, at_key=True)
            elif (variable := self._model(Variable, raw, ("spec", name), subject=(name,))) is not None:
                found[name] = variable
        return found

    def _no_mapping(self, value: object) -> None:
        hint = "a document starts with apiVersion, kind, metadata and spec"
        self.problem("not-a-mapping", f"expected a mapping, got {show(value)}", (), hint=hint)

    def _kind(self, value: dict[str, Any]) -> Kind | None:
        """The kind, when the envelope is good enough to go on."""
        if "apiVersion" not in value and "kind" not in value:
            hint = "move the file elsewhere, or start its name with a dot"
            self.problem(
                "not-a-declaration",
                "this declares nothing: it has neither apiVersion nor kind",
                (),
                hint=hint,
            )
            return None
        self._has_envelope(value, _KEYS)
        kind = value.get("kind")
        if "kind" in value and not (isinstance(kind, str) and kind in KINDS):
            self._unknown_word("kind", kind, [*KINDS, VARIABLES])
        return (
            KINDS[kind] if isinstance(kind, str) and kind in KINDS and not self._lacks_parts(value) else None
        )

    def _has_envelope(self, value: dict[str, Any], known: tuple[str, ...]) -> bool:
        """True when the keys around kind are there, no others, and the version is ours."""
        before = len(self.problems)
        for key in value.keys() - set(known):
            self._unknown(str(key), (key,), known, hint=_misplaced(str(key), value.get("kind")))
        for key in _REQUIRED:
            if key not in value:
                hint = f"add {key}: {API_VERSION}" if key == "apiVersion" else f"add {key}"
                self.problem("missing", f"{key} is missing", (), hint=hint)
        if value.get("apiVersion", API_VERSION) != API_VERSION:
            self._unknown_word("apiVersion", value["apiVersion"], [API_VERSION])
        return len(self.problems) == before

    def _lacks_parts(self, value: dict[str, Any]) -> bool:
        for key in ("metadata", "spec"):
            if key in value and not isinstance(value[key], dict):
                message = f"{key}: expected a mapping, got {show(value[key])}"
                self.problem("type", message, (key,), hint="write key: value pairs, indented")
        return not all(isinstance(value.get(key), dict) for key in ("metadata", "spec"))

    def _part(self, model: type[PartT], key: str) -> PartT | None:
        return self._model(model, self._value(key), (key,), subject=(key,))

    def _model(self, model: type[PartT], value: object, prefix: Trail, *, subject: Trail) -> PartT | None:
        try:
            return model.model_validate(value, by_alias=True, by_name=False)
        except ValidationError as failure:
            names = {"": [model.yaml_name(attribute) for attribute in model.model_fields]}
            for line in failure.errors(include_url=False):
                self._report(line, prefix, subject=subject, names=names)
            return None

    def _servers(self, kind: Kind) -> ServerSelector | None:
        spec = self._value("spec")
        if not kind.selects_servers:
            return None
        if _SERVERS not in spec:
            hint = "write servers: [name], or servers: {matchLabels: {label: value}}"
            self.problem("missing", f"{_SERVERS} is missing", ("spec",), hint=hint, at_key=True)
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
            self.problem(
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
            key, known = str(loc[-1]), names.get(_path(loc[:-1]), ())
            nested = _nested(key, loc[:-1], of)
            self._unknown(key, (*prefix, *loc), known, of=of, hint=nested)
            return
        found = sentence(line["type"], line.get("ctx", {}), message=line["msg"], value=line["input"])
        self._say(found, (*prefix, *loc), subject=path_text((*subject, *loc)))

    def _say(self, found: Sentence, trail: Trail, *, subject: str) -> None:
        joint = " " if found.code == "missing" else ": "
        hint = f"add {subject}" if found.code == "missing" else found.hint
        self.problem(found.code, f"{subject}{joint}{found.message}", trail, hint=hint)

    def _knows_ignored(self, kind: Kind, lifecycle: Lifecycle) -> bool:
        known = fields(kind.name)
        for number, ignored in enumerate(lifecycle.ignore):
            if ignored.path not in known:
                hint = did_you_mean(ignored.path, known) or _all_fields(kind.name)
                message = f'unknown field "{ignored.path}" of {kind.name}'
                self.problem("unknown-key", message, ("lifecycle", "ignore", number, "path"), hint=hint)
        return not self.problems

    def _unknown(
        self,
        key: str,
        trail: Trail,
        known: Collection[str],
        *,
        of: str | None = None,
        hint: str | None = None,
    ) -> None:
        listed = f"known here: {', '.join(known)}" if 0 < len(known) <= _LISTED else None
        hint = hint or did_you_mean(key, known) or listed or (_all_fields(of) if of else None)
        self.problem(
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
        self.problem(f"unknown-{'kind' if key == 'kind' else 'version'}", message, (key,), hint=hint)

    def _value(self, key: str) -> Any:
        return self.document.value[key] if isinstance(self.document.value, dict) else None

    def problem(
        self, code: str, message: str, trail: Trail, *, hint: str | None = None, at_key: bool = False
    ) -> None:
        """Note a problem at the value that the trail leads to, or at its key."""
        self.problems.append(error(code, message, self.position(trail, at_key=at_key), hint))

    def position(self, trail: Trail, *, at_key: bool = False) -> Position:
        """Where the trail leads; the key of what is nearest around it when it leads nowhere."""
        while trail not in self._marks:
            trail, at_key = trail[:-1], True
        mark = self._marks[trail]
        return self.document.position(mark, self.file, at_key=at_key)

    @cached_property
    def _marks(self) -> Mapping[Trail, Mark]:
        return index(self.document)


def _all_fields(kind: str) -> str:
    return f"see `reconcile explain {kind}`"


def _misplaced(key: str, kind: object) -> str | None:
    """What to do with a key beside spec that is one of the kind's spec."""
    is_of_spec = isinstance(kind, str) and kind in KINDS and key in _names(KINDS[kind])[""]
    return "it belongs under spec; indent it there" if is_of_spec else None


def _nested(key: str, around: tuple[Step, ...], kind: str | None) -> str | None:
    """How to write a key with dots whose parts are fields in one another."""
    if kind is None or "." not in key or not any(path == _path((*around, key)) for path in fields(kind)):
        return None
    *groups, last = key.split(".")
    return f"nest it: {': {'.join(groups)}: {{{last}: …{'}' * len(groups)}"


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
