"""What every rendering of a plan says in words: headline, reach, warnings, why, and what is left alone.

Plain text, escaped for a terminal; a renderer that writes markup escapes it once more. So text, Markdown, HTML, JUnit
and SARIF cannot tell different things of one plan.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.model import (
    Action,
    Cause,
    Change,
    FieldChange,
    Key,
    Plan,
    Position,
    ServiceAction,
    ServiceImpact,
)
from reconciler.rendering.items import items_of
from reconciler.rendering.plan_json import plan_summary, reach_json
from reconciler.rendering.text import count, printable, value
from schemas.v1.impact import Impact

if TYPE_CHECKING:
    from pydantic import JsonValue

ARROW = "->"
_ITEMS_SHOWN = 20
NO_CHANGES = "No changes: live is what is declared."
NO_KNOWN_CHANGES = "No changes in what can be compared: whether some secrets changed is unknown."
_VERBS = {"reload": "reloads", "restart": "restarts", "start": "starts", "stop": "stops"}
_WHOLE = {Action.CREATE: "is new", Action.DELETE: "goes"}
#: What is not deleted along with a resource: the runtime never deletes mail that nobody expunged.
_KEPT = {
    "Mailbox": "; its mail is kept for ever, and a mailbox of this name in the same database has it again",
    "MailboxDatabase": "; its mail is kept on the server, and a database of this name there has it again",
}
_DONE = {"create": "to create", "update": "to update", "delete": "to delete"}


@dataclass(frozen=True, slots=True)
class Row:
    """One field of a change: its old and new value as text (None where there is none), what it costs, its place."""

    path: str
    difference: str
    impact: str
    where: str


def headline(plan: Plan) -> str:
    """`Plan (production): 1 to update; restarts nothing`."""
    text, what = _headline(plan), "No changes" if plan.is_empty else "Plan"
    named = f" ({printable(plan.environment)})" if plan.environment else ""
    return f"{what}{named}{text.removeprefix(what)}"


def _headline(plan: Plan) -> str:
    """How much is created, updated and deleted, which services feel it, how many sessions."""
    if plan.is_empty:
        if not plan.is_complete:
            return f"No changes in what can be read{held_apart(plan, ', ')}."
        if plan.held_changes:
            known = " in what can be compared" if plan.uncompared else ""
            return f"No changes{known}{held_apart(plan, ' ')}."
        if plan.back_to is not None:
            return f"No changes: live is what it was after entry {plan.back_to}."
        return NO_KNOWN_CHANGES if plan.uncompared else NO_CHANGES
    actions = [*plan.impacts, *plan.owed]
    phrases = [
        f"{_VERBS[action.value]} {count(number, 'service')}"
        for action in ServiceAction
        if (number := sum(impact.action is action for impact in actions))
    ]
    sessions = count(plan_summary(plan)["sessions"], "session")
    felt_by = [*phrases, f"touches {sessions}"] if phrases else ["restarts nothing"]
    parts = [", ".join(words for number, words in _tally(plan) if number), ", ".join(felt_by)]
    return "Plan: " + "; ".join(part for part in parts if part)


def held_apart(plan: Plan, before: str) -> str:
    """`but for what is held: 1 resource differs`, begun with `before`; empty text when it is as declared."""
    number = len(plan.held_changes)
    return f"{before}but for what is held: {_differ(number)}" if number else ""


def _differ(number: int) -> str:
    return f"{count(number, 'resource')} differ{'' if number > 1 else 's'}"


def held_lines(plan: Plan) -> list[str]:
    """Every held resource, until when and why, and what a hold keeps from being changed."""
    differing = {key: change for change in plan.held_changes for key in (change.live_key, change.key)}
    return [
        printable(f"{key}: until {hold.until}, {hold.reason}") + _kept(differing.get(key), plan)
        for key, hold in plan.held
    ]


def _kept(change: Change | None, plan: Plan) -> str:
    """How live differs from what is declared, or from what it was at the entry that the plan goes back to."""
    if change is None:
        return ""
    is_back = plan.back_to is not None
    if change.action is Action.DELETE:
        return "; made since"
    if change.action is Action.CREATE:
        return "; live then and not now" if is_back else "; declared and not live"
    paths = [*(["its name"] if change.renamed_from else []), *(printable(one.path) for one in change.fields)]
    return f"; differs from {'what it was then' if is_back else 'what is declared'}: {', '.join(paths)}"


def _tally(plan: Plan) -> list[tuple[int, str]]:
    """How many resources each action is for, and that in words: `2 to update (1 renamed)`."""
    summary = plan_summary(plan)
    renamed = {"update": f" ({summary['rename']:,} renamed)"} if summary["rename"] else {}
    return [
        (summary[name], f"{summary[name]:,} {words}{renamed.get(name, '')}") for name, words in _DONE.items()
    ]


def reach(plan: Plan) -> str:
    """The blast radius: servers, services, mailboxes and sessions that notice it; empty text for an empty plan."""
    if plan.is_empty:
        return ""
    found = reach_json(plan)
    mailboxes = "mailboxes" if plan.reach.mailboxes != 1 else "mailbox"
    return (
        f"Reach: {count(len(plan.reach.servers), 'server')}, {count(int(str(found['services'])), 'service')}, "
        f"{plan.reach.mailboxes:,} {mailboxes}, {count(int(str(found['sessions'])), 'session')}"
    )


def warnings(plan: Plan) -> list[str]:
    """What the reader has to know before reading on: a note, and that it is partial, incomplete, less than asked."""
    found = [f"NOTE: {printable(plan.note)}"] if plan.note else []
    if plan.selection.is_partial:
        words = [f"only {printable(glob)}" for glob in plan.selection.only]
        words += [f"without {printable(glob)}" for glob in plan.selection.exclude]
        found.append(f"PARTIAL: {', '.join(words)}. Nothing else was looked at.")
    if not plan.is_complete:
        resources = count(len(plan.unreadable), "resource")
        found.append(
            f"INCOMPLETE: {resources} cannot be read, and the plan says nothing of them. Apply refuses it; "
            "--exclude leaves out what cannot be read."
        )
    if plan.uncompared:
        secrets = count(len(plan.uncompared), "secret")
        found.append(
            f"UNCOMPARED: {secrets} cannot be opened here, so a change of it would not be seen; what is live stays. "
            "--identity opens what is encrypted."
        )
    if plan.refused:
        found.append(f"REFUSED: {count(len(plan.refused), 'deletion')} of what was asked for; see below.")
    return found


def title(change: Change) -> str:
    """`Mailbox/ally, renamed from alice`."""
    renamed = f", renamed from {printable(change.renamed_from)}" if change.renamed_from else ""
    return printable(str(change.key)) + renamed


def rows(change: Change) -> tuple[list[Row], int]:
    """The fields to show, and how many are left out: of a new resource those that nobody declared and that are at the
    default of its kind, of a deleted one all."""
    if change.action is Action.DELETE:
        return [], 0
    shown = [
        field
        for field in change.fields
        if change.action is Action.UPDATE or _is_declared(field) or not _is_default(field, change.key.kind)
    ]
    return [_row(field, change) for field in shown], len(change.fields) - len(shown)


def _is_declared(field: FieldChange) -> bool:
    return field.is_secret or field.position is not None or field.path.startswith("lifecycle.")


def _is_default(field: FieldChange, kind: str) -> bool:
    """A field that has no default of its own, as one that is required, is at none."""
    from schemas.v1.facts import fields

    facts = fields(kind).get(field.path)
    return facts is not None and not facts.is_required and field.new == facts.default


def _row(field: FieldChange, change: Change) -> Row:
    impact = "" if field.impact is Impact.NONE else field.impact.value
    where = "not declared" if field.position and field.position == change.position else ""
    if field.position is not None and not where:
        note = f", {printable(field.note)}" if field.note else ""
        where = f"{line_of(field.position, beside=change.position)}{note}"
    return Row(printable(field.path), difference(field, change.action), impact, where)


def line_of(position: Position, *, beside: Position | None) -> str:
    """`line 22`; with its file when the resource begins in another one."""
    if beside is None or position.file == beside.file:
        return f"line {position.line}"
    return f"{printable(str(position.file))}:{position.line}"


def difference(field: FieldChange, action: Action) -> str:
    """`16 -> 32`; of a secret only that there is another one."""
    if field.is_secret:
        return "(secret)" if action is Action.CREATE else "(secret changed)"
    if action is Action.CREATE:
        return value(field.new)
    return between(field.path, field.old, field.new)


def between(path: str, old: JsonValue, new: JsonValue, *, shown: Callable[[JsonValue], str] = value) -> str:
    """`16 -> 32`; of a list the items that went, changed and came: `- 127.0.0.1:143, + 127.0.0.1:10143`. `shown` says
    how values look."""
    items = items_of(path, old, new)
    if items is None:
        return f"{shown(old)} {ARROW} {shown(new)}"
    found = [
        *(f"- {shown(item)}" for item in items.removed),
        *(f"~ {shown(one.key)} {shown(one.old)} {ARROW} {shown(one.new)}" for one in items.changed),
        *(f"+ {shown(item)}" for item in items.added),
    ]
    more = len(found) - _ITEMS_SHOWN
    return ", ".join(found[:_ITEMS_SHOWN]) + (f" and {count(more, 'more item')}" if more > 0 else "")


def felt(impact: ServiceImpact) -> str:
    """What clients of the service notice."""
    if impact.action is ServiceAction.START:
        return "not running now"
    if impact.action is ServiceAction.RELOAD:
        return "sessions go on, new ones see the change"
    if impact.sessions is None:
        return "sessions unknown"
    return f"{count(impact.sessions, 'session')} touched"


def because(cause: Cause, plan: Plan) -> str:
    """`ImapSettings/ex01 maxConnectionsPerUser 16 -> 32`, with the declaration's place when it has one."""
    subject = printable(str(cause.key))
    if not cause.path:
        return f"{subject} {_whole(cause, plan)}"
    if cause.old is None and cause.new is None:
        return f"{subject} {printable(cause.path)} changed"
    return f"{subject} {printable(cause.path)} {between(cause.path, cause.old, cause.new)}"


