"""Desired and live → Plan: the one entry of this room, called by every verb that plans, drifts or applies.

Unreadable resources are listed and left alone. Live resources that no file declares are listed and never deleted. The
accounts that the runtime makes for its own probes are nobody's to declare and do not show up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model import Absent, Change, Desired, Key, LiveState, Plan, Present, Unreadable
from reconciler.planning.diff import Digests, change_of, spec_to_write
from reconciler.planning.fingerprint import fingerprint
from reconciler.planning.impact import Planned, impacts_of, owed_actions
from reconciler.planning.order import ordered

__all__ = ["make_plan", "spec_to_write"]

_ABSENT = Absent()
_NO_DIGESTS: Digests = {}
_PROBE_MAILBOX = "HealthMailbox"


def make_plan(desired: Desired, live: LiveState, *, digests: Mapping[Key, Digests]) -> Plan:
    """The changes that make live what is declared, and what they cost.

    `digests` holds, for each declared secret, its digest under the target's key; a secret without one counts as
    unchanged if the live resource has any, so a caller that cannot read a secret must say so itself.
    """
    planned = {item.change.key: item for item in _planned(desired, live, digests)}
    changes = ordered(item.change for item in planned.values())
    impacts = impacts_of((planned[change.key] for change in changes), desired, live)
    return Plan(
        configuration_digest=desired.digest,
        changes=changes,
        impacts=impacts,
        fingerprint=fingerprint(changes),
        undeclared=_undeclared(desired, live),
        unreadable=_unreadable(live),
        owed=owed_actions(desired, live, impacts),
    )


def _planned(desired: Desired, live: LiveState, digests: Mapping[Key, Digests]) -> Iterator[Planned]:
    for key, resource in desired.resources.items():
        observed = live.resources.get(key, _ABSENT)
        if isinstance(observed, Unreadable):
            continue
        change = change_of(resource, observed, digests.get(key, _NO_DIGESTS))
        if change is not None:
            yield _with_specs(change, desired, observed)


def _with_specs(change: Change, desired: Desired, observed: Present | Absent) -> Planned:
    old = observed.spec if isinstance(observed, Present) else None
    return Planned(change, old, spec_to_write(desired.resources[change.key], observed))


def _undeclared(desired: Desired, live: LiveState) -> tuple[Key, ...]:
    present = (key for key, observed in live.resources.items() if isinstance(observed, Present))
    return tuple(sorted(key for key in present if key not in desired.resources and not _is_probe(key)))


def _is_probe(key: Key) -> bool:
    return key.kind == "Mailbox" and key.name.startswith(_PROBE_MAILBOX)


def _unreadable(live: LiveState) -> tuple[tuple[Key, str], ...]:
    found = ((key, observed) for key, observed in live.resources.items() if isinstance(observed, Unreadable))
    return tuple(sorted((key, observed.error) for key, observed in found))
