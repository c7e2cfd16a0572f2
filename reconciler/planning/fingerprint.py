"""What a plan was made from: the live revision of every resource that it touches.

A plan is stale when one of these moved, and only then; a change to a resource that it does not touch leaves it good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model import Change, Key, LiveState, Plan, Present


def fingerprint(changes: Iterable[Change]) -> Mapping[Key, int | None]:
    """The live revision that each change was planned against; None: the resource was absent. A rename was planned
    against both of its names."""
    found: dict[Key, int | None] = {}
    for change in changes:
        if change.renamed_from:
            found[change.key] = None
        found[change.live_key] = change.revision
    return found


def moved(plan: Plan, live: LiveState) -> tuple[Key, ...]:
    """The touched resources whose live revision is not the planned one any more."""
    return tuple(key for key, revision in plan.fingerprint.items() if _revision(live, key) != revision)


def _revision(live: LiveState, key: Key) -> int | None:
    observed = live.resources.get(key)
    return observed.revision if isinstance(observed, Present) else None
