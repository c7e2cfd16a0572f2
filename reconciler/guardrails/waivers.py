"""Lets findings through that somebody has given a reason for, and watches over those exceptions.

A waiver ends with its day: then the finding is back, and the waiver is told. One that nothing needs any more is told
too, unless its policy looks at changes, which come and go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from reconciler.guardrails.policy import PolicySet, Scope
from reconciler.model import Diagnostic, Severity
from reconciler.verdict import Finding, Waiver


def waive(
    findings: tuple[Finding, ...], policies: PolicySet, *, now: datetime, overlay: str | None = None
) -> tuple[tuple[Finding, ...], tuple[Diagnostic, ...]]:
    """The findings with their waivers, and what is to be said about the waivers. `overlay` is the environment that the
    findings are of, if the estate has any: what it does not need may be there for another."""
    by_policy: dict[str, list[Waiver]] = {}
    for waiver in policies.waivers:
        by_policy.setdefault(waiver.policy, []).append(waiver)
    used: set[int] = set()
    waived = tuple(_waived(found, by_policy.get(found.policy, []), now, used) for found in findings)
    return waived, tuple(_problems(policies, used, now, overlay))


def _waived(finding: Finding, waivers: list[Waiver], now: datetime, used: set[int]) -> Finding:
    covering = [waiver for waiver in waivers if waiver.covers(finding.policy, finding.subject)]
    used.update(id(waiver) for waiver in covering)
    valid = next((waiver for waiver in covering if not waiver.is_expired(now)), None)
    return finding if valid is None else replace(finding, waiver=valid)


def _problems(
    policies: PolicySet, used: set[int], now: datetime, overlay: str | None
) -> Iterator[Diagnostic]:
    remove = "remove it"
    if overlay is not None:
        remove = f"this is of the environment {overlay} alone: remove it if no other one needs it"
    for waiver in policies.waivers:
        is_needed = id(waiver) in used
        subject = f"the waiver of {waiver.policy} for {waiver.resource}"
        if policies.find(waiver.policy) is None:
            continue  # nobody asked for the policy, so nothing can be said of what it would find
        if waiver.is_expired(now):
            hint = "correct what it excuses, or give it a new day and reason" if is_needed else remove
            yield _warning("waiver-expired", f"{subject} ended on {waiver.expires}", waiver, hint)
        elif not is_needed and _is_lasting(policies, waiver):
            yield _warning("waiver-unused", f"{subject} excuses nothing", waiver, remove)


def _is_lasting(policies: PolicySet, waiver: Waiver) -> bool:
    """True when the policy looks at what is declared, whatever the plan is."""
    policy = policies.find(waiver.policy)
    return policy is not None and policy.match.scope is Scope.RESOURCE


def _warning(code: str, message: str, waiver: Waiver, hint: str) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, message, waiver.position, hint)
