"""Plan → the table that people read before they say yes.

First how far it reaches, then every change field by field with where it is declared, then which services restart and
why, what changes without a restart, and what is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Action, Change, Plan, ServiceImpact
from reconciler.rendering import plan_words as words
from reconciler.rendering.text import Paint, count, pad, painter, place, printable
from reconciler.rendering.text import width as columns_of

_STYLES = {Action.CREATE: "green", Action.UPDATE: "yellow", Action.DELETE: "red"}
_CAUSES_SHOWN = 6
_LISTED = 20


def render_plan_text(plan: Plan, *, colour: bool, width: int) -> str:
    """The plan for a terminal of `width` columns; an empty plan is one line."""
    paint = painter(colour=colour)
    sections = [
        _top(plan, paint),
        *(_change(change, paint, width) for change in plan.changes),
        _services("Services", plan.impacts, plan, paint),
        _services("Services that live configuration waits for already", plan.owed, plan, paint),
        _listed("Changed without a restart", words.without_restart(plan), paint),
        *(_listed(title, names, paint) for title, names in words.left_alone(plan)),
        [words.counts(plan)] if not plan.is_empty else [],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _top(plan: Plan, paint: Paint) -> list[str]:
    style = "green" if plan.is_empty and plan.is_complete else "bold"
    lines = [paint(words.headline(plan), style), words.reach(plan)]
    return [line for line in lines if line] + [paint(line, "red") for line in words.warnings(plan)]


def _change(change: Change, paint: Paint, width: int) -> list[str]:
    where = f"  {place(change.position)}" if change.position else ""
    head = f"{change.action.value} {words.title(change)}"
    shown, hidden = words.rows(change)
    column = max((columns_of(row.path) for row in shown), default=0)
    lines = [_row(row, change, paint, column=column, width=width) for row in shown]
    rest = [f"    and {count(hidden, 'field')} at the default"] if hidden else []
    rest += [f"    {words.cascade(change)}"] if change.cascades else []
    dim = (paint(line, "dim") for line in rest)
    return [f"{paint(head, _STYLES[change.action])}{paint(where, 'dim')}", *lines, *dim]


def _row(row: words.Row, change: Change, paint: Paint, *, column: int, width: int) -> str:
    sign = paint(change.action.value, _STYLES[change.action])
    text = f"    {sign} {pad(row.path, column)}  {row.difference}"
    notes = "  ".join(note for note in (row.impact, row.where) if note)
    if change.action is not Action.UPDATE or not notes:
        return text
    gap = max(2, min(width, 100) - 8 - column - columns_of(row.difference) - len(notes))
    return text + " " * gap + paint(notes, "dim")


def _services(title: str, impacts: tuple[ServiceImpact, ...], plan: Plan, paint: Paint) -> list[str]:
    if not impacts:
        return []
    column = max(columns_of(impact.service) for impact in impacts)
    return [
        paint(title, "bold"),
        *(line for impact in impacts for line in _service(impact, column, plan, paint)),
    ]


def _service(impact: ServiceImpact, column: int, plan: Plan, paint: Paint) -> Iterator[str]:
    action = paint(f"{impact.action.value:<7}", "yellow")
    yield f"  {action} {pad(printable(impact.service), column)}  {words.felt(impact)}"
    for cause in impact.causes[:_CAUSES_SHOWN]:
        yield f"          because {words.because(cause, plan)}"
    if len(impact.causes) > _CAUSES_SHOWN:
        yield f"          and {count(len(impact.causes) - _CAUSES_SHOWN, 'more cause')}"


def _listed(title: str, names: list[str], paint: Paint) -> list[str]:
    if not names:
        return []
    more = [f"  and {len(names) - _LISTED:,} more"] if len(names) > _LISTED else []
    return [paint(title, "bold"), *(f"  {name}" for name in names[:_LISTED]), *more]
