"""Plan → diagnostics for what somebody should look at before they say yes: deletions, restarts, what is not known.

CI formats show findings at a place in a file. These are the plan's own; a reviewer sees them on the line that asks for
them, beside what validation and guardrails say.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Action, Cause, Change, Diagnostic, Plan, Position, ServiceAction, Severity
from reconciler.rendering import plan_words as words

#: Stable names of the rules, with what each is about.
RULES = {
    "plan-delete": "A live resource is deleted.",
    "plan-restart": "A service restarts or stops, and its sessions end.",
    "plan-refused": "A deletion was asked for and is refused.",
    "plan-unreadable": "A live resource cannot be read, so the plan is incomplete.",
    "plan-partial": "The plan is for a part of the estate.",
}
_INTERRUPTS = (ServiceAction.RESTART, ServiceAction.STOP)


def plan_risks(plan: Plan) -> tuple[Diagnostic, ...]:
    """All of them, in the order of the rules."""
    return tuple(_risks(plan))


def _risks(plan: Plan) -> Iterator[Diagnostic]:
    for change in plan.changes:
        if change.action is Action.DELETE:
            yield _warning("plan-delete", f"{change.key} is deleted", hint=words.cascade(change) or None)
    for impact in (*plan.impacts, *plan.owed):
        if impact.action in _INTERRUPTS:
            first = impact.causes[0] if impact.causes else None
            why = f", because {words.because(first, plan)}" if first else ""
            message = f"{impact.service} has to {impact.action.value}: {words.felt(impact)}{why}"
            yield _warning("plan-restart", message, position=_place(first, plan))
    for refusal in plan.refused:
        yield _warning("plan-refused", f"{refusal.key} is not deleted: {refusal.reason}")
    for key, error in plan.unreadable:
        yield Diagnostic("plan-unreadable", Severity.ERROR, f"{key} cannot be read: {error}")
    if plan.selection.is_partial:
        yield _warning("plan-partial", words.warnings(plan)[0])


def _warning(
    code: str, message: str, *, position: Position | None = None, hint: str | None = None
) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, message, position, hint)


def _place(cause: Cause | None, plan: Plan) -> Position | None:
    """Where the field that asks for it is declared, or its document."""
    for change in plan.changes:
        if cause is not None and change.key == cause.key:
            return _field_place(change, cause.path) or change.position
    return None


def _field_place(change: Change, path: str) -> Position | None:
    return next((field.position for field in change.fields if field.path == path), None)
