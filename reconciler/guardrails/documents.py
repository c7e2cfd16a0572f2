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

    each: Each = Each.RESOURCE
    kinds: tuple[KindName, ...] = ()
    names: tuple[Text, ...] = ()
    labels: dict[Text, Text] = Field(default_factory=dict)


class PolicyDocument(Model):
    """One rule."""

    api_version: PolicyApiVersion
    kind: PolicyKind
    id: Name
    title: Text
    severity: SeverityName
    match: MatchDocument = Field(default_factory=MatchDocument)
    when: Text | None = None
    require: Text
    at: tuple[Text, ...] = ()
    message: Text
    remedy: Text | None = None
    fact: Text | None = None
    docs: Line | None = None


class WaiverDocument(Model):
    """An exception to one rule."""

    api_version: PolicyApiVersion
    kind: PolicyKind
    policy: Name
    resource: Line
    reason: Text
    expires: Day


class CaseResourceDocument(Model):
    """A resource of a case, by its live name."""

    kind: KindName
    name: Line
    spec: dict[Text, Any] = Field(default_factory=dict)
    labels: dict[Text, Text] = Field(default_factory=dict)
    certificate: dict[Text, Any] | None = None


class CaseDocument(Model):
    """One case of a test."""

    name: Text
    resources: tuple[CaseResourceDocument, ...] = ()
    live: tuple[CaseResourceDocument, ...] | None = None
    plan: dict[Text, Any] = Field(default_factory=dict)
    now: Time = datetime.fromisoformat("2026-01-01T00:00:00Z")
    environment: dict[Text, Text] = Field(default_factory=dict)
    expect: Expected
    subjects: tuple[Line, ...] | None = None
    message: Text | None = None


class PolicyTestDocument(Model):
    """The tests of one policy."""

    api_version: PolicyApiVersion
    kind: PolicyKind
    policy: Name
    cases: tuple[CaseDocument, ...]
