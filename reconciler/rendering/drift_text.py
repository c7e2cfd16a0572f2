"""Where live differs from declared → text: what, by whom and when, and the two values.

A resource that is declared under a new name is pending and no drift: no hand did that, and the next apply renames it.
What else a plan knows and leaves alone is listed as in a plan.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Action, Change, FieldChange, LiveState, Plan, Present
from reconciler.rendering.plan_words import held_apart, line_of
from reconciler.rendering.table import cut
from reconciler.rendering.text import Paint, count, pad, painter, place, printable, value
from reconciler.rendering.text import width as columns_of

_LISTED = 20
_WORDS = {
    Action.CREATE: "is declared but not live",
    Action.UPDATE: "differs",
    Action.DELETE: "is live but not declared",
}


def render_drift_text(plan: Plan, live: LiveState, *, colour: bool, width: int) -> str:
    """`plan`: what would bring live back to the declaration; `live`: what it was made from."""
    paint = painter(colour=colour)
    blocks = [_block(change, live, paint, width) for change in plan.changes]
    held = dict(plan.held)
    for change in plan.held_changes:
        hold = held.get(change.key) or held[change.live_key]
        kept = f"    held until {printable(hold.until)}: {printable(hold.reason)}"
        blocks.append([*_block(change, live, paint, width), kept])
    unreadable = [f"{paint('?', 'yellow')} {printable(f'{key}: {error}')}" for key, error in plan.unreadable]
    if unreadable:
        blocks.append(["Unreadable, so nothing is known of its drift:", *unreadable])
    uncompared = [f"  {printable(f'{key} {path}')}" for key, path in plan.uncompared]
    if uncompared:
        blocks.append(["Secrets that could not be compared:", *uncompared])
    blocks += [_undeclared(plan)] if plan.undeclared else []
    return "\n\n".join("\n".join(block) for block in [*blocks, [_summary(plan, paint)]]) + "\n"


def drifted(plan: Plan) -> tuple[Change, ...]:
    """What is not as declared, without what only waits to be renamed."""
    return tuple(change for change in plan.changes if not change.renamed_from)


def _undeclared(plan: Plan) -> list[str]:
    shown = [f"  {printable(str(key))}" for key in plan.undeclared[:_LISTED]]
    more = len(plan.undeclared) - len(shown)
    return ["Live but not declared:", *shown, *([f"  and {more:,} more"] if more else [])]


def _block(change: Change, live: LiveState, paint: Paint, width: int) -> list[str]:
    where = f"  {paint(place(change.position), 'dim')}" if change.position else ""
    what = _WORDS[change.action]
    if change.renamed_from:
        what = f"is live as {printable(change.renamed_from)}: pending, the next apply renames it"
    head = f"{paint(printable(str(change.key)), 'yellow')} {what}{_who(change, live)}{where}"
    if change.action is not Action.UPDATE or not change.fields:
        return [head]
    column = max(columns_of(field.path) for field in change.fields)
    lines = (line for field in change.fields for line in _field(field, change, column=column))
    return [head, *(cut(line, max(width, 60)) for line in lines)]


def _who(change: Change, live: LiveState) -> str:
    observed = live.resources.get(change.live_key)
    if not isinstance(observed, Present) or observed.updated_by is None:
        return ""
    when = f" at {observed.updated_at}" if observed.updated_at else ""
    return f", last written by {printable(observed.updated_by + when)}"


def _field(field: FieldChange, change: Change, *, column: int) -> Iterator[str]:
    name = pad(printable(field.path), column)
    if field.is_secret:
        yield f"    {name}  the secret is not the declared one"
        return
    line = f"  ({line_of(field.position, beside=change.position)})" if field.position else ""
    yield f"    {name}  live      {value(field.old)}"
    yield f"    {' ' * column}  declared  {value(field.new)}{line}"


def _summary(plan: Plan, paint: Paint) -> str:
    changes = drifted(plan)
    if changes:
        fields = sum(len(change.fields) for change in changes if change.action is Action.UPDATE)
        return f"Drift in {count(len(changes), 'resource')}, {count(fields, 'field')}."
    apart = held_apart(plan, " ")
    if plan.unreadable:
        return f"No drift in what can be read{apart}; {count(len(plan.unreadable), 'resource')} cannot."
    if plan.changes:
        return f"No drift{apart}; {count(len(plan.changes), 'change')} pending."
    if plan.uncompared:
        return f"No drift in what can be compared{apart}."
    if apart:
        return f"No drift{apart}."
    return paint("No drift: live is what is declared.", "green")
