"""A plan just made → what its file holds: the specs to write, and where each secret is. Called by `plan --out`."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from reconciler.model import Absent, Action, Change, Desired, Key, LiveState, Plan, Present
from reconciler.planning.diff import spec_to_write
from reconciler.saved.document import Origin, SavedPlan, SavedPlanError, SavedSecret, Write

Digests = Mapping[Key, Mapping[str, str]]


def saved_plan(
    plan: Plan, *, desired: Desired, live: LiveState, digests: Digests, origin: Origin
) -> SavedPlan:
    """With the specs to write, and the digests of the secrets that have to be written. Raises SavedPlanError when one
    of these is not known."""
    changes = [change for change in plan.changes if change.action is not Action.DELETE]
    writes = {change.key: _write(change, desired, live, digests) for change in changes}
    return SavedPlan(plan, writes, origin)


def new_origin(*, instance: str, estate: Path, made_by: str, commit: str | None) -> Origin:
    """Now, with a number of its own: a plan is used up once, not everything that equals it."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Origin(instance, estate, made, made_by, randomness.token_hex(8), commit)


def _write(change: Change, desired: Desired, live: LiveState, digests: Digests) -> Write:
    resource = desired.resources[change.key]
    observed = live.resources.get(change.live_key)
    spec = spec_to_write(resource, observed if isinstance(observed, Present) else Absent())
    named = {field.path for field in change.fields if field.is_secret}
    wanted = resource.secrets.keys() if change.action is Action.CREATE else named
    found = digests.get(change.key, {})
    if locked := sorted(wanted - found.keys()):
        raise SavedPlanError(
            f"the secret {locked[0]} of {change.key} cannot be opened here, so the plan cannot hold its digest; "
            "make the plan where its identity is"
        )
    secrets = {path: SavedSecret(resource.secrets[path], found[path]) for path in sorted(wanted)}
    return Write(change.key, spec, secrets, resource.lifecycle.protect)
