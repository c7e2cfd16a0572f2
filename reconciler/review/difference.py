"""Two declared estates → what head changes against base: a plan over base as if it were live, with what to see first.

It is the planner's own difference, so a review cannot disagree with the plan that follows it. A resource that head no
longer declares shows up as a deletion, though `apply` only deletes it when asked to prune. How many sessions feel a
restart is unknown without a live estate. Pure; called by `review`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from reconciler.model import (
    Action,
    Change,
    Desired,
    FieldChange,
    Ignore,
    Key,
    LiveState,
    Observed,
    Plan,
    Position,
    Present,
    Prune,
    Resource,
    ServiceImpact,
    ServiceState,
)
from reconciler.planning.diff import PROTECTION
from reconciler.planning.plan import make_plan
from reconciler.planning.prune import MANAGER
from schemas.v1.facts import find
from schemas.v1.server import Server
from schemas.v1.words import StartupType

Marks = Mapping[Key, Mapping[str, str]]

IGNORED = "lifecycle.ignore"
_PROTECTS = "decides whether the resource can be deleted"
_LEAVES = "leaves the field to others, so that no plan sees or corrects it"
_GOES = "is no longer declared"


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing to look at first. `path` "" is the resource as a whole; `why` goes on from "it"."""

    key: Key
    action: Action
    path: str
    old: JsonValue
    new: JsonValue
    why: str
    is_secret: bool = False
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What head means against base. `live` is base as a target would show it."""

    plan: Plan
    live: LiveState
    concerns: tuple[Concern, ...]


def compare(base: Desired, head: Desired, *, base_marks: Marks, head_marks: Marks) -> Difference:
    """Compare them. `…_marks` change when a secret does; see `secret_marks`."""
    live = as_live(base, base_marks)
    plan = make_plan(head, live, digests=head_marks)
    if gone := frozenset(plan.undeclared):
        plan = make_plan(head, live, digests=head_marks, prune=Prune(is_on=True, named=gone))
    changes = tuple(_placed(change, base) for change in plan.changes)
    impacts = tuple(replace(impact, sessions=None) for impact in plan.impacts)
    plan = replace(plan, changes=changes, impacts=impacts)
    concerns = (concern for change in changes for concern in _concerns(change))
    return Difference(plan, live, (*concerns, *_left_to_others(base, head)))


def as_live(base: Desired, marks: Marks) -> LiveState:
    """The estate as if it had been applied: every resource at revision 0, every Automatic service running."""
    resources: dict[Key, Observed] = {
        key: Present(
            resource.spec.as_live(),
            0,
            secrets=marks.get(key, {}),
            managed_by=MANAGER,
            protected=resource.lifecycle.protect,
        )
        for key, resource in base.resources.items()
    }
    return LiveState(resources, {state.service: state for state in _services(base)})


def only_pruned(impact: ServiceImpact, plan: Plan) -> bool:
    """True when the service is touched only if what is no longer declared is deleted."""
    gone = {change.key for change in plan.changes if change.action is Action.DELETE}
    return all(cause.key in gone for cause in impact.causes)


def is_telling(field: FieldChange, change: Change) -> bool:
    """False for a field of a new resource that is neither declared nor other than the default."""
    if change.action is not Action.CREATE or field.is_secret or field.position is not None:
        return True
    fact = find(change.key.kind, field.path)
    return fact is None or field.new != fact.default


def _services(base: Desired) -> Iterator[ServiceState]:
    for key, resource in base.resources.items():
        if isinstance(resource.spec, Server):
            services = resource.spec.services
            for attribute in type(services).model_fields:
                startup: StartupType = getattr(services, attribute).startup_type
                state = "running" if startup is StartupType.AUTOMATIC else "stopped"
                yield ServiceState(f"{key.name}/{services.yaml_name(attribute)}", startup, state, 0)


def _placed(change: Change, base: Desired) -> Change:
    """A deletion stands where base declares the resource."""
    if change.action is not Action.DELETE or change.key not in base.resources:
        return change
    return replace(change, position=base.resources[change.key].position())


def _concerns(change: Change) -> Iterator[Concern]:
    if change.action is Action.DELETE:
        if any(_is_closed(change.key.kind, field) for field in change.fields):
            yield Concern(change.key, change.action, "", None, None, _GOES, position=change.position)
        return
    for field in change.fields:
        why = _why(change.key.kind, field.path)
        if why and is_telling(field, change):
            yield Concern(
                change.key,
                change.action,
                field.path,
                field.old,
                field.new,
                why,
                field.is_secret,
                field.position or change.position,
            )


def _is_closed(kind: str, field: FieldChange) -> bool:
    """A security-relevant field of a deleted resource that had another value than the default."""
    fact = find(kind, field.path)
    return fact is not None and fact.security is not None and field.old != fact.default


def _why(kind: str, path: str) -> str | None:
    if path == PROTECTION:
        return _PROTECTS
    fact = find(kind, path)
    return fact.security if fact is not None else None


def _left_to_others(base: Desired, head: Desired) -> Iterator[Concern]:
    for key, resource in head.resources.items():
        before = _ignored(base.resources.get(key))
        for ignore in resource.ignore:
            if ignore.path not in before:
                yield _leaving(resource, ignore)


def _ignored(resource: Resource | None) -> Mapping[str, Ignore]:
    return {} if resource is None else {ignore.path: ignore for ignore in resource.ignore}


def _leaving(resource: Resource, ignore: Ignore) -> Concern:
    new = f"{ignore.path}: {ignore.reason}"
    position = resource.position()
    return Concern(resource.key, Action.UPDATE, IGNORED, None, new, _LEAVES, position=position)