def _whole(cause: Cause, plan: Plan) -> str:
    for change in plan.changes:
        if change.key == cause.key:
            return "is renamed" if change.renamed_from else _WHOLE.get(change.action, "changed")
    return "changed"


def without_restart(plan: Plan) -> list[str]:
    """What changes although no service is restarted, started or stopped for it, and why none is: whole resources, and
    of those that do cost something the fields that do not."""
    causing, reloading = _causes_of(plan, is_reload=False), _causes_of(plan, is_reload=True)
    costly = {key for key, _ in causing}
    quiet = {key for key, _ in reloading} - costly
    lines: list[str] = []
    for change in plan.changes:
        if change.key in costly:
            lines += _quiet_fields(change, causing, reloading)
        else:
            lines.append(f"{printable(str(change.key))}: {_why_quiet(change, is_reload=change.key in quiet)}")
    return lines


def _causes_of(plan: Plan, *, is_reload: bool) -> set[tuple[Key, str]]:
    impacts = [impact for impact in plan.impacts if (impact.action is ServiceAction.RELOAD) is is_reload]
    return {(cause.key, cause.path) for impact in impacts for cause in impact.causes}


def _quiet_fields(
    change: Change, causing: Container[tuple[Key, str]], reloading: Container[tuple[Key, str]]
) -> list[str]:
    """A line a reason; none when the resource costs something as a whole, as one that is new does."""
    if (change.key, "") in causing:
        return []
    paths: dict[str, list[str]] = {}
    for field in change.fields:
        place = (change.key, field.path)
        if place not in causing:
            why = _why_quiet(replace(change, fields=(field,)), is_reload=place in reloading)
            paths.setdefault(why, []).append(printable(field.path))
    return [f"{printable(str(change.key))} {', '.join(found)}: {why}" for why, found in paths.items()]


