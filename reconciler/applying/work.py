"""From a plan to what each write needs: the full spec, the secret values, the revision to compare with.

Pure but for reading secrets. A field that its declaration leaves to others (`lifecycle.ignore`) keeps its live value:
the live state here is the one that the plan was made from, and compare-and-swap sees to it that it still holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.applying.journal import OwedAction, PlannedChange
from reconciler.applying.secrets import values
from reconciler.model import Absent, Action, Change, Desired, LiveState, Plan, Present, ServiceAction
from reconciler.planning.plan import spec_to_write
from reconciler.secret import SecretValue
from schemas.v1.base import Spec
from schemas.v1.services import SERVICES


@dataclass(frozen=True, slots=True)
class Work:
    """One change, ready to be written. `spec` is None for a delete."""

    change: PlannedChange
    spec: Spec | None
    secrets: Mapping[str, SecretValue | None]


def prepare(plan: Plan, *, desired: Desired, live: LiveState) -> tuple[Work, ...]:
    """One piece of work a change, in the plan's order. Raises SecretError before anything is written."""
    return tuple(_work(change, desired, live) for change in plan.changes)


def owed_actions(plan: Plan) -> tuple[OwedAction, ...]:
    """Every service the plan touches, once, in the order to act: back ends before front ends, what stops last and the
    other way round, so that no front end is left without its back end."""
    strongest: dict[str, ServiceAction] = {}
    for impact in (*plan.owed, *plan.impacts):
        known = strongest.get(impact.service, ServiceAction.RELOAD)
        strongest[impact.service] = max(known, impact.action, key=_STRENGTH.index)
    return tuple(
        OwedAction(service, strongest[service]) for service in sorted(strongest, key=_order(strongest))
    )


def plan_digest(plan: Plan) -> str:
    """SHA-256 (hex) over what the plan does and to which live revisions."""
    changes = [
        [*change.key, change.action.value, [[f.path, f.old, f.new, f.is_secret] for f in change.fields]]
        for change in plan.changes
    ]
    fingerprint = sorted([*key, revision] for key, revision in plan.fingerprint.items())
    owed = [[owing.service, owing.action.value] for owing in owed_actions(plan)]
    canonical = json.dumps([plan.configuration_digest, changes, fingerprint, owed], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


_STRENGTH = (ServiceAction.RELOAD, ServiceAction.RESTART, ServiceAction.START, ServiceAction.STOP)


def _order(actions: Mapping[str, ServiceAction]) -> Any:
    def rank(service: str) -> tuple[bool, bool, str]:
        is_stop = actions[service] is ServiceAction.STOP
        name = service.partition("/")[2]
        is_front = name in SERVICES and SERVICES[name].host_role == "frontend"
        return is_stop, is_front != is_stop, service

    return rank


def _work(change: Change, desired: Desired, live: LiveState) -> Work:
    planned = PlannedChange(change.key, change.action, change.revision)
    if change.action is Action.DELETE:
        return Work(planned, None, {})
    resource = desired.resources[change.key]
    observed = live.resources.get(change.key)
    spec = spec_to_write(resource, observed if isinstance(observed, Present) else Absent())
    return Work(planned, spec, values(change, resource.secrets))
