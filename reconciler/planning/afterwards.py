"""What will be live once a plan is carried out, as if all of it were declared: for plans that no declaration stands
beside.

A saved plan and a roll back know what they change and what is live; policies look at the whole estate. What the plan
does not touch counts as it is live. Called before guardrails are asked, and when a saved plan is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model import Action, Change, Desired, Key, LiveState, Plan, Position, Present, Resource
from reconciler.planning.selection import is_probe


def _everything(_: Key) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan does not say of the estate that it is for: the `labels` of declared resources, whether a live one
    that the plan leaves alone `counts`, and where findings about such a one point."""

    elsewhere: Position
    labels: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    counts: Callable[[Key], bool] = _everything


def afterwards(plan: Plan, *, writes: Desired, live: LiveState, around: Surroundings) -> Desired:
    """`writes` has what each resource of the plan is to become."""
    labels = around.labels
    touched = {key for change in plan.changes for key in (change.key, change.live_key)}
    found = {
        key: Resource(key, observed.spec, {}, (), {"": around.elsewhere}, labels=labels.get(key, {}))
        for key, observed in live.resources.items()
        if isinstance(observed, Present) and key not in touched and not is_probe(key) and around.counts(key)
    }
    for change in plan.changes:
        if change.action is not Action.DELETE:
            resource = writes.resources[change.key]
            positions = {**resource.positions, **dict(_places(change))}
            found[change.key] = replace(resource, positions=positions, labels=labels.get(change.key, {}))
    return Desired(found, plan.configuration_digest)


def _places(change: Change) -> Iterator[tuple[str, Position]]:
    for one in change.fields:
        if one.position is not None:
            yield one.path, one.position