def _why_quiet(change: Change, *, is_reload: bool) -> str:
    if is_reload:
        return "a reload is enough"
    costly = change.action is Action.UPDATE and any(
        field.impact is not Impact.NONE for field in change.fields
    )
    kept = _KEPT.get(change.key.kind, "") if change.action is Action.DELETE else ""
    return "its service is not running" if costly else f"takes effect at once{kept}"


def cascade(change: Change) -> str:
    """What goes along with a deleted resource; empty text when nothing refers to it."""
    if not change.cascades:
        return ""
    return "deleted too, as it refers to this: " + ", ".join(printable(str(key)) for key in change.cascades)


def left_alone(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """Sections of names with a title each: refused deletions, what is not declared, held, or not known."""
    yield "Not deleted", [printable(f"{refusal.key}: {refusal.reason}") for refusal in plan.refused]
    refused = {refusal.key for refusal in plan.refused}
    undeclared = [printable(str(key)) for key in plan.undeclared if key not in refused]
    yield "Live but not declared, left alone", undeclared
    yield "Held, left alone", held_lines(plan)
    yield (
        "Secrets that could not be compared, left alone",
        [printable(f"{key} {path}") for key, path in plan.uncompared],
    )
    yield "Unreadable, left alone", [printable(f"{key}: {error}") for key, error in plan.unreadable]


def counts(plan: Plan) -> str:
    """`Resources: 1 to create, … Services: …`."""
    summary = plan_summary(plan)
    changes = [words for _, words in _tally(plan)]
    services = [f"{summary[name]:,} to {name}" for name in ("restart", "reload", "start", "stop")]
    return f"Resources: {', '.join(changes)}. Services: {', '.join(services)}."
