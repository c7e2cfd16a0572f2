"""The models of what stands in policy files: `Policy`, `Waiver` and `PolicyTest`, version reconciler/policy/v1.

Only the shape is checked here; `check` compiles expressions, looks names up and places every problem.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import Field

from reconciler.guardrails.policy import API_VERSION
from schemas.v1.base import Model
from schemas.v1.document import KindName, Name
from schemas.v1.scalar import Scalar, Words
from schemas.v1.types import Line, Text


def _parse_date(value: object) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    raise ValueError


def _parse_time(value: object) -> datetime:
    if isinstance(value, str) and (found := datetime.fromisoformat(value)).tzinfo is not None:
        return found
    raise ValueError


DATE = Scalar("date", 'a day such as "2026-12-31"', _parse_date, str, {"type": "string", "format": "date"})
TIME = Scalar(
    "time",
    'a time such as "2026-01-31T12:00:00Z"',
    _parse_time,
    str,
    {"type": "string", "format": "date-time"},
)
Day = Annotated[date, DATE]
Time = Annotated[datetime, TIME]


class PolicyApiVersion(Words):
    """The versions of policy files."""

    V1 = API_VERSION


class PolicyKind(Words):
    """What may stand in a policy file."""

    POLICY = "Policy"
    WAIVER = "Waiver"
    POLICY_TEST = "PolicyTest"


class SeverityName(Words):
    """error: the plan is not applied. warning: it is told."""

    ERROR = "error"
    WARNING = "warning"


class Each(Words):
    """What is looked at, one at a time."""

    RESOURCE = "resource"
    CHANGE = "change"
    SERVICE = "service"
    SITE = "site"
    PLAN = "plan"


class Expected(Words):
    """What a policy must say of a case."""

    PASS = "pass"  # noqa: S105 - the outcome of a trial
    FAIL = "fail"


class MatchDocument(Model):
    """`match`."""

    each: Annotated[Each, Field(description="What is looked at, one at a time.")] = Each.RESOURCE
    kinds: Annotated[
        tuple[KindName, ...], Field(description="Only these kinds; none given: every kind.")
    ] = ()
    names: Annotated[
        tuple[Text, ...],
        Field(description="Only live names that one of these globs matches, such as ex01/*."),
    ] = ()
    labels: dict[Text, Text] = Field(
        default_factory=dict,
        description="Only what has these labels, of its own, of its server or of the run.",
    )


_API_VERSION = Field(description="The version of policy files that this is written in.")
_KIND = Field(description="Which of the documents of policy files this is.")


class PolicyDocument(Model):
    """One rule."""

    api_version: Annotated[PolicyApiVersion, _API_VERSION]
    kind: Annotated[PolicyKind, _KIND]
    id: Annotated[
        Name,
        Field(description="Its name in findings, waivers and tests. An estate's replaces a shipped one."),
    ]
    title: Annotated[Text, Field(description="What it tells of, in a few words.")]
    severity: Annotated[
        SeverityName,
        Field(description="What a finding does to a plan: error, it is not applied; warning, it is told."),
    ]
    match: MatchDocument = Field(
        default_factory=MatchDocument, description="What it looks at. Not given: every resource."
    )
    when: Annotated[
        Text | None,
        Field(description="An expression: it is asked only where this is true. Null: everywhere."),
    ] = None
    require: Annotated[Text, Field(description="An expression that is true of what is good.")]
    at: Annotated[
        tuple[Text, ...],
        Field(description="Fields that a finding points at: the first of them that the file declares."),
    ] = ()
    message: Annotated[
        Text, Field(description="What a finding says; expressions may stand in braces, and {{ is a brace.")
    ]
    remedy: Annotated[Text | None, Field(description="How to go on.")] = None
    fact: Annotated[Text | None, Field(description="Why: what Exchange documents of it.")] = None
    docs: Annotated[Line | None, Field(description="A page that says more.")] = None


class WaiverDocument(Model):
    """An exception to one rule."""

    api_version: Annotated[PolicyApiVersion, _API_VERSION]
    kind: Annotated[PolicyKind, _KIND]
    policy: Annotated[Name, Field(description="Id of the policy that it is about.")]
    resource: Annotated[
        Line, Field(description="What is let through: a subject such as ImapSettings/ex01, or a glob.")
    ]
    reason: Annotated[Text, Field(description="Why that is well for the time being.")]
    expires: Annotated[Day, Field(description="Its last day, in UTC.")]


class CaseResourceDocument(Model):
    """A resource of a case, by its live name."""

    kind: Annotated[KindName, Field(description="Its kind.")]
    name: Annotated[Line, Field(description="Its live name, such as ex01/mail.")]
    spec: dict[Text, Any] = Field(
        default_factory=dict, description="Its fields; what is not given has its default."
    )
    labels: dict[Text, Text] = Field(default_factory=dict, description="Its labels.")
    certificate: Annotated[
        dict[Text, Any] | None, Field(description="What a file would say of a certificate, such as notAfter.")
    ] = None


class CaseDocument(Model):
    """One case of a test."""

    name: Annotated[Text, Field(description="What is tried.")]
    resources: Annotated[tuple[CaseResourceDocument, ...], Field(description="What is declared.")] = ()
    live: Annotated[
        tuple[CaseResourceDocument, ...] | None,
        Field(description="What is live before. Null: what is declared."),
    ] = None
    plan: dict[Text, Any] = Field(
        default_factory=dict,
        description="Members of the plan's JSON that take the place of those of the plan.",
    )
    now: Annotated[Time, Field(description="The time at which it is judged.")] = datetime.fromisoformat(
        "2026-01-01T00:00:00Z"
    )
    environment: dict[Text, Text] = Field(default_factory=dict, description="The labels of the run.")
    expect: Annotated[Expected, Field(description="Whether the policy finds nothing, or something.")]
    subjects: Annotated[
        tuple[Line, ...] | None, Field(description="What it finds, exactly. Null: whatever it is.")
    ] = None
    message: Annotated[Text | None, Field(description="A part of what one of the findings says.")] = None


class PolicyTestDocument(Model):
    """The tests of one policy."""

    api_version: Annotated[PolicyApiVersion, _API_VERSION]
    kind: Annotated[PolicyKind, _KIND]
    policy: Annotated[Name, Field(description="Id of the policy that is tried.")]
    cases: Annotated[tuple[CaseDocument, ...], Field(description="What is tried, one estate each.")]
