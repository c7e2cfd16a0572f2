"""What is live and not declared: what of it may be deleted, and why the rest may not.

Deletion is off unless it is asked for. Asked for in general it takes only what an apply made (`managed_by`), never a
kind that holds mail or carries others, and never so much of a kind that a misread directory is the likelier reason.
Asked for by name it takes what is named. Neither takes what is protected on the live side, nor what something that
stays refers to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any

from reconciler.model import Change, Desired, Key, LiveState, Present, Prune, Refusal, Unreadable
from reconciler.planning.diff import deletion_of
from reconciler.planning.selection import SelectionError, Selects, close_to
from schemas.v1.base import Spec
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS

#: More than this share of a kind's live resources is not deleted at once,
SHARE = 0.3
#: when there are at least so many of them.
POPULATION = 10
#: Kinds whose deletion takes mail along, or everything on a server: each one has to be named.
NAMED_KINDS = frozenset({"Mailbox", "MailboxDatabase", "Server"})
MANAGER = "reconciler"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What goes, what was asked for in vain, and everything that is not declared and stays."""

    changes: tuple[Change, ...]
    refused: tuple[Refusal, ...]
    left: tuple[Key, ...]


def pruned(desired: Desired, live: LiveState, prune: Prune, *, selects: Selects) -> Pruned:
    """Decide about every live resource that no file declares. Raises SelectionError for a deletion of something that
    is declared, not live, or not selected."""
    undeclared = _undeclared(desired, live, selects)
    for key in sorted(prune.named):
        _check_named(key, undeclared, desired, selects)
    asked = {key: found for key, found in undeclared.items() if _is_asked(key, found, prune)}
    refusals = dict(_refusals(asked, live, prune))
    going = asked.keys() - refusals.keys()
    if going:
        referrers = referrers_of(desired, live, selects)
        going, held = let_go(going, referrers)
        refusals |= {key: f"{stays} refers to it and stays" for key, stays in held.items()}
        changes = tuple(_deletion(key, undeclared[key], referrers.get(key, ())) for key in sorted(going))
    else:
        changes = ()
    return Pruned(
        changes=changes,
        refused=tuple(Refusal(key, refusals[key]) for key in sorted(refusals)),
        left=tuple(sorted(undeclared.keys() - going)),
    )


def _undeclared(desired: Desired, live: LiveState, selects: Selects) -> dict[Key, Present]:
    return {
        key: observed
        for key, observed in live.resources.items()
        if isinstance(observed, Present)
        and key not in desired.resources
        and not key.is_probe
        and selects(key)
    }


def _check_named(key: Key, undeclared: Mapping[Key, Present], desired: Desired, selects: Selects) -> None:
    if key in undeclared:
        return
    if key in desired.resources:
        raise SelectionError(
            f"{key} is declared at {desired.resources[key].position()}, so it is not deleted; "
            "remove the declaration first"
        )
    if not selects(key):
        raise SelectionError(f"--delete {key} is left out by --only or --exclude; drop one of the two")
    known = [str(found) for found in undeclared]
    raise SelectionError(f"--delete {key}: there is no such live resource{close_to(str(key), known)}")


def _is_asked(key: Key, found: Present, prune: Prune) -> bool:
    return key in prune.named or (prune.is_on and found.managed_by == MANAGER)


def _refusals(asked: Mapping[Key, Present], live: LiveState, prune: Prune) -> Iterator[tuple[Key, str]]:
    crowds = _crowds(asked, live, prune)
    for key, found in asked.items():
        if found.protected:
            yield key, "it is protected: declare it with lifecycle.protect false and apply that first"
        elif found.managed_by != MANAGER:
            yield (
                key,
                "it was not made by an apply (managedBy is not reconciler), so it is not ours to delete",
            )
        elif key in prune.named:
            continue
        elif key.kind in NAMED_KINDS:
            yield key, f"a {key.kind} is deleted only by name: --delete {key}"
        elif key.kind in crowds:
            yield key, crowds[key.kind]


def _crowds(asked: Iterable[Key], live: LiveState, prune: Prune) -> dict[str, str]:
    """Kinds of which too much would go, each with the sentence that says so."""
    going = Counter(key.kind for key in asked if key not in prune.named)
    there = Counter(
        key.kind for key, found in live.resources.items() if isinstance(found, Present) and not key.is_probe
    )
    return {
        kind: f"{number} of {there[kind]} {kind} would go, more than {SHARE:.0%}; name each with --delete"
        for kind, number in going.items()
        if there[kind] >= POPULATION and number > SHARE * there[kind]
    }


Referrers = Mapping[Key, tuple[Key, ...]]


def let_go(going: Iterable[Key], referrers: Referrers) -> tuple[set[Key], dict[Key, Key]]:
    """Take out, until nothing changes, what something that stays refers to: what may go, and what stays for whom."""
    left, held = set(going), dict[Key, Key]()
    while True:
        found = {key: stays for key in left for stays in referrers.get(key, ()) if stays not in left}
        if not found:
            return left, held
        held |= found
        left -= found.keys()


def referrers_of(desired: Desired, live: LiveState, selects: Selects) -> Referrers:
    """Who would refer to each live resource after the plan. What cannot be read may refer to anything."""
    found: dict[Key, list[Key]] = {}
    for key, observed in live.resources.items():
        if key in desired.resources and selects(key) and not isinstance(observed, Unreadable):
            continue  # it becomes what is declared, and that refers to declared resources alone
        if key.is_probe:
            continue
        for target in targets_of(key, observed.spec if isinstance(observed, Present) else None, live):
            found.setdefault(target, []).append(key)
    return {target: tuple(sorted(keys)) for target, keys in found.items()}


def targets_of(key: Key, spec: Spec | None, live: LiveState) -> Iterator[Key]:
    """What a resource refers to, its server among it; without a spec everything live that it might refer to."""
    server = KINDS[key.kind].server_of(key.name) if key.kind in KINDS else None
    if server is not None and key.kind != "Server":
        yield Key("Server", server)
    if spec is None:
        kinds = {kind for _, kind in _references(key.kind)} if key.kind in KINDS else set(KINDS)
        yield from (other for other in live.resources if other.kind in kinds and other != key)
        return
    for value, kind in _references(key.kind):
        if (name := value(spec)) is not None:
            yield Key(kind, name)


@cache
def _references(kind: str) -> tuple[tuple[Callable[[Spec], Any], str], ...]:
    """(how to get the name, kind referred to) for each field that names another resource."""
    found = (fact for fact in fields(kind).values() if fact.reference is not None)
    return tuple((attrgetter(fact.attribute), str(fact.reference)) for fact in found)


def _deletion(key: Key, found: Present, cascades: tuple[Key, ...]) -> Change:
    return replace(deletion_of(key, found), cascades=cascades)
