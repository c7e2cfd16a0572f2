"""What is left alone when the daemon heals, and who is to blame when that fails. Pure but for asking the ledger.

A change is left alone when its kind is not switched on, somebody holds it, it waits after a failure, it flaps, its live
value cannot be read, or mail would be left behind; and so is a change that refers to a resource whose creation is left
alone. `rounds` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from operator import attrgetter
from typing import Any

from reconciler.daemon.ledger import Ledger
from reconciler.daemon.planner import View
from reconciler.model import Action, Change, Key, Outcome, Plan, Report, Selection, ServiceImpact
from reconciler.planning.moves import refused_moves
from schemas.v1.base import Spec
from schemas.v1.facts import fields

_SPECIAL = re.compile(r"([*?[])")


@dataclass(frozen=True, slots=True)
class Choice:
    """`selection` is what may be applied; `left` is the rest, with a reason for each resource or service ("" is the
    configuration as a whole); `held` are those that no plan touches."""

    selection: Selection
    left: Mapping[str, str]
    held: Mapping[str, str] = field(default_factory=dict)
    is_nothing: bool = False

    def plan(self, view: View) -> Plan:
        """The part of the plan that may be applied."""
        if not self.left:
            return view.planned.plan
        plan = view.narrowed(self.selection)
        return replace(plan, owed=tuple(one for one in plan.owed if one.service not in self.left))


def chosen(view: View, *, kinds: frozenset[str], ledger: Ledger) -> Choice:
    """What of the plan may be applied now."""
    plan = view.planned.plan
    held = {str(key): f"held until {hold.until} by {hold.by}: {hold.reason}" for key, hold in plan.held}
    if not plan.is_empty and (reason := ledger.why_not_at_all(view.aim)) is not None:
        return Choice(Selection(), {"": reason}, held, is_nothing=True)
    left = {str(key): f"its live value cannot be read: {error}" for key, error in plan.unreadable}
    for change in plan.changes:
        if (why := _why_not(change, kinds=kinds, ledger=ledger)) is not None:
            left[str(change.key)] = why
    left |= {str(key): reason for key, reason in refused_moves(plan, view.planned.desired, view.planned.live)}
    left |= _dependents(view, left, {key for key, _ in plan.held})
    owed = {one.service: why for one in plan.owed if (why := _why_not_owed(one, kinds, ledger))}
    return Choice(Selection(exclude=tuple(_pattern(subject) for subject in left)), left | owed, held)


def _why_not(change: Change, *, kinds: frozenset[str], ledger: Ledger) -> str | None:
    if kinds and change.key.kind not in kinds:
        return "healing is not switched on for its kind"
    return ledger.why_not(str(change.key))


def _why_not_owed(owed: ServiceImpact, kinds: frozenset[str], ledger: Ledger) -> str | None:
    causes = {cause.key.kind for cause in owed.causes}
    if kinds and not causes <= kinds:
        return "healing is not switched on for the kinds that ask for this"
    return ledger.why_not(owed.service)


def _dependents(view: View, left: Mapping[str, str], held: set[Key]) -> dict[str, str]:
    """Changes that refer to something that will not be there."""
    found: dict[str, str] = {}
    missing = {c.key for c in view.planned.plan.changes if c.action is Action.CREATE and str(c.key) in left}
    missing |= held - view.planned.live.resources.keys()
    pending = [change for change in view.planned.plan.changes if str(change.key) not in left]
    while missing:
        lost = missing
        missing = set()
        for change in [one for one in pending if str(one.key) not in found]:
            resource = view.planned.desired.resources.get(change.key)
            needed = (
                next((key for key in _references(resource.spec) if key in lost), None) if resource else None
            )
            if needed is not None:
                found[str(change.key)] = f"it refers to {needed}, which is left alone"
                missing |= {change.key} if change.action is Action.CREATE else set()
    return found


def _references(spec: Spec) -> Iterator[Key]:
    for attribute, kind in _reference_fields(type(spec).__name__):
        if (name := attribute(spec)) is not None:
            yield Key(kind, name)


@cache
def _reference_fields(kind: str) -> tuple[tuple[Any, str], ...]:
    facts = fields(kind).values()
    return tuple((attrgetter(fact.attribute), fact.reference) for fact in facts if fact.reference is not None)


def _pattern(subject: str) -> str:
    """A glob that matches this text alone."""
    return _SPECIAL.sub(r"[\1]", subject)


def blamed(plan: Plan, report: Report) -> list[str]:
    """The resources and services that wait after a failed apply: those that failed, and for a service the resources
    that it was touched for; all of them when nobody can be blamed."""
    failed = {step.subject for step in report.steps if step.outcome is Outcome.FAILED}
    touched = (*plan.impacts, *plan.owed)
    causes = {str(cause.key) for impact in touched if impact.service in failed for cause in impact.causes}
    everything = {str(change.key) for change in plan.changes} | {one.service for one in plan.owed}
    return sorted(failed | causes) or sorted(everything)
