"""From a plan to what each write needs: the full spec, the secret values, the revision to compare with.

Pure but for reading secrets. A field that its declaration leaves to others (`lifecycle.ignore`) keeps its live value:
the live state here is the one that the plan was made from, and compare-and-swap sees to it that it still holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from reconciler.applying.journal import OwedAction, PlannedChange
from reconciler.applying.secrets import values
from reconciler.model import Absent, Action, Change, Desired, Key, LiveState, Plan, Present, ServiceAction
from reconciler.planning.plan import spec_to_write
from reconciler.targets.target import Write
from schemas.v1.kinds import KINDS
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.services import SERVICES

NOTHING_RESTORED: Mapping[Key, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Work:
    """One change, ready to be written. What has a lower `stage` is written before; of one `lane`, which is a server or
    what belongs to none, one thing is written at a time."""

    change: PlannedChange
    write: Write
    stage: tuple[bool, int]
    lane: str


def prepare(
    plan: Plan, *, desired: Desired, live: LiveState, restores: Mapping[Key, int] = NOTHING_RESTORED
) -> tuple[Work, ...]:
    """One piece of work a change, in the plan's order. `restores`: the version to bring back in place of writing what
    is declared. Raises SecretError before anything is written."""
    lanes = _Lanes(desired, live)
    return tuple(
        Work(
            change=_planned(change),
            write=_write(change, desired, live, restores),
            stage=_stage(change),
            lane=lanes.lane_of(change.key),
        )
        for change in plan.changes
    )


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
        [
            *change.live_key,
            change.key.name,
            change.action.value,
            [[f.path, f.old, f.new, f.is_secret] for f in change.fields],
        ]
        for change in plan.changes
    ]
    fingerprint = sorted([*key, revision] for key, revision in plan.fingerprint.items())
    owed = [[owing.service, owing.action.value] for owing in owed_actions(plan)]
    canonical = json.dumps([plan.configuration_digest, changes, fingerprint, owed], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


_STRENGTH = (ServiceAction.RELOAD, ServiceAction.RESTART, ServiceAction.START, ServiceAction.STOP)


def _order(actions: Mapping[str, ServiceAction]) -> Any:
    def rank(service: str) -> tuple[tuple[bool, bool], str]:
        return phase(actions[service], service), service

    return rank


def phase(action: ServiceAction, service: str) -> tuple[bool, bool]:
    """Services of a lower phase act before those of a higher one, on whatever server they are."""
    is_stop = action is ServiceAction.STOP
    name = service.partition("/")[2]
    is_front = name in SERVICES and SERVICES[name].host_role == "frontend"
    return is_stop, is_front != is_stop


def _planned(change: Change) -> PlannedChange:
    return PlannedChange(change.key, change.action, change.revision, change.renamed_from)


def _stage(change: Change) -> tuple[bool, int]:
    """Creates and updates climb the ranks, then deletes descend them: the order of the plan."""
    rank = KINDS[change.key.kind].rank
    is_delete = change.action is Action.DELETE
    return is_delete, -rank if is_delete else rank


def _write(change: Change, desired: Desired, live: LiveState, restores: Mapping[Key, int]) -> Write:
    if change.action is Action.DELETE:
        return Write(change.key, change.revision)
    if change.key in restores:
        return Write(
            change.key,
            change.revision,
            is_restore=True,
            revision=restores[change.key],
            renamed_from=change.renamed_from,
        )
    resource = desired.resources[change.key]
    observed = live.resources.get(change.live_key)
    return Write(
        change.key,
        change.revision,
        spec=spec_to_write(resource, observed if isinstance(observed, Present) else Absent()),
        secrets=values(change, resource),
        protected=resource.lifecycle.protect,
        renamed_from=change.renamed_from,
    )


class _Lanes:
    """Which server a resource belongs to: by its name, or as a mailbox by its database."""

    def __init__(self, desired: Desired, live: LiveState) -> None:
        declared = {key: resource.spec for key, resource in desired.resources.items()}
        observed = {key: one.spec for key, one in live.resources.items() if isinstance(one, Present)}
        self._specs = {**observed, **declared}

    def lane_of(self, key: Key) -> str:
        """The server; "" for what belongs to the estate."""
        spec = self._specs.get(key)
        if isinstance(spec, Mailbox):
            spec = self._specs.get(Key("MailboxDatabase", spec.database))
        if isinstance(spec, MailboxDatabase):
            return spec.server
        return KINDS[key.kind].server_of(key.name) or ""
