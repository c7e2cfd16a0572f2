"""What will be live once a plan is carried out, as if all of it were declared: for plans that no declaration stands
beside.

A saved plan and a roll back know what they change and what is live; policies look at the whole estate. What the plan
does not touch counts as it is live. Called before guardrails are asked, and when a saved plan is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model import (
    Action,
    Allowance,
    Change,
    Desired,
    Key,
    LiveState,
    Plan,
    Position,
    Present,
    Resource,
)


def _everything(_: Key) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan does not say of the estate that it is for: the `labels` of declared resources and the warnings that
    their documents have `allowed`, whether a live one that the plan leaves alone `counts`, and where findings about
    such a one point."""

    elsewhere: Position
    labels: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    counts: Callable[[Key], bool] = _everything
    allowed: Mapping[Key, tuple[Allowance, ...]] = field(default_factory=dict)


def afterwards(plan: Plan, *, writes: Desired, live: LiveState, around: Surroundings) -> Desired:
    """`writes` has what each resource of the plan is to become."""
    labels, allowed = around.labels, around.allowed
    touched = {key for change in plan.changes for key in (change.key, change.live_key)}
    found = {
        key: Resource(
            key=key,
            spec=observed.spec,
            secrets={},
            ignore=(),
            positions={"": around.elsewhere},
            labels=labels.get(key, {}),
            allowed=allowed.get(key, ()),
        )
        for key, observed in live.resources.items()
        if isinstance(observed, Present) and key not in touched and not key.is_probe and around.counts(key)
    }
    for change in plan.changes:
        if change.action is not Action.DELETE:
            key, resource = change.key, writes.resources[change.key]
            positions = {**resource.positions, **dict(_places(change))}
            found[key] = replace(
                resource, positions=positions, labels=labels.get(key, {}), allowed=allowed.get(key, ())
            )
    return Desired(found, plan.configuration_digest)


def _places(change: Change) -> Iterator[tuple[str, Position]]:
    for one in change.fields:
        if one.position is not None:
            yield one.path, one.position
