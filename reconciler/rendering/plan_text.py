"""Plan → the table that people read before they say yes.

First what it costs, then every change field by field with where it is declared, then which services restart and why,
what changes without a restart, and what is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model import Action, Cause, Change, FieldChange, Key, Plan, ServiceAction, ServiceImpact
from reconciler.rendering.plan_json import plan_summary
from reconciler.rendering.text import Paint, count, pad, painter, place, printable, value
from reconciler.rendering.text import width as columns_of
from schemas.v1.base import Impact

Actions = Mapping[Key, Action]

ARROW = "->"
_STYLES = {Action.CREATE: "green", Action.UPDATE: "yellow", Action.DELETE: "red"}
_CAUSES_SHOWN = 6
_LISTED = 20
_WHOLE: Mapping[Action | None, str] = {Action.CREATE: "is new", Action.DELETE: "is deleted"}
_DONE = {"create": "to create", "update": "to update", "delete": "to delete"}


def render_plan_text(plan: Plan, *, colour: bool, width: int) -> str:
    """The plan for a terminal of `width` columns; an empty plan is one line."""
    paint = painter(colour=colour)
    sections = [
        [blast_radius(plan, paint)],
        *(_change(change, paint, width) for change in plan.changes),
        _services("Services", plan.impacts, plan, paint),
        _services("Services that live configuration waits for already", plan.owed, plan, paint),
        _without_restart(plan, paint),
        _left_alone("Live but not declared, left alone", [str(key) for key in plan.undeclared], paint),
        _left_alone("Unreadable, left alone", [f"{key}: {error}" for key, error in plan.unreadable], paint),
        [_counts(plan)] if not plan.is_empty else [],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def blast_radius(plan: Plan, paint: Paint) -> str:
    """One line: how much changes, which services feel it, how many sessions."""
    if plan.is_empty:
        return paint("No changes: live is what is declared.", "green")
    actions = [*plan.impacts, *plan.owed]
    phrases = [
        f"{_verb(action, number)} {count(number, 'service')}"
        for action in ServiceAction
        if (number := sum(impact.action is action for impact in actions))
    ]
    resources = count(len(plan.changes), "resource")
    changes = [f"changes {resources}"] if plan.changes else []
    sessions = count(plan_summary(plan)["sessions"], "session")
    touched = f", touches {sessions}" if phrases else ", restarts nothing"
    return paint("Plan: " + ", ".join([*changes, *phrases]) + touched, "bold")


def _verb(action: ServiceAction, _number: int) -> str:
    return {"reload": "reloads", "restart": "restarts", "start": "starts", "stop": "stops"}[action.value]


def _change(change: Change, paint: Paint, width: int) -> list[str]:
    sign = change.action.value
    style = _STYLES[change.action]
    where = f"  {place(change.position)}" if change.position else ""
    head = f"{paint(f'{sign} {printable(str(change.key))}', style)}{paint(where, 'dim')}"
    shown, hidden = _shown(change)
    column = max((columns_of(field.path) for field in shown), default=0)
    lines = [_field(field, change, paint, column=column, width=width) for field in shown]
    rest = [paint(f"    and {count(hidden, 'field')} at the default", "dim")] if hidden else []
    return [head, *lines, *rest]


def _shown(change: Change) -> tuple[list[FieldChange], int]:
    """Of a new resource what is declared, of a deleted one nothing in detail, of an update everything."""
    if change.action is Action.UPDATE:
        return list(change.fields), 0
    if change.action is Action.DELETE:
        return [], 0
    shown = [field for field in change.fields if field.is_secret or field.position is not None]
    return shown, len(change.fields) - len(shown)


def _field(field: FieldChange, change: Change, paint: Paint, *, column: int, width: int) -> str:
    difference = _difference(field, change.action)
    sign = paint(change.action.value, _STYLES[change.action])
    text = f"    {sign} {pad(printable(field.path), column)}  {difference}"
    notes = _notes(field, change) if change.action is Action.UPDATE else ""
    gap = max(2, min(width, 100) - 8 - column - columns_of(difference) - len(notes))
    return text + (" " * gap + paint(notes, "dim") if notes else "")


def _notes(field: FieldChange, change: Change) -> str:
    """What it costs and where it is declared; an undeclared field goes back to its default."""
    impact = "" if field.impact is Impact.NONE else field.impact.value
    where = "not declared" if field.position == change.position else ""
    if field.position is not None and not where:
        where = f"line {field.position.line}"
    return "  ".join(note for note in (impact, where) if note)


def _difference(field: FieldChange, action: Action) -> str:
    if field.is_secret:
        return "(secret)" if action is Action.CREATE else "(secret changed)"
    if action is Action.CREATE:
        return value(field.new)
    return f"{value(field.old)} {ARROW} {value(field.new)}"


def _services(title: str, impacts: tuple[ServiceImpact, ...], plan: Plan, paint: Paint) -> list[str]:
    if not impacts:
        return []
    column = max(columns_of(impact.service) for impact in impacts)
    actions = {change.key: change.action for change in plan.changes}
    lines = [line for impact in impacts for line in _service(impact, column, actions, paint)]
    return [paint(title, "bold"), *lines]


def _service(impact: ServiceImpact, column: int, actions: Actions, paint: Paint) -> Iterator[str]:
    action = paint(f"{impact.action.value:<7}", "yellow")
    yield f"  {action} {pad(printable(impact.service), column)}  {_felt(impact)}"
    for cause in impact.causes[:_CAUSES_SHOWN]:
        yield f"          because {_because(cause, actions)}"
    if len(impact.causes) > _CAUSES_SHOWN:
        yield f"          and {count(len(impact.causes) - _CAUSES_SHOWN, 'more cause')}"


def _felt(impact: ServiceImpact) -> str:
    if impact.action is ServiceAction.START:
        return "not running now"
    if impact.action is ServiceAction.RELOAD:
        return "sessions go on, new ones see the change"
    if impact.sessions is None:
        return "sessions unknown"
    return f"{count(impact.sessions, 'session')} touched"


def _because(cause: Cause, actions: Actions) -> str:
    subject = printable(str(cause.key))
    if not cause.path:
        return f"{subject} {_WHOLE.get(actions.get(cause.key), 'changed')}"
    if cause.old is None and cause.new is None:
        return f"{subject} {cause.path} changed"
    return f"{subject} {cause.path} {value(cause.old)} {ARROW} {value(cause.new)}"


def _without_restart(plan: Plan, paint: Paint) -> list[str]:
    causes: dict[Key, ServiceAction] = {}
    for impact in plan.impacts:
        for cause in impact.causes:
            if impact.action is not ServiceAction.RELOAD:
                causes[cause.key] = impact.action
    quiet = [str(change.key) for change in plan.changes if change.key not in causes]
    return _left_alone("Changed without a restart", quiet, paint)


def _left_alone(title: str, names: list[str], paint: Paint) -> list[str]:
    if not names:
        return []
    more = [f"  and {len(names) - _LISTED:,} more"] if len(names) > _LISTED else []
    return [paint(title, "bold"), *(f"  {printable(name)}" for name in names[:_LISTED]), *more]


def _counts(plan: Plan) -> str:
    summary = plan_summary(plan)
    changes = [f"{summary[name]:,} {words}" for name, words in _DONE.items()]
    services = [f"{summary[name]:,} to {name}" for name in ("restart", "reload", "start", "stop")]
    return f"Resources: {', '.join(changes)}. Services: {', '.join(services)}."
