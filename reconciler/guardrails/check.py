"""One YAML document of a policy file → a policy, a waiver or a test; or everything that is wrong with it.

Expressions are compiled here, so that a mistake in one is told at its line and column before anything is planned. So is
a field that no kind has. Nothing here looks at other documents; `files` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from reconciler.declared.positions import Document, Trail, path_text
from reconciler.declared.sentences import sentence, show
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.guardrails import documents
from reconciler.guardrails.cel import CelSyntaxError, Expression, compile_expression
from reconciler.guardrails.places import Places
from reconciler.guardrails.policy import API_VERSION, Case, CaseResource, Match, Message, Policy, Scope, Trial
from reconciler.guardrails.variables import VARIABLES
from reconciler.model import Diagnostic, Severity
from reconciler.verdict import Waiver
from schemas.v1.base import Model
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS

Checked = Policy | Waiver | Trial
ModelT = TypeVar("ModelT", bound=Model)

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")
_SPEC_FIELD = re.compile(r"\bresource\.spec\.([A-Za-z_]\w*)")
_KINDS = tuple(documents.PolicyKind)


def check(document: Document, file: Path, source: str) -> tuple[Checked | None, tuple[Diagnostic, ...]]:
    """What the document says, or None and every problem. `source` is the text of the file."""
    checker = _Checker(document, Places(document, file, source))
    found = checker.checked()
    return (None if checker.problems else found), tuple(checker.problems)


class _Checker:
    """Collects the problems of one document."""

    def __init__(self, document: Document, places: Places) -> None:
        self.value = document.value
        self.places = places
        self.problems: list[Diagnostic] = []

    def checked(self) -> Checked | None:
        if not isinstance(self.value, dict):
            self._problem("not-a-mapping", f"expected a mapping, got {show(self.value)}", ())
            return None
        if not self._is_ours(self.value):
            return None
        match self.value["kind"]:
            case "Policy":
                return self._policy(self._model(documents.PolicyDocument))
            case "Waiver":
                return self._waiver(self._model(documents.WaiverDocument))
            case _:
                return self._trial(self._model(documents.PolicyTestDocument))

    def _is_ours(self, value: Mapping[str, Any]) -> bool:
        if value.get("apiVersion") != API_VERSION:
            message = f"apiVersion: expected {API_VERSION}, got {show(value.get('apiVersion'))}"
            hint = "only policies, waivers and their tests are read here"
            self._problem("unknown-version", message, ("apiVersion",), hint)
        elif value.get("kind") not in _KINDS:
            guess = did_you_mean(str(value.get("kind")), _KINDS)
            message = f"kind: expected one of {', '.join(_KINDS)}, got {show(value.get('kind'))}"
            self._problem("unknown-kind", message, ("kind",), guess)
        return not self.problems

    def _model(self, model: type[ModelT]) -> ModelT | None:
        try:
            return model.model_validate(self.value, by_alias=True, by_name=False)
        except ValidationError as failure:
            for line in failure.errors(include_url=False):
                self._shape(model, line)
            return None

    def _shape(self, model: type[Model], line: Any) -> None:
        """Tell one error line of a model."""
        loc = tuple(line["loc"])
        if line["type"] == "extra_forbidden":
            known = [model.yaml_name(name) for name in model.model_fields] if len(loc) == 1 else []
            hint = did_you_mean(str(loc[-1]), known)
            self._problem("unknown-key", f'unknown key "{loc[-1]}"', loc, hint, at_key=True)
            return
        found = sentence(line["type"], line.get("ctx", {}), message=line["msg"], value=line["input"])
        joint = " " if found.code == "missing" else ": "
        self._problem(found.code, f"{path_text(loc)}{joint}{found.message}", loc, found.hint)

    # Policies.

    def _policy(self, found: documents.PolicyDocument | None) -> Policy | None:
        if found is None:
            return None
        match = self._match(found.match)
        when = self._expression(("when",), found.when, match) if found.when is not None else None
        require = self._expression(("require",), found.require, match)
        message = self._message(found.message, match)
        self._check_paths(found.at, match)
        if require is None:
            return None
        return Policy(
            id=found.id,
            title=found.title,
            severity=Severity(found.severity.value),
            match=match,
            when=when,
            require=require,
            at=found.at,
            message=message,
            remedy=_one_line(found.remedy),
            fact=_one_line(found.fact),
            docs=found.docs,
            position=self.places.of(("id",)),
        )

    def _match(self, found: documents.MatchDocument) -> Match:
        scope = Scope(found.each.value)
        for path in ("kinds", "names", "labels"):
            if getattr(found, path) and scope not in _MATCHABLE[path]:
                message = f"match.{path}: not for each: {scope}"
                hint = f"{path} is for {' and '.join(f'each: {one}' for one in _MATCHABLE[path])}"
                self._problem("policy-match", message, ("match", path), hint, at_key=True)
        kinds = tuple(kind.value for kind in found.kinds)
        return Match(scope, kinds, found.names, tuple(sorted(found.labels.items())))

    def _expression(
        self, trail: Trail, text: str | None, match: Match, *, is_condition: bool = True, offset: int = 0
    ) -> Expression | None:
        """Compile `text`, which stands at `offset` in the scalar at `trail`."""
        if text is None:
            return None
        try:
            expression = compile_expression(text, VARIABLES[match.scope], is_condition=is_condition)
        except CelSyntaxError as failure:
            self._inside(
                trail, offset + _offset(text, failure.line, failure.column), str(failure), failure.hint
            )
            return None
        self._check_fields(trail, text, match, offset)
        return expression

    def _inside(self, trail: Trail, offset: int, message: str, hint: str | None) -> None:
        whole = str(self._at(trail))
        line, column = whole.count("\n", 0, offset) + 1, offset - (whole.rfind("\n", 0, offset) + 1) + 1
        position = self.places.inside(trail, whole, line=line, column=column)
        self.problems.append(error("policy-expression", f"{path_text(trail)}: {message}", position, hint))

    def _check_fields(self, trail: Trail, text: str, match: Match, offset: int) -> None:
        """A field of `resource.spec` that none of the kinds has is a misspelt one."""
        known = _field_names(match.kinds)
        for found in _SPEC_FIELD.finditer(text):
            if found[1] not in known:
                kinds = " or ".join(match.kinds) or "any kind"
                hint = did_you_mean(found[1], known)
                self._inside(trail, offset + found.start(1), f'unknown field "{found[1]}" of {kinds}', hint)

    def _check_paths(self, paths: tuple[str, ...], match: Match) -> None:
        known = _field_names(match.kinds)
        for number, path in enumerate(paths):
            if path.partition(".")[0] not in known:
                hint = did_you_mean(path, known)
                self._problem("unknown-key", f'at: unknown field "{path}"', ("at", number), hint)

    def _message(self, text: str, match: Match) -> Message:
        parts: list[str | Expression] = []
        end = 0
        for found in _PLACEHOLDER.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            if found[1] is None:
                parts.append(found[0][0])
                continue
            expression = self._expression(
                ("message",), found[1], match, is_condition=False, offset=found.start(1)
            )
            parts += [expression] if expression else []
        return Message((*parts, text[end:]))

    # Waivers and tests.

    def _waiver(self, found: documents.WaiverDocument | None) -> Waiver | None:
        if found is None:
            return None
        if not found.reason.strip():
            self._problem("waiver-reason", "reason: say why the rule does not hold here", ("reason",))
        return Waiver(
            found.policy, found.resource, found.reason.strip(), found.expires, self.places.of(("policy",))
        )

    def _trial(self, found: documents.PolicyTestDocument | None) -> Trial | None:
        if found is None:
            return None
        cases = tuple(self._case(number, case) for number, case in enumerate(found.cases))
        return Trial(found.policy, cases, self.places.of(("policy",)))

    def _case(self, number: int, found: documents.CaseDocument) -> Case:
        trail: Trail = ("cases", number)
        live = None if found.live is None else tuple(self._resources((*trail, "live"), found.live))
        return Case(
            name=found.name,
            resources=tuple(self._resources((*trail, "resources"), found.resources)),
            live=live,
            plan=found.plan,
            now=found.now,
            environment=found.environment,
            is_pass_expected=found.expect is documents.Expected.PASS,
            subjects=found.subjects,
            message=found.message,
            position=self.places.of(trail),
        )

    def _resources(
        self, trail: Trail, found: tuple[documents.CaseResourceDocument, ...]
    ) -> Iterator[CaseResource]:
        for number, one in enumerate(found):
            position = self.places.of((*trail, number))
            yield CaseResource(one.kind.value, one.name, one.spec, one.labels, one.certificate, position)

    def _at(self, trail: Trail) -> Any:
        value: Any = self.value
        for step in trail:
            value = value[step]
        return value

    def _problem(
        self, code: str, message: str, trail: Trail, hint: str | None = None, *, at_key: bool = False
    ) -> None:
        self.problems.append(error(code, message, self.places.of(trail, at_key=at_key), hint))


_MATCHABLE: Mapping[str, tuple[Scope, ...]] = {
    "kinds": (Scope.RESOURCE, Scope.CHANGE),
    "names": (Scope.RESOURCE, Scope.CHANGE, Scope.SERVICE, Scope.SITE),
    "labels": (Scope.RESOURCE,),
}


def _field_names(kinds: tuple[str, ...]) -> frozenset[str]:
    """The top-level fields of these kinds; of all kinds when none is named."""
    return frozenset(path.partition(".")[0] for kind in kinds or KINDS for path in fields(kind))


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(one) + 1 for one in lines[: line - 1]) + column - 1


def _one_line(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())
