"""What a policy is held against, one at a time, by scope: its name, its variables, and where it stands.

Variables are made when an expression asks for them, so that a rule that looks at names does not pay for specs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from reconciler.guardrails.cel import Documents, Variables
from reconciler.guardrails.estate import Estate, Json
from reconciler.guardrails.policy import Policy, Scope
from reconciler.model import Key, Position, Resource, ServiceImpact
from reconciler.rendering.plan_json import plan_json

_INTERRUPTING = ("restart", "stop")


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that policies are held against. `position` takes the paths that a policy is about."""

    name: str
    kind: str | None
    live_name: str
    labels: Mapping[str, str]
    variables: Variables
    position: Callable[[tuple[str, ...]], Position | None]


class Subjects:
    """The subjects of one estate. `plan` overrides members of the plan's JSON; policy tests use that."""

    def __init__(self, estate: Estate, *, now: datetime, plan: Mapping[str, JsonValue]) -> None:
        self._estate = estate
        self._plan_json: Json | None = None
        self._override = plan
        self._common: Documents = {
            "estate": lambda: estate.summary,
            "now": lambda: now,
            "environment": lambda: dict(estate.environment),
        }

    def of(self, scope: Scope, policies: Iterable[Policy]) -> Iterator[tuple[Subject, list[Policy]]]:
        """Each subject of the scope with the policies that match it."""
        wanted = list(policies)
        if not wanted:
            return
        if scope is Scope.RESOURCE:
            yield from self._resources(wanted)
            return
        for subject in _OTHERS[scope](self):
            matching = [one for one in wanted if _takes(one, subject)]
            if matching:
                yield subject, matching

    def _resources(self, policies: list[Policy]) -> Iterator[tuple[Subject, list[Policy]]]:
        for kind, resources in self._estate.by_kind.items():
            wanted = [policy for policy in policies if policy.match.takes_kind(kind)]
            if not wanted:
                continue
            has_spec = any(_asks_for_spec(policy) for policy in wanted)
            for resource in resources:
                subject = self._resource(resource, has_spec=has_spec)
                matching = [one for one in wanted if one.match.takes(subject.live_name, subject.labels)]
                if matching:
                    yield subject, matching

    def _resource(self, resource: Resource, *, has_spec: bool) -> Subject:
        estate = self._estate
        documents: Documents = {
            **self._common,
            "resource": lambda: estate.resource(resource, has_spec=has_spec),
            "server": lambda: estate.server(estate.server_of(resource)),
        }
        return Subject(
            name=str(resource.key),
            kind=resource.key.kind,
            live_name=resource.key.name,
            labels=estate.labels(resource),
            variables=Variables(documents),
            position=lambda paths: _declared(resource, paths),
        )

    def changes(self) -> Iterator[Subject]:
        """Every change of the plan, deletions too."""
        positions = {change.key: change.position for change in self._estate.plan.changes}
        for change in _entries(self.plan["changes"]):
            key = Key(str(change["kind"]), str(change["name"]))
            subject = self._subject(str(key), "change", change, at=positions.get(key))
            yield replace(subject, kind=key.kind, live_name=key.name)

    def services(self) -> Iterator[Subject]:
        """Every service that the plan touches, and those that wait for it already."""
        impacts = {impact.service: impact for impact in (*self._estate.plan.impacts, *self._estate.plan.owed)}
        for owed, member in ((False, "services"), (True, "owed")):
            for service in _entries(self.plan[member]):
                name = str(service["service"])
                server = self._estate.server(name.partition("/")[0])
                document = {**service, "isOwed": owed, "server": server}
                yield self._subject(name, "service", document, at=self._cause(impacts.get(name)))

    def sites(self) -> Iterator[Subject]:
        """Every site that a server names."""
        services = _entries(self.plan["services"])
        touched = {str(one["service"]) for one in services if one["action"] in _INTERRUPTING}
        for site in self._estate.sites(touched):
            name = f"Site/{site['name']}"
            yield self._subject(name, "site", site)

    def plans(self) -> Iterator[Subject]:
        """The plan as a whole."""
        yield self._subject("Plan", "plan", self.plan)

    @property
    def plan(self) -> Json:
        """The plan's JSON, made once."""
        if self._plan_json is None:
            self._plan_json = _merged(plan_json(self._estate.plan), self._override)
        return self._plan_json

    def _subject(self, name: str, variable: str, document: object, *, at: Position | None = None) -> Subject:
        return Subject(
            name=name,
            kind=None,
            live_name=name.removeprefix("Site/"),
            labels={},
            variables=Variables({**self._common, variable: lambda: document}),
            position=lambda _: at,
        )

    def _cause(self, impact: ServiceImpact | None) -> Position | None:
        for cause in impact.causes if impact else ():
            if (resource := self._estate.desired.resources.get(cause.key)) is not None:
                return resource.position(cause.path)
        return None


_OTHERS: Mapping[Scope, Callable[[Subjects], Iterator[Subject]]] = {
    Scope.CHANGE: Subjects.changes,
    Scope.SERVICE: Subjects.services,
    Scope.SITE: Subjects.sites,
    Scope.PLAN: Subjects.plans,
}


def _takes(policy: Policy, subject: Subject) -> bool:
    is_kind = subject.kind is None or policy.match.takes_kind(subject.kind)
    return is_kind and policy.match.takes(subject.live_name, subject.labels)


def _asks_for_spec(policy: Policy) -> bool:
    expressions = (policy.when, policy.require, *policy.message.parts)
    return any(
        "spec" in (one if isinstance(one, str) else one.text) for one in expressions if one is not None
    )


def _declared(resource: Resource, paths: tuple[str, ...]) -> Position:
    """Where the first of the paths that is declared stands; where the document does when none is."""
    found = (resource.positions.get(path) for path in paths)
    return next((position for position in found if position is not None), resource.position())


def _entries(value: JsonValue) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _merged(base: Json, override: Mapping[str, JsonValue]) -> Json:
    """The members of `override` in place of those of `base`; mappings member by member."""
    merged = dict(base)
    for name, value in override.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
