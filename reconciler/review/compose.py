"""A review → sections, in the order in which a reviewer needs them; a style says how text, headings and folds look.

Errors come first, then what touches security, the guardrails, what restarts, and every change folded away. One item of
a section is about one resource, so a text that is too long is cut between resources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from reconciler.model import (
    Action,
    Change,
    Diagnostic,
    FieldChange,
    Plan,
    Position,
    ServiceAction,
    ServiceImpact,
)
from reconciler.rendering.plan_words import between, line_of
from reconciler.rendering.text import count, value
from reconciler.review.difference import Concern, is_telling, only_pruned
from reconciler.review.model import Comparison, Review
from reconciler.review.sections import Section
from reconciler.verdict import Finding
from schemas.v1.impact import Impact

_CAUSES_SHOWN = 3
_NAMES_SHOWN = 8
_WORDS = {Action.CREATE: "new", Action.UPDATE: "changed", Action.DELETE: "no longer declared"}
_VERBS = {
    ServiceAction.RESTART: "restart",
    ServiceAction.RELOAD: "reload",
    ServiceAction.START: "start",
    ServiceAction.STOP: "stop",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How a kind of text is written. `code` shows text of others; `fold` opens what is closed at first."""

    code: Callable[[str], str]
    strong: Callable[[str], str]
    heading: Callable[[str], str]
    environment: Callable[[str], str]
    fold: Callable[[str], str]
    end_fold: str


def title(review: Review) -> str:
    """The counts, in our own words alone."""
    if review.is_refused and any(comparison.head.errors for comparison in review.comparisons):
        errors = sum(len(comparison.head.errors) for comparison in review.comparisons)
        return f"{count(errors, 'error')} in the declared estate"
    phrases = list(_phrases(review)) or ["no change in meaning"]
    before = sum(comparison.findings.errors_before for comparison in review.comparisons)
    if before:
        phrases.append(f"{count(before, 'guardrail error')} {'was' if before == 1 else 'were'} there before")
    return ", ".join(phrases)


def sections(comparison: Comparison, style: Style) -> list[Section]:
    """Everything about one environment."""
    composer = _Composer(style)
    return [
        *composer.beginning(comparison),
        *composer.errors(comparison),
        *composer.concerns(comparison),
        *composer.findings(comparison),
        *composer.services(comparison.plan),
        *composer.changes(comparison.plan),
        *composer.live(comparison.live),
        *composer.notes(comparison),
    ]


def _phrases(review: Review) -> Iterator[str]:
    plans = [comparison.plan for comparison in review.comparisons if comparison.plan is not None]
    if len(plans) < len(review.comparisons):
        yield "base cannot be compared with"
    actions = Counter(change.action for plan in plans for change in plan.changes)
    yield from (f"{actions[action]:,} {word}" for action, word in _WORDS.items() if actions[action])
    services = Counter(impact.action for plan in plans for impact in plan.impacts)
    yield from (
        f"{count(services[action], 'service')} to {_VERBS[action]}" for action in _VERBS if services[action]
    )
    excused = sum(len(comparison.findings.excused) for comparison in review.comparisons)
    concerns = sum(len(comparison.concerns) for comparison in review.comparisons) + excused
    if concerns:
        yield f"{concerns:,} to look at first"
    if excused:
        yield f"{count(excused, 'guardrail error')} waived"
    if review.guarding:
        yield f"{count(len(review.guarding), 'policy file')} changed"
    new = sum(len(comparison.findings.new) for comparison in review.comparisons)
    if new:
        yield count(new, "new guardrail finding")


