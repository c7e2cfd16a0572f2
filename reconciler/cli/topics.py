"""What `reconcile explain` tells beside kinds and fields: parts of documents, secrets, rules, rights and guardrails.

Each text is read from where it is declared: models, schemas, the tables of rules, policy files. It tells nothing by
itself, and asks no runtime. Only `explain` calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from reconciler.declared.allowances import ALLOW
from reconciler.declared.layout import locate
from reconciler.declared.rules import REMARKS, RULES
from reconciler.model import Diagnostic, Severity
from reconciler.rendering.plan_risks import RULES as RISKS
from schemas.v1.base import Model
from schemas.v1.document import VARIABLES, Document
from schemas.v1.extended_rights import (
    ALLOWS,
    EXTERNALLY_SECURED,
    GROUP_RIGHTS,
    NOT_ACTED_ON,
    TELLS_NOT_ACTED_ON,
    Right,
)
from schemas.v1.facts import type_of
from schemas.v1.json_schema import OVERLAY, PATCH, variables_document_schema
from schemas.v1.receive_connector_words import AuthMechanism
from schemas.v1.samples import SECRETS, SECRETS_RULE, WRITING
from schemas.v1.variables import Variable

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from reconciler.guardrails.policy import Policy

_BY_ANNOTATION = f"by {ALLOW} in the document's annotations, with the reason"
_BY_WAIVER = "by a Waiver, with the reason and its last day"
_RIGHT = "extended right"
_GRANTS = "ReceiveConnector.extendedRights, beside those"
_SECTIONS = {"Policy": "writing-one", "Waiver": "exceptions", "PolicyTest": "testing-it"}


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing to explain: its name, what sort of thing it is (empty: a part of documents), a sentence, and what else
    is known by its label."""

    name: str
    what: str
    description: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def answers(self, word: str) -> bool:
        """True of the name or its last part, in any case, and of all that is within what the word names."""
        name, asked = f".{self.name.lower()}.", f"{word.lower()}."
        return name.startswith(f".{asked}") or name.endswith(f".{asked}")


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The policies that can be explained, and what is wrong with their files."""

    topics: tuple[Topic, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]


def of_language() -> tuple[Topic, ...]:
    """Parts of documents, rules, types of values, extended rights; one may be called as another is."""
    return (*_documents(), *_rules(), *_rights())


def of_guardrails(estate: Path | None) -> Guardrails:
    """The shipped policies, those of the estate in the place of shipped ones with the same id, and what else stands in
    policy files."""
    from reconciler.guardrails import documents
    from reconciler.guardrails.files import SHIPPED, combine, estate_policies, load_policies

    own = [estate_policies(locate(estate, None)[0])] if estate is not None else []
    found = combine(load_policies(SHIPPED), *own)
    models: tuple[type[Model], ...] = (
        documents.PolicyDocument,
        documents.WaiverDocument,
        documents.PolicyTestDocument,
    )
    kinds = zip(documents.PolicyKind, models, strict=True)
    parts = (
        topic
        for kind, model in kinds
        for topic in _group(str(kind), model, _sentence(model), f"guardrails.md#{_SECTIONS[kind]}")
    )
    policies = (_policy(one, is_shipped=one.position.file.is_relative_to(SHIPPED)) for one in found.policies)
    return Guardrails((*parts, *policies), found.diagnostics, found.sources)


def _documents() -> Iterator[Topic]:
    """What all documents share, what declares variables, and what is written for a secret."""
    yield from _parts("", Document)
    variables = variables_document_schema()["description"]
    yield from _group(VARIABLES, Variable, variables, "language.md#variables")
    yield Topic("overlay", "", OVERLAY, {"docs": "docs/language.md#environments"})
    yield Topic("overlay.$patch", "", PATCH["description"], {"allowed": PATCH["const"]})
    written = "\n".join(f"{form}\n    {meaning}" for form, meaning in SECRETS)
    yield Topic("secretRef", "", SECRETS_RULE, {"written": written, "docs": "docs/secrets.md"})


def _group(name: str, model: type[Model], description: str, page: str) -> Iterator[Topic]:
    yield Topic(name, "", description, {"docs": f"docs/{page}"})
    yield from _parts(f"{name}.", model)


def _parts(prefix: str, model: type[Model]) -> Iterator[Topic]:
    for attribute, declared in model.model_fields.items():
        name = prefix + model.yaml_name(attribute)
        yield Topic(name, "", declared.description or "", _facts_of(declared))
        for below in _models_in(declared.annotation):
            yield from _parts(f"{name}.", below)


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    """The model of a group, or of the items of a list."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, Model):
            yield one


def _facts_of(declared: FieldInfo) -> dict[str, str]:
    required = {"required": "yes"} if declared.is_required() else {}
    if Any in (declared.annotation, *get_args(declared.annotation)):
        return required
    found = type_of(declared)
    is_plain = found.expected == found.name or found.name.endswith("group")
    return {"type": found.name, **({} if is_plain else {"allowed": found.expected}), **required}


def _rules() -> Iterator[Topic]:
    page = {"docs": "docs/language.md#rules"}
    for name, rule in RULES.items():
        let = {"exception": _BY_ANNOTATION} if name in REMARKS else {}
        yield Topic(name, "rule", rule.tells, {"severity": rule.severity, **let, **page})
    for name, writing in WRITING.items():
        examples = {"examples": "\n".join(writing.examples)} if writing.examples else {}
        yield Topic(name, "type of values", writing.syntax, examples)
    for name, tells in RISKS.items():
        yield Topic(name, "rule", tells, {"docs": "docs/plans.md#for-machines-and-for-review"})


def _rights() -> Iterator[Topic]:
    """Of a Receive connector: the words that users copy from Exchange."""
    for right in Right:
        yield Topic(str(right), _RIGHT, ALLOWS[right], {"held by": _holders(right), "granted by": _GRANTS})
    for name in NOT_ACTED_ON:
        yield Topic(name, _RIGHT, f"{TELLS_NOT_ACTED_ON}.")


def _holders(right: Right) -> str:
    groups = [str(group) for group, rights in GROUP_RIGHTS.items() if right in rights]
    by_groups = [f"{', '.join(groups)} in permissionGroups"] if groups else []
    secured = (
        [f"{AuthMechanism.EXTERNAL_AUTHORITATIVE} in authMechanism"] if right in EXTERNALLY_SECURED else []
    )
    return "; ".join([*by_groups, *secured]) or "no permission group"


def _policy(policy: Policy, *, is_shipped: bool) -> Topic:
    is_warning = policy.severity is Severity.WARNING
    facts = {
        "severity": policy.severity.value,
        "why": policy.fact,
        "remedy": policy.remedy,
        "exception": _BY_ANNOTATION if is_warning else _BY_WAIVER,
        "docs": policy.docs,
        "source": f"{'shipped, ' if is_shipped else ''}{policy.position}",
    }
    known = {name: text for name, text in facts.items() if text}
    return Topic(policy.id, "policy", policy.title, known)


def _sentence(model: type[Model]) -> str:
    return (model.__doc__ or "").splitlines()[0]
