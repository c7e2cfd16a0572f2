"""What the guardrails say of head, sorted by whether it is new: the reviewer is asked about what this change brings.

Base is held against the same policies, those of head, so a rule that a pull request adds does not make old trouble look
new; but with its own waivers, since what one let through is new where it is gone. A finding is the same one when policy
and subject are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.guardrails.certificates import Facts, certificate_facts
from reconciler.guardrails.evaluate import Circumstances, judge
from reconciler.guardrails.policy import PolicySet
from reconciler.model import Desired, LiveState, Plan, Resource, Severity
from reconciler.review.git_source import GitSource
from reconciler.review.model import Findings
from reconciler.verdict import Finding, Verdict
from schemas.v1.certificate import Certificate


@dataclass(frozen=True, slots=True)
class Judged:
    """An estate of one revision with the plan that leads to it: what guardrails look at. `policies` carry the waivers
    of that revision."""

    desired: Desired
    live: LiveState
    plan: Plan
    source: GitSource
    policies: PolicySet

    def facts(self, resource: Resource, fqdn: str | None) -> Facts:
        """What is known of a declared certificate, from its file in this revision."""
        assert isinstance(resource.spec, Certificate)
        return certificate_facts(resource.spec, fqdn, self.source.read)


def findings(
    base: Judged, head: Judged, *, now: datetime, environment: Mapping[str, str], overlay: str | None = None
) -> Findings:
    """New, remaining, fixed, waived and allowed ones. `overlay` is the environment compared, if there are any."""
    before, after = (
        judge(side, side.policies, Circumstances(now, environment, facts_of=side.facts, overlay=overlay))
        for side in (base, head)
    )
    return _sorted(before, after)


def _sorted(base: Verdict, head: Verdict) -> Findings:
    before = {_name(found) for found in base.findings if _stands(found)}
    standing = [found for found in head.findings if _stands(found)]
    after = {_name(found) for found in head.findings}
    waived = tuple(found for found in head.findings if found.waiver is not None)
    waived_before = {_name(found) for found in base.findings if found.waiver is not None}
    return Findings(
        new=tuple(found for found in standing if _name(found) not in before),
        remaining=tuple(found for found in standing if _name(found) in before),
        fixed=tuple(found for found in base.findings if _stands(found) and _name(found) not in after),
        waived=waived,
        allowed=tuple(found for found in head.findings if found.diagnostic.allowed is not None),
        problems=head.problems,
        excused=tuple(found for found in waived if _is_error(found) and _name(found) not in waived_before),
    )


def _stands(finding: Finding) -> bool:
    return finding.waiver is None and finding.diagnostic.allowed is None


def _is_error(finding: Finding) -> bool:
    return finding.diagnostic.severity is Severity.ERROR


def _name(finding: Finding) -> tuple[str, str]:
    return finding.policy, finding.subject
