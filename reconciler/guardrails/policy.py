"""The nouns of this room as frozen values: policies and policy tests. What comes of them is in `reconciler.verdict`.

A `Policy` has an expression for each of its parts, compiled already. Nothing here reads or evaluates; `check` builds
these values from YAML, `evaluate` uses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import JsonValue

from reconciler.guardrails.cel import Expression
from reconciler.model import Diagnostic, Position, Severity
from reconciler.verdict import Waiver

API_VERSION = "reconciler/policy/v1"


class Scope(StrEnum):
    """What a policy is held against, one at a time; each has variables of its own, see `documents`."""

    RESOURCE = "resource"
    CHANGE = "change"
    SERVICE = "service"
    SITE = "site"
    PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Match:
    """Which subjects a policy looks at; what is empty matches all. `names` are globs on live names."""

    scope: Scope
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def takes_kind(self, kind: str) -> bool:
        """True when subjects of this kind may match."""
        return not self.kinds or kind in self.kinds

    def takes(self, name: str, labels: Mapping[str, str]) -> bool:
        """True when a subject of the right kind matches."""
        is_named = not self.names or any(fnmatchcase(name, glob) for glob in self.names)
        return is_named and all(labels.get(label) == value for label, value in self.labels)


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence with values in it: text and expressions, in order."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule. `require` is true of what is good; `when` says of what it is asked at all. A finding points at the
    first of the paths `at` that the resource declares. `fact` is why: what Exchange documents."""

    id: str
    title: str
    severity: Severity
    match: Match
    when: Expression | None
    require: Expression
    at: tuple[str, ...]
    message: Message
    remedy: str | None
    fact: str | None
    docs: str | None
    position: Position


@dataclass(frozen=True, slots=True)
class CaseResource:
    """A resource of a policy test, by its live name; `certificate` are facts that a file would give."""

    kind: str
    name: str
    spec: Mapping[str, object]
    labels: Mapping[str, str]
    certificate: Mapping[str, JsonValue] | None
    position: Position


@dataclass(frozen=True, slots=True)
class Case:
    """A small estate and what the policy must say of it. `live` None: live is what is declared. `plan` replaces
    members of the plan's JSON. `subjects`: exactly these are found; None: any."""

    name: str
    resources: tuple[CaseResource, ...]
    live: tuple[CaseResource, ...] | None
    plan: Mapping[str, JsonValue]
    now: datetime
    environment: Mapping[str, str]
    is_pass_expected: bool
    subjects: tuple[str, ...] | None
    message: str | None
    position: Position


@dataclass(frozen=True, slots=True)
class Trial:
    """Tests of one policy."""

    policy: str
    cases: tuple[Case, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class PolicySet:
    """What a directory of policies holds. `diagnostics` say what is broken in it; `sources` is the text behind them."""

    policies: tuple[Policy, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    trials: tuple[Trial, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[Path, str] = field(default_factory=dict)

    def find(self, policy: str) -> Policy | None:
        """The policy of this id."""
        return next((found for found in self.policies if found.id == policy), None)
