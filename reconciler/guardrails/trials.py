"""Runs the tests that stand beside policies: a small estate, the real planner, the policy, what it must say.

A case goes through the same schemas, the same planner and the same evaluation as a directory of declarations, so a case
that passes tells something about the day it matters. No file and no runtime is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from reconciler.declared.secrets import take_secrets
from reconciler.declared.sentences import sentence
from reconciler.declared.syntax import error
from reconciler.guardrails.certificates import Facts
from reconciler.guardrails.estate import facts_of_file
from reconciler.guardrails.evaluate import Circumstances, judge
from reconciler.guardrails.policy import Case, CaseResource, Policy, PolicySet, Trial
from reconciler.model import (
    Desired,
    Diagnostic,
    Key,
    LiveState,
    Plan,
    Position,
    Present,
    Resource,
    ServiceState,
)
from reconciler.planning.plan import make_plan
from reconciler.verdict import Finding, Verdict
from schemas.v1.codec import parse_spec
from schemas.v1.server import Server
from schemas.v1.words import StartupType


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one case; `problem` None: as expected."""

    policy: str
    case: str
    problem: Diagnostic | None


@dataclass(frozen=True, slots=True)
class _Planned:
    desired: Desired
    live: LiveState
    plan: Plan


class _BadCaseError(Exception):
    """A resource of a case is not valid; carries what is wrong with it."""

    def __init__(self, resource: CaseResource, message: str) -> None:
        super().__init__(message)
        self.resource = resource


def run_trials(policies: PolicySet) -> tuple[Ran, ...]:
    """Run every case of every test whose policy is in the set."""
    return tuple(_run(policies))


def untested(policies: PolicySet) -> tuple[str, ...]:
    """The policies without a case that passes or without one that fails."""
    passing = {trial.policy for trial in policies.trials if any(c.is_pass_expected for c in trial.cases)}
    failing = {trial.policy for trial in policies.trials if not all(c.is_pass_expected for c in trial.cases)}
    return tuple(policy.id for policy in policies.policies if policy.id not in passing & failing)


def _run(policies: PolicySet) -> Iterator[Ran]:
    for trial in policies.trials:
        policy = policies.find(trial.policy)
        for case in trial.cases if policy else ():
            assert policy is not None
            yield Ran(policy.id, case.name, _problem(policy, trial, case))


def _problem(policy: Policy, trial: Trial, case: Case) -> Diagnostic | None:
    try:
        verdict = _verdict(policy, case)
    except _BadCaseError as failure:
        return _wrong(trial, case, f"{failure}", failure.resource.position)
    if verdict.problems:
        return _wrong(trial, case, verdict.problems[0].message)
    return _compared(trial, case, verdict.findings)


def _verdict(policy: Policy, case: Case) -> Verdict:
    declared = {item.key: item for item in map(_resource, case.resources)}
    live = declared if case.live is None else {item.key: item for item in map(_resource, case.live)}
    desired = Desired(declared, digest="0" * 64)
    state = LiveState({key: Present(item.spec, 1) for key, item in live.items()}, _running(live))
    plan = make_plan(desired, state, digests={})
    facts = {
        Key(one.kind, one.name): one.certificate for one in case.resources if one.certificate is not None
    }

    def facts_of(resource: Resource, fqdn: str | None) -> Facts:
        return {**facts_of_file(resource, fqdn), **facts.get(resource.key, {})}

    circumstances = Circumstances(case.now, case.environment, facts_of, case.plan)
    return judge(_Planned(desired, state, plan), PolicySet(policies=(policy,)), circumstances)


def _running(live: Mapping[Key, Resource]) -> Mapping[str, ServiceState]:
    """Every service that starts by itself runs, without a session."""
    servers = ((key.name, item.spec) for key, item in live.items() if isinstance(item.spec, Server))
    names = (
        f"{name}/{service}"
        for name, spec in servers
        for service, settings in spec.services.model_dump(by_alias=True).items()
        if settings["startupType"] == StartupType.AUTOMATIC
    )
    return {name: ServiceState(name, StartupType.AUTOMATIC.value, "running", 0) for name in names}


def _resource(found: CaseResource) -> Resource:
    try:
        spec = parse_spec(found.kind, found.spec)
    except ValidationError as failure:
        raise _BadCaseError(found, f"{found.kind}/{found.name}: {_sentences(failure)}") from None
    plain, secrets = take_secrets(spec, lambda _: found.position.file)
    return Resource(Key(found.kind, found.name), plain, secrets, (), {"": found.position}, found.labels)


def _sentences(failure: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, line['loc']))}: "
        + sentence(line["type"], line.get("ctx", {}), message=line["msg"], value=None).message
        for line in failure.errors(include_url=False)
    )


def _compared(trial: Trial, case: Case, findings: tuple[Finding, ...]) -> Diagnostic | None:
    found = _by_subject(findings)
    told = ", ".join(found) or "nothing"
    if case.is_pass_expected and found:
        return _wrong(trial, case, f"expected to pass, found {told}: {next(iter(found.values()))}")
    if not case.is_pass_expected and not found:
        return _wrong(trial, case, "expected to fail, found nothing")
    if case.subjects is not None and set(case.subjects) != found.keys():
        return _wrong(trial, case, f"expected {', '.join(case.subjects)}, found {told}")
    if case.message is not None and not any(case.message in message for message in found.values()):
        return _wrong(
            trial, case, f'expected a message with "{case.message}", got {" / ".join(found.values())}'
        )
    return None


def _by_subject(findings: Iterable[Finding]) -> Mapping[str, str]:
    return {finding.subject: finding.diagnostic.message for finding in findings}


def _wrong(trial: Trial, case: Case, message: str, position: Position | None = None) -> Diagnostic:
    return error("policy-test", f"{trial.policy}, {case.name}: {message}", position or case.position)
