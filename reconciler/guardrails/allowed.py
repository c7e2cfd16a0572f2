"""Lets warnings through that the document they are about allows with a reason, and watches over those allowances.

What the files of a document can allow is said in `declared.allowances`; here are the rules that policies add to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from reconciler.declared.allowances import of_estate, unallowable, unknown, unused
from reconciler.declared.rules import RULES
from reconciler.declared.source import Source
from reconciler.guardrails.files import SHIPPED, combine, estate_policies, load_policies
from reconciler.guardrails.policy import PolicySet, Scope
from reconciler.model import Allowance, Desired, Diagnostic, Severity
from reconciler.verdict import Finding


def allow(
    findings: tuple[Finding, ...], policies: PolicySet, desired: Desired
) -> tuple[tuple[Finding, ...], tuple[Diagnostic, ...]]:
    """The findings with what allows them, and what is to be said about the allowances."""
    allowances = of_estate(desired)
    if not allowances:
        return findings, ()
    allowing = {str(key): resource for key, resource in desired.resources.items() if resource.allowed}
    found = tuple(
        _allowed(one, allowing[one.subject].allows(one.policy)) if one.subject in allowing else one
        for one in findings
    )
    used = {one.diagnostic.allowed for one in found if one.diagnostic.allowed is not None}
    return found, tuple(_problems(allowances, policies, used))


def problems_of_files(allowances: Collection[Allowance], estate: Source) -> tuple[Diagnostic, ...]:
    """What is wrong with the allowances of an estate as far as its files tell: which rules there are, and which of them
    are errors. Policies that a run is given with --policies are not known here."""
    if not allowances:
        return ()
    policies = PolicySet()
    if any(one.rule not in RULES for one in allowances):
        policies = combine(load_policies(SHIPPED), estate_policies(estate))
    known = {*RULES, *(policy.id for policy in policies.policies)}
    return (
        *unallowable(allowances, _errors(policies)),
        *unknown(allowances, known),
    )


def _allowed(finding: Finding, by: Allowance | None) -> Finding:
    is_warning = finding.diagnostic.severity is Severity.WARNING
    if by is None or finding.waiver is not None or not is_warning:
        return finding
    return replace(finding, diagnostic=replace(finding.diagnostic, allowed=by))


def _problems(
    allowances: Collection[Allowance], policies: PolicySet, used: Collection[Allowance]
) -> Iterator[Diagnostic]:
    known = {*RULES, *(policy.id for policy in policies.policies)}
    if any(one.rule not in known for one in allowances):
        known |= {policy.id for policy in load_policies(SHIPPED).policies}
    yield from unallowable(allowances, _errors(policies))
    yield from unknown(allowances, known)
    # What a policy says of changes comes and goes.
    lasting = {
        policy.id
        for policy in policies.policies
        if policy.match.scope is not Scope.CHANGE and policy.severity is Severity.WARNING
    }
    yield from unused(allowances, lasting, used)


def _errors(policies: PolicySet) -> Collection[str]:
    """The rules that nothing in a document lets through; a policy may be called as a rule of the language is."""
    severities = {name: rule.severity for name, rule in RULES.items()}
    severities |= {policy.id: policy.severity for policy in policies.policies}
    return {name for name, severity in severities.items() if severity is Severity.ERROR}
