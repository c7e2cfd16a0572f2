"""Desired and live → Plan: the one entry of this room, called by every verb that plans, drifts or applies.

Unreadable resources are listed and left alone. Live resources that no file declares are listed, and deleted only when
that is asked for. What is not selected is not looked at, though what is selected may refer to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

from reconciler.model import (
    Absent,
    Change,
    Desired,
    Hold,
    Key,
    LiveState,
    Plan,
    Present,
    Prune,
    Resource,
    Selection,
    ServiceState,
    Unreadable,
)
from reconciler.planning.diff import Digests, change_of, spec_to_write
from reconciler.planning.fingerprint import fingerprint
from reconciler.planning.held import free, held_keys
from reconciler.planning.impact import Planned, impacts_of, owed_actions
from reconciler.planning.order import ordered
from reconciler.planning.prune import pruned
from reconciler.planning.reach import reach_of
from reconciler.planning.rename import renamed_from
from reconciler.planning.selection import Selects, selector

__all__ = ["make_plan", "spec_to_write"]

_ABSENT = Absent()
_NO_DIGESTS: Digests = {}
EVERYTHING = Selection()
NO_PRUNE = Prune()


def make_plan(
    desired: Desired,
    live: LiveState,
    *,
    digests: Mapping[Key, Digests],
    selection: Selection = EVERYTHING,
    prune: Prune = NO_PRUNE,
    holds: Iterable[Hold] = (),
) -> Plan:
    """The changes that make live what is declared, and what they cost.

    `digests` holds, for each declared secret, its digest under the target's key; a secret without one counts as
    unchanged if the live resource has any, and is listed in the plan's `uncompared`. What one of
    `holds` keeps as it is is neither changed nor deleted, nor is a service restarted for it alone. Raises
    SelectionError when what is selected or named for deletion does not exist.
    """
    selected = selector(selection, desired, live)
    held = {key: hold for key, hold in held_keys(holds, desired, live).items() if selected(key)}
    selects = free(selected, held)
    chosen = _chosen(desired, selects)
    wanted = _planned(_chosen(desired, selected) if held else chosen, desired, live, digests)
    planned = {item.change.key: item for item in wanted}
    kept = {key: item.change for key, item in planned.items() if key in held or item.change.live_key in held}
    planned = {key: item for key, item in planned.items() if key not in kept}
    gone = pruned(desired, _after_renames(live, planned), prune, selects=selects)
    planned |= {change.key: _deleted(change, live) for change in gone.changes}
    changes = ordered(item.change for item in planned.values())
    impacts = impacts_of((planned[change.key] for change in changes), chosen, live)
    owed = owed_actions(
        chosen,
        live,
        impacts,
        owes=lambda state: _is_ours(state, desired, selects, is_narrowed=selection.is_partial or bool(held)),
    )
    return Plan(
        configuration_digest=desired.digest,
        changes=changes,
        impacts=impacts,
        fingerprint=fingerprint(changes),
        undeclared=gone.left,
        unreadable=_unreadable(live, selects),
        owed=owed,
        selection=selection,
        refused=gone.refused,
        reach=reach_of(changes, (*impacts, *owed), desired=desired, live=live),
        held=tuple(sorted(held.items(), key=itemgetter(0))),
        uncompared=tuple(sorted(_uncompared(chosen, desired, live, digests))),
        held_changes=ordered(kept.values()),
    )


def _chosen(desired: Desired, selects: Selects) -> Desired:
    """What is declared and selected: only that becomes live."""
    found = {key: resource for key, resource in desired.resources.items() if selects(key)}
    return Desired(found, desired.digest)


def _planned(
    chosen: Desired, desired: Desired, live: LiveState, digests: Mapping[Key, Digests]
) -> Iterator[Planned]:
    for key, resource in chosen.resources.items():
        before = renamed_from(resource, desired, live)
        observed = live.resources.get(before or key, _ABSENT)
        if isinstance(observed, Unreadable):
            continue
        name = before.name if before else None
        change = change_of(resource, observed, digests.get(key, _NO_DIGESTS), renamed_from=name)
        if change is not None:
            yield _with_specs(change, resource, observed)


def _after_renames(live: LiveState, planned: Mapping[Key, Planned]) -> LiveState:
    """Without the resources that go by another name from now on: they are not there to be deleted."""
    gone = {item.change.live_key for item in planned.values() if item.change.renamed_from}
    if not gone:
        return live
    return LiveState({key: found for key, found in live.resources.items() if key not in gone}, live.services)


def _with_specs(change: Change, resource: Resource, observed: Present | Absent) -> Planned:
    old = observed.spec if isinstance(observed, Present) else None
    return Planned(change, old, spec_to_write(resource, observed).as_live())


def _deleted(change: Change, live: LiveState) -> Planned:
    observed = live.resources[change.key]
    return Planned(change, observed.spec if isinstance(observed, Present) else None, None)


def _is_ours(state: ServiceState, desired: Desired, selects: Selects, *, is_narrowed: bool) -> bool:
    """A waiting service of a declared server; when some resources are left out only one that waits for another."""
    if Key("Server", state.service.partition("/")[0]) not in desired.resources:
        return False
    return not is_narrowed or any(selects(key) for key, _ in state.pending_fields)


def _uncompared(
    chosen: Desired, desired: Desired, live: LiveState, digests: Mapping[Key, Digests]
) -> Iterator[tuple[Key, str]]:
    """Secrets that both sides have, of which only the live one has a digest."""
    for key, resource in chosen.resources.items():
        if not resource.secrets:
            continue
        unknown = resource.secrets.keys() - digests.get(key, _NO_DIGESTS).keys()
        if not unknown:
            continue
        observed = live.resources.get(renamed_from(resource, desired, live) or key)
        for path in unknown - {ignore.path for ignore in resource.ignore}:
            if isinstance(observed, Present) and path in observed.secrets:
                yield key, path


def _unreadable(live: LiveState, selects: Selects) -> tuple[tuple[Key, str], ...]:
    found = ((key, observed) for key, observed in live.resources.items() if isinstance(observed, Unreadable))
    return tuple(
        sorted((key, observed.error) for key, observed in found if selects(key) and not key.is_probe)
    )
