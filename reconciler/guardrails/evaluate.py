"""Policies and a plan → findings: the entry of this room, called by every verb that plans or applies.

A policy that cannot be evaluated is an error, not a pass: what nobody could check is not applied. Nothing is raised for
what a policy or a waiver has wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue

from reconciler.declared.syntax import error
from reconciler.guardrails.allowed import allow
from reconciler.guardrails.cel import CelValueError, Expression, Variables
from reconciler.guardrails.estate import Estate, FactsOf, facts_of_file
from reconciler.guardrails.files import SHIPPED
from reconciler.guardrails.policy import Message, Policy, PolicySet, Scope
from reconciler.guardrails.subjects import Subject, Subjects
from reconciler.guardrails.waivers import waive
from reconciler.model import Desired, Diagnostic, LiveState, Plan
from reconciler.verdict import Finding, Verdict

_ITEMS_SHOWN = 20  # of a list in a message


class Planned(Protocol):
    """A plan with what it was made from, as `pipeline.Planned` is."""

    @property
    def desired(self) -> Desired: ...
    @property
    def live(self) -> LiveState: ...
    @property
    def plan(self) -> Plan: ...


def evaluate(
    planned: Planned, policies: PolicySet, *, now: datetime, environment: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    """What stands against the plan and is not waived, with what is wrong with the policies themselves."""
    return judge(planned, policies, Circumstances(now, environment)).diagnostics


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When and where a plan is judged: `now` with a time zone, the labels of the run, and which of the estate's
    `overlay`s it is of (None: there are none). Policy tests also say what is known of certificates, and replace members
    of the plan's JSON."""

    now: datetime
    environment: Mapping[str, str] = field(default_factory=dict)
    facts_of: FactsOf = facts_of_file
    plan: Mapping[str, JsonValue] = field(default_factory=dict)
    overlay: str | None = None


def judge(planned: Planned, policies: PolicySet, circumstances: Circumstances) -> Verdict:
    """The same with what is waived, and by which waiver."""
    estate = Estate(
        planned.desired,
        planned.live,
        planned.plan,
        environment=circumstances.environment,
        facts_of=circumstances.facts_of,
    )
    subjects = Subjects(estate, now=circumstances.now, plan=circumstances.plan)
    failures: dict[str, Diagnostic] = {}
    findings = tuple(_findings(subjects, policies, failures))
    waived, problems = waive(findings, policies, now=circumstances.now, overlay=circumstances.overlay)
    allowed, others = allow(waived, policies, planned.desired)
    return Verdict(_sorted(allowed), (*policies.diagnostics, *failures.values(), *problems, *others))


def _findings(subjects: Subjects, policies: PolicySet, failures: dict[str, Diagnostic]) -> Iterator[Finding]:
    for scope in Scope:
        wanted = [policy for policy in policies.policies if policy.match.scope is scope]
        for subject, matching in subjects.of(scope, wanted):
            for policy in matching:
                if policy.id not in failures and (found := _hold(policy, subject, failures)):
                    yield found


def _hold(policy: Policy, subject: Subject, failures: dict[str, Diagnostic]) -> Finding | None:
    """Hold one policy against one subject; the first failure of a policy ends its evaluation."""
    variables = subject.variables
    try:
        if policy.when is not None and not policy.when.is_true(variables):
            return None
        if policy.require.is_true(variables):
            return None
    except CelValueError as failure:
        failures[policy.id] = _failure(policy, subject, failure)
        return None
    return Finding(policy.id, subject.name, _diagnostic(policy, subject), policy.docs)


def _failure(policy: Policy, subject: Subject, failure: CelValueError) -> Diagnostic:
    message = f"policy {policy.id} cannot be evaluated for {subject.name}: {failure}"
    hint = "guard what may be missing with has(…), or narrow `match`; `reconcile policy test` tries it"
    return error("policy-failed", message, policy.position, hint)


def _diagnostic(policy: Policy, subject: Subject) -> Diagnostic:
    message = f"{subject.name}: {_rendered(policy.message, subject.variables)}"
    hint = "; ".join(part for part in (policy.remedy, _more_about(policy)) if part)
    return Diagnostic(
        policy.id,
        policy.severity,
        message,
        subject.position(policy.at),
        hint or None,
        policy=None if _is_shipped(policy) else policy.id,
    )


def _is_shipped(policy: Policy) -> bool:
    return policy.position.file.is_relative_to(SHIPPED)


def _more_about(policy: Policy) -> str | None:
    """The page of a shipped policy is not in the repository of an estate; `explain` tells all of it."""
    if _is_shipped(policy):
        return f"more: reconcile explain {policy.id}"
    return f"see {policy.docs}" if policy.docs else None


def _rendered(message: Message, variables: Variables) -> str:
    parts = (part if isinstance(part, str) else _value(part, variables) for part in message.parts)
    return " ".join("".join(parts).split())


def _value(expression: Expression, variables: Variables) -> str:
    """The value as text; the expression itself when it has none, because a finding is told whatever its words."""
    try:
        return _text(expression.value(variables))
    except CelValueError:
        return f"{{{expression.text}}}"


def _text(value: object) -> str:
    match value:
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case list():
            more = [f"and {len(value) - _ITEMS_SHOWN:,} more"] if len(value) > _ITEMS_SHOWN else []
            return ", ".join([*map(_text, value[:_ITEMS_SHOWN]), *more])
        case datetime():
            return f"{value:%Y-%m-%d %H:%M} UTC"
        case _:
            return str(value)


def _sorted(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=_place))


def _place(finding: Finding) -> tuple[str, int, int, str, str]:
    where = finding.diagnostic.position
    file, line, column = (str(where.file), where.line, where.column) if where else ("", 0, 0)
    return file, line, column, finding.subject, finding.policy