class _Composer:
    """Writes sections in one style."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._code = style.code

    def beginning(self, comparison: Comparison) -> Iterator[Section]:
        name = comparison.environment
        head = self._style.environment(self._code(name)) if name is not None else ""
        yield Section(head + "".join(f"\n{line}\n" for line in self._summary(comparison)))

    def _summary(self, comparison: Comparison) -> Iterator[str]:
        plan = comparison.plan
        if plan is None:
            return
        if not comparison.is_changed:
            yield "Nothing changes in meaning."
        elif plan.reach.servers or plan.reach.mailboxes:
            servers = plan.reach.servers
            names = ", ".join(self._code(name) for name in servers[:_NAMES_SHOWN])
            more = f" and {len(servers) - _NAMES_SHOWN:,} more" if len(servers) > _NAMES_SHOWN else ""
            who = f"{'server' if len(servers) == 1 else 'servers'} {names}{more}, " if servers else ""
            number = plan.reach.mailboxes
            yield f"Concerns {who}{number:,} {'mailbox' if number == 1 else 'mailboxes'}."
        if plan.refused:
            kept = ", ".join(self._code(str(refusal.key)) for refusal in plan.refused[:_NAMES_SHOWN])
            yield f"Protected, and so not deleted though no longer declared: {kept}."

    def errors(self, comparison: Comparison) -> Iterator[Section]:
        if comparison.head.errors:
            heading = self._style.heading(f"Errors: this cannot be applied ({len(comparison.head.errors):,})")
            yield Section(heading, self._diagnostics(comparison.head.errors), noun="error")
        if comparison.base.errors:
            why = f"Base does not validate, so nothing can be compared ({len(comparison.base.errors):,})"
            yield self._folded(why, self._diagnostics(comparison.base.errors), "error")

    def concerns(self, comparison: Comparison) -> Iterator[Section]:
        items = [self._finding(one) for one in comparison.findings.excused]
        items += [self._concern(one) for one in comparison.concerns]
        if items:
            yield Section(self._style.heading(f"Look at these first ({len(items):,})"), items, noun="change")

    def findings(self, comparison: Comparison) -> Iterator[Section]:
        found = comparison.findings
        if found.new:
            heading = self._style.heading(f"Guardrails: new findings ({len(found.new):,})")
            yield Section(heading, [self._finding(one) for one in found.new], noun="finding")
        if found.problems:
            heading = self._style.heading(f"Guardrails that cannot be held ({len(found.problems):,})")
            yield Section(heading, self._diagnostics(found.problems), noun="problem")
        for words, findings in (
            ("Guardrails: still there", found.remaining),
            ("Guardrails: fixed", found.fixed),
            ("Guardrails: waived", found.waived),
            ("Guardrails: allowed in the document", found.allowed),
        ):
            if findings:
                items = [self._finding(one) for one in findings]
                yield self._folded(f"{words} ({len(findings):,})", items, "finding")

    def services(self, plan: Plan | None) -> Iterator[Section]:
        if plan is not None and plan.impacts:
            items = [self._impact(impact, plan) for impact in plan.impacts]
            heading = self._style.heading(f"Services ({len(items):,})")
            yield Section(heading, items, noun="service")

    def changes(self, plan: Plan | None) -> Iterator[Section]:
        if plan is not None and plan.changes:
            items = [self._change(change) for change in plan.changes]
            yield self._folded(f"All changes ({len(items):,})", items, "resource")

    def live(self, plan: Plan | None) -> Iterator[Section]:
        if plan is None:
            return
        items = [self._change(change) for change in plan.changes]
        items += [self._impact(impact, plan) for impact in (*plan.impacts, *plan.owed)]
        items += [
            f"- cannot be read: {self._code(str(key))}: {self._code(why)}\n" for key, why in plan.unreadable
        ]
        if not items:
            yield Section(self._style.heading("Live: head is live already; secrets are not compared"))
            return
        yield self._folded(
            f"Live: what applying head would do ({len(items):,}); secrets are not compared", items
        )

    def notes(self, comparison: Comparison) -> Iterator[Section]:
        warnings = comparison.head.warnings
        if warnings:
            yield self._folded(f"Warnings ({len(warnings):,})", self._diagnostics(warnings), "warning")

    def _folded(self, summary: str, items: list[str], noun: str = "item") -> Section:
        return Section(self._style.fold(summary), items, self._style.end_fold, noun)

    def _concern(self, concern: Concern) -> str:
        subject = self._code(str(concern.key))
        if not concern.path:
            return f"- {subject} {concern.why}{self._where(concern.position)}\n"
        difference = self._difference(concern.action, concern)
        field = f"{self._code(concern.path)} {difference}"
        return f"- {subject} {field}: it {concern.why}{self._where(concern.position)}\n"

    def _finding(self, finding: Finding) -> str:
        waiver = finding.waiver
        waived = f"; waived until {waiver.expires}: {self._code(waiver.reason)}" if waiver else ""
        return self._diagnostic(finding.diagnostic).removesuffix("\n") + f"{waived}\n"

    def _diagnostics(self, found: Iterable[Diagnostic]) -> list[str]:
        return [self._diagnostic(one) for one in found]

    def _diagnostic(self, found: Diagnostic) -> str:
        hint = f"\n  {self._code(found.hint)}" if found.hint else ""
        severity = self._style.strong("allowed" if found.allowed else found.severity.value)
        reason = f"\n  reason: {self._code(found.allowed.reason)}" if found.allowed else ""
        code = self._code(found.code)
        where = self._where(found.position)
        return f"- {severity} {code}: {self._code(found.message)}{where}{reason or hint}\n"

    def _impact(self, impact: ServiceImpact, plan: Plan) -> str:
        pruned = ", only if what is no longer declared is deleted" if only_pruned(impact, plan) else ""
        sessions = f", {count(impact.sessions, 'session')}" if impact.sessions is not None else ""
        causes = [self._cause(str(cause.key), cause.path) for cause in impact.causes[:_CAUSES_SHOWN]]
        more = len(impact.causes) - len(causes)
        because = ", ".join([*causes, *([f"{more:,} more"] if more > 0 else [])])
        action = self._style.strong(_VERBS[impact.action])
        return f"- {action} {self._code(impact.service)}{sessions}: {because}{pruned}\n"

    def _cause(self, key: str, path: str) -> str:
        return f"{self._code(key)} {self._code(path)}" if path else self._code(key)

    def _change(self, change: Change) -> str:
        renamed = f", renamed from {self._code(change.renamed_from)}" if change.renamed_from else ""
        head = f"- {self._style.strong(_WORDS[change.action])} {self._code(str(change.key))}{renamed}"
        head += self._where(change.position)
        if change.action is Action.DELETE:
            return f"{head}; it stays live until an apply is told to delete it\n"
        fields = [field for field in change.fields if is_telling(field, change)]
        rest = len(change.fields) - len(fields)
        hidden = [f"  - and {count(rest, 'field')} at the default\n"] if rest else []
        return "".join([f"{head}\n", *(self._field(field, change) for field in fields), *hidden])

    def _field(self, field: FieldChange, change: Change) -> str:
        difference = self._difference(change.action, field)
        notes = ", ".join(self._notes(field, change))
        return f"  - {self._code(field.path)} {difference}{f' ({notes})' if notes else ''}\n"

    def _difference(self, action: Action, of: FieldChange | Concern) -> str:
        if of.is_secret:
            return "(secret)" if action is Action.CREATE else "(secret changed)"
        if action is Action.CREATE:
            return self._value(of.new)
        return between(of.path, of.old, of.new, shown=self._value)

    def _value(self, of: JsonValue) -> str:
        return self._code(value(of))

    def _where(self, position: Position | None) -> str:
        if position is None:
            return ""
        line = f":{position.line}" if position.line else ""
        return f" ({self._code(f'{position.file}{line}')})"

    def _notes(self, field: FieldChange, change: Change) -> Iterator[str]:
        if change.action is not Action.UPDATE:
            return
        if field.impact is not Impact.NONE:
            yield field.impact.value
        if field.position == change.position:
            yield "not declared"
        elif field.position is not None:
            where = line_of(field.position, beside=change.position)
            yield where if where == f"line {field.position.line}" else self._code(where)
        if field.note:
            yield self._code(field.note)
