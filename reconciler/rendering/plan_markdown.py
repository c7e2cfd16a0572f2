"""Plan → Markdown for a pull request: how far it reaches, then each change folded, then what restarts and why.

No value can become markup: inside a fenced block or a code span nothing is interpreted, the fence is longer than any
run of backticks in it, and what stands in HTML is escaped. Line ends never reach this place (see `text.printable`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from reconciler.model import Action, Change, Plan, ServiceImpact
from reconciler.rendering import plan_words as words
from reconciler.rendering.text import place, printable

_LISTED = 50
_OUR_WORDS = ("INCOMPLETE", "UNCOMPARED", "REFUSED")  # warnings that hold no word of anybody else
_OPEN = 3  # so few changes are shown unfolded


def render_plan_markdown(plan: Plan) -> str:
    """GitHub-flavoured Markdown, which GitLab and others read too."""
    lines = [f"### {words.headline(plan)}", ""]
    lines += [f"**{words.reach(plan)}**", ""] if words.reach(plan) else []
    for warning in words.warnings(plan):
        label, _, rest = warning.partition(": ")
        lines += [f"> **{label}** {rest if label in _OUR_WORDS else code(rest)}", ""]
    for change in plan.changes:
        lines += _change(change, is_open=len(plan.changes) <= _OPEN)
    lines += _services("Services", plan.impacts, plan)
    lines += _services("Services that live configuration waits for already", plan.owed, plan)
    lines += _listed("Changed without a restart", words.without_restart(plan))
    for title, names in words.left_alone(plan):
        lines += _listed(title, names)
    lines += [words.counts(plan)] if not plan.is_empty else []
    return "\n".join(lines).rstrip("\n") + "\n"


def code(text: str) -> str:
    """A code span that shows exactly this text."""
    if not text:
        return ""
    fence = _fence(text, least=1)
    space = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{space}{text}{space}{fence}"


def _fence(text: str, *, least: int) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def _change(change: Change, *, is_open: bool) -> list[str]:
    where = f" {escape(place(change.position))}" if change.position else ""
    head = f"<code>{escape(f'{change.action.value} {words.title(change)}')}</code>{where}"
    body = list(_lines(change))
    fence = _fence("\n".join(body), least=3)
    start = "<details open>" if is_open else "<details>"
    return [f"{start}<summary>{head}</summary>", "", f"{fence}diff", *body, fence, "", "</details>", ""]


def _lines(change: Change) -> Iterator[str]:
    rows, hidden = words.rows(change)
    for row in rows:
        notes = ", ".join(note for note in (row.impact, row.where) if note)
        shown = f"  # {notes}" if notes and change.action is Action.UPDATE else ""
        yield f"{'!' if change.action is Action.UPDATE else '+'} {row.path}: {row.difference}{shown}"
    if hidden:
        yield f"  and {hidden} at the default"
    if change.action is Action.DELETE:
        yield f"- {words.title(change)}"
    if change.cascades:
        yield f"- {words.cascade(change)}"
    if not (rows or hidden) and change.renamed_from:
        yield "! only its name changes"


def _services(title: str, impacts: tuple[ServiceImpact, ...], plan: Plan) -> list[str]:
    if not impacts:
        return []
    lines = [f"**{title}**", ""]
    for impact in impacts:
        lines.append(f"- {impact.action.value} {code(printable(impact.service))}: {words.felt(impact)}")
        lines += [f"  - because {code(words.because(cause, plan))}" for cause in impact.causes]
    return [*lines, ""]


def _listed(title: str, names: list[str]) -> list[str]:
    if not names:
        return []
    shown = [f"- {code(name)}" for name in names[:_LISTED]]
    more = [f"- and {len(names) - _LISTED:,} more"] if len(names) > _LISTED else []
    folded = f"<details><summary>{escape(title)} ({len(names):,})</summary>"
    return [folded, "", *shown, *more, "", "</details>", ""]
