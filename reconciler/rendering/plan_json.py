"""Plan → data: a versioned, canonical document. What people read is the same value, rendered.

A secret shows that it changed and nothing else, because that is all the plan holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler.model import Action, Cause, Change, FieldChange, Key, Plan, Position, ServiceImpact
from reconciler.rendering.items import Items, items_of

if TYPE_CHECKING:
    from pydantic import JsonValue

FORMAT = "reconciler/plan/v1"
ACTIONS = {Action.CREATE: "create", Action.UPDATE: "update", Action.DELETE: "delete"}


def plan_json(plan: Plan) -> dict[str, JsonValue]:
    """The plan as JSON-able data; equal plans give equal data."""
    return {
        "format": FORMAT,
        "configurationDigest": plan.configuration_digest,
        "isEmpty": plan.is_empty,
        "isComplete": plan.is_complete,
        "environment": plan.environment,
        "note": plan.note,
        "partial": _selection(plan),
        "summary": dict(plan_summary(plan)),
        "reach": reach_json(plan),
        "changes": [_change(change) for change in plan.changes],
        "services": [_impact(impact) for impact in plan.impacts],
        "owed": [_impact(impact) for impact in plan.owed],
        "fingerprint": {str(key): revision for key, revision in sorted(plan.fingerprint.items())},
        "undeclared": [_key(key) for key in plan.undeclared],
        "refused": [{**_key(refusal.key), "reason": refusal.reason} for refusal in plan.refused],
        "unreadable": [{**_key(key), "error": error} for key, error in plan.unreadable],
        "held": _held(plan),
        "uncompared": [{**_key(key), "path": path} for key, path in plan.uncompared],
    }


def plan_summary(plan: Plan) -> dict[str, int]:
    """How many changes of each action, services of each action, and sessions that feel it. An update that renames
    counts as both."""
    changes = Counter(ACTIONS[change.action] for change in plan.changes)
    services = Counter(impact.action.value for impact in (*plan.impacts, *plan.owed))
    return {
        **{name: changes[name] for name in ACTIONS.values()},
        "rename": sum(change.renamed_from is not None for change in plan.changes),
        **{name: services[name] for name in ("restart", "reload", "start", "stop")},
        "sessions": touched_sessions((*plan.impacts, *plan.owed)),
    }


def reach_json(plan: Plan) -> dict[str, JsonValue]:
    """The blast radius: which servers, and how many services, mailboxes and sessions, notice the plan."""
    return {
        "servers": list(plan.reach.servers),
        "services": len({impact.service for impact in (*plan.impacts, *plan.owed)}),
        "mailboxes": plan.reach.mailboxes,
        "sessions": touched_sessions((*plan.impacts, *plan.owed)),
    }


def _selection(plan: Plan) -> JsonValue:
    if not plan.selection.is_partial:
        return None
    return {"only": list(plan.selection.only), "exclude": list(plan.selection.exclude)}


def touched_sessions(impacts: Iterable[ServiceImpact]) -> int:
    """The client sessions that are known to feel it; one that is open at a front end and its back end counts once."""
    by_protocol: dict[str, int] = {}
    for impact in impacts:
        protocol = impact.service.removesuffix("-backend")
        by_protocol[protocol] = max(by_protocol.get(protocol, 0), impact.sessions or 0)
    return sum(by_protocol.values())


def _change(change: Change) -> dict[str, JsonValue]:
    return {
        **_key(change.key),
        "action": ACTIONS[change.action],
        "revision": change.revision,
        "renamedFrom": change.renamed_from,
        "cascades": [_key(key) for key in change.cascades],
        "position": position_json(change.position),
        "fields": [_field(field) for field in change.fields],
    }


def _field(field: FieldChange) -> dict[str, JsonValue]:
    common: dict[str, JsonValue] = {
        "path": field.path,
        "impact": field.impact.value,
        "position": position_json(field.position),
        **({"note": field.note} if field.note else {}),
    }
    if field.is_secret:
        return {**common, "secret": "changed"}
    values: dict[str, JsonValue] = {"old": field.old, "new": field.new}
    items = items_of(field.path, field.old, field.new)
    return {**common, **values, **({"items": _items(items)} if items is not None else {})}


def _held(plan: Plan) -> list[JsonValue]:
    """With the change that each hold keeps from being made; null when live is what is declared."""
    changes = {key: _change(change) for change in plan.held_changes for key in (change.live_key, change.key)}
    return [
        {
            **_key(key),
            "until": hold.until,
            "reason": hold.reason,
            "by": hold.by,
            "change": changes.get(key),
        }
        for key, hold in plan.held
    ]


def _items(items: Items) -> dict[str, JsonValue]:
    return {
        "added": list(items.added),
        "removed": list(items.removed),
        "changed": [{"key": one.key, "old": one.old, "new": one.new} for one in items.changed],
    }


def _impact(impact: ServiceImpact) -> dict[str, JsonValue]:
    return {
        "service": impact.service,
        "action": impact.action.value,
        "sessions": impact.sessions,
        "causes": [_cause(cause) for cause in impact.causes],
    }


def _cause(cause: Cause) -> dict[str, JsonValue]:
    return {**_key(cause.key), "path": cause.path, "old": cause.old, "new": cause.new}


def _key(key: Key) -> dict[str, JsonValue]:
    return {"kind": key.kind, "name": key.name}


def position_json(position: Position | None) -> JsonValue:
    """`{file, line, column}`, or null."""
    if position is None:
        return None
    return {"file": str(position.file), "line": position.line, "column": position.column}
