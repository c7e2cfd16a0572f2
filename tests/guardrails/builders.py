"""Small policies and plans for guardrail tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler.guardrails.evaluate import Circumstances, judge
from reconciler.guardrails.files import combine, load_policies
from reconciler.guardrails.policy import PolicySet
from reconciler.model import Desired, Key, LiveState, Plan, Position, Present, Resource
from reconciler.planning.plan import make_plan
from reconciler.secret import SecretRef
from reconciler.verdict import Verdict
from schemas.v1.codec import parse_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILE = Path("estate.yaml")

POLICY = """\
apiVersion: reconciler/policy/v1
kind: Policy
id: {id}
title: A rule
severity: {severity}
match: {match}
require: {require}
message: {message}
"""

WAIVER = """\
apiVersion: reconciler/policy/v1
kind: Waiver
policy: {policy}
resource: {resource}
reason: it is meant
expires: "{expires}"
"""

TRIAL = """\
apiVersion: reconciler/policy/v1
kind: PolicyTest
policy: {policy}
cases:
  - name: a case
    resources: [{{kind: ImapSettings, name: ex01, spec: {{{spec}}}}}]
    expect: {expect}
"""


def policy(require: str, **fields: str) -> str:
    """A policy as YAML; fields replace those of the template, and `more` is appended."""
    more = fields.pop("more", "")
    require = f'"{require}"' if require in ("true", "false") else require
    known = {"id": "rule", "severity": "error", "match": "{}", "message": "broken"}
    return POLICY.format(**{**known, "require": require, **fields}) + more


def waiver(**fields: str) -> str:
    """A waiver as YAML."""
    known = {"policy": "rule", "resource": '"*"', "expires": "2026-12-31"}
    return WAIVER.format(**{**known, **fields})


def trial(**fields: str) -> str:
    """A test as YAML: one case, of IMAP settings."""
    return TRIAL.format(**{"policy": "rule", "spec": "", "expect": "pass", **fields})


def policies(directory: Path, *documents: str) -> PolicySet:
    """The policies of a directory with these documents in one file."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "policies.yaml").write_text("---\n".join(documents), encoding="utf-8")
    return combine(load_policies(directory))


def resource(
    kind: str,
    name: str,
    spec: Mapping[str, object] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    lines: Mapping[str, int] | None = None,
    secrets: Mapping[str, SecretRef] | None = None,
) -> Resource:
    """A declared resource; `lines` says where its fields stand, "" the document (line 1)."""
    positions = {path: Position(FILE, line, 3) for path, line in {"": 1, **(lines or {})}.items()}
    return Resource(Key(kind, name), parse_spec(kind, spec or {}), secrets or {}, (), positions, labels or {})


def imap(name: str = "ex01", **spec: object) -> Resource:
    """IMAP settings; fields in YAML names."""
    return resource("ImapSettings", name, spec)


@dataclass(frozen=True)
class Planned:
    """What `judge` needs of a plan."""

    desired: Desired
    live: LiveState
    plan: Plan


def planned(declared: Iterable[Resource], live: Iterable[Resource] | None = None) -> Planned:
    """The plan of these resources; live is the same unless given."""
    desired = Desired({item.key: item for item in declared}, digest="0" * 64)
    present = desired.resources.values() if live is None else live
    state = LiveState({item.key: Present(item.spec, 1) for item in present}, {})
    return Planned(desired, state, make_plan(desired, state, digests={}))


def judged(
    rules: PolicySet, *declared: Resource, live: Iterable[Resource] | None = None, **environment: str
) -> Verdict:
    """What the rules say of these resources on the first day of 2026."""
    return judge(planned(declared, live), rules, Circumstances(NOW, environment))


def subjects(verdict: Verdict) -> list[str]:
    """What is found and not waived."""
    return [found.subject for found in verdict.findings if found.waiver is None]


def codes(verdict: Verdict) -> list[str]:
    """What is wrong with the policies and waivers."""
    return [problem.code for problem in verdict.problems]
