"""Names that pass from one resource to another within a plan: whoever gives one up is written before whoever gets it.

The target refuses a name that another resource has, at the end of each request. Where names pass in a circle (two
mailboxes swap their addresses) no order would do: those writes are tied, and go into one request. A deletion that frees
a name comes along. All of this is one lane, since names pass between servers too. Pure; called by `apply`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.applying.work import Work
from reconciler.model import Desired, LiveState, Present
from reconciler.targets.target import Write
from schemas.v1.base import Spec
from schemas.v1.kinds import KINDS
from schemas.v1.logon_names import UNIQUE_FIELDS, unique_names

#: The lane of everything that names pass between; no server is called so.
LANE = "/names"

#: The numbers of the writes that each one needs to be done before.
Needs = Mapping[int, Collection[int]]


def in_order_of_names(work: Sequence[Work], *, desired: Desired, live: LiveState) -> tuple[Work, ...]:
    """The same work, with `stage` and `lane` of what names pass between; `desired` and `live` as it was made from."""
    needs = _needs(work, desired, live)
    if not needs:
        return tuple(work)
    found = [
        _tied(work[at], number if len(circle) > 1 else None)
        for number, circle in enumerate(circles(needs))
        for at in circle
    ]
    others = (piece for at, piece in enumerate(work) if at not in needs)
    return tuple(sorted([*found, *others], key=lambda piece: piece.stage))


def _needs(work: Sequence[Work], desired: Desired, live: LiveState) -> Needs:
    now = [_live_names(piece, live) for piece in work]
    if not any(now):
        return {}
    then = [_names(piece.change.key.name, _becomes(piece.write, desired)) for piece in work]
    freed: dict[tuple[str, str], set[int]] = {}
    for at, piece in enumerate(work):
        for name in now[at] - then[at]:
            freed.setdefault((piece.change.key.kind, name), set()).add(at)
    needs: dict[int, set[int]] = {}
    for at, piece in enumerate(work):
        for name in then[at] - now[at]:
            # Two may have shared it since a version that did not look.
            if givers := freed.get((piece.change.key.kind, name)):
                needs.setdefault(at, set()).update(givers)
                for giver in givers:
                    needs.setdefault(giver, set())
    return needs


def _becomes(write: Write, desired: Desired) -> Spec | None:
    if write.spec is not None or write.is_removal:
        return write.spec
    return desired.resources[write.key].spec


def _live_names(piece: Work, live: LiveState) -> frozenset[str]:
    key = piece.change.live_key
    observed = live.resources.get(key) if key.kind in UNIQUE_FIELDS else None
    return _names(key.name, observed.spec if isinstance(observed, Present) else None)


def _names(name: str, spec: Spec | None) -> frozenset[str]:
    return frozenset(text for _, text in unique_names(name, spec)) if spec is not None else frozenset()


def _tied(piece: Work, tie: int | None) -> Work:
    stage = (False, KINDS[piece.change.key.kind].rank)
    return replace(
        piece,
        change=replace(piece.change, tie=tie),
        write=replace(piece.write, tie=tie),
        stage=stage,
        lane=LANE,
    )


def circles(needs: Needs) -> Iterator[list[int]]:
    """What needs one another together, each after what it needs: the strongly connected components (Kosaraju)."""
    finished = [at for reached in _reached(needs, needs) for at in reached]
    needed_by: dict[int, list[int]] = {at: [] for at in needs}
    for at, before in needs.items():
        for one in before:
            needed_by[one].append(at)
    return reversed(_reached(reversed(finished), needed_by))


def _reached(roots: Iterable[int], edges: Needs) -> list[list[int]]:
    """For each root what is reached from it and not from an earlier one, ends first."""
    seen: set[int] = set()
    found = []
    for root in roots:
        path = [] if root in seen else [(root, iter(edges[root]))]
        seen.add(root)
        reached = []
        while path:
            at, left = path[-1]
            below = next((one for one in left if one not in seen), None)
            if below is None:
                reached.append(at)
                path.pop()
            else:
                seen.add(below)
                path.append((below, iter(edges[below])))
        found.append(reached)
    return [reached for reached in found if reached]
