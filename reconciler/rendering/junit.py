"""Diagnostics and changes → JUnit XML, which nearly every CI system shows as a table of tests.

An error is a failed test. A warning and a planned change are passed ones, with their text as output.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from reconciler.model import Diagnostic, Plan, Severity
from reconciler.rendering import plan_words as words
from reconciler.rendering.text import place, printable

_Case = tuple[str, str, str, bool]


def render_junit(diagnostics: Iterable[Diagnostic], *, suite: str, plan: Plan | None = None) -> str:
    """One suite. `plan`: its changes are cases too."""
    cases = [_of_diagnostic(diagnostic) for diagnostic in diagnostics]
    cases += _of_changes(plan) if plan is not None else []
    cases = cases or [(suite, "no findings", "", False)]
    failures = sum(is_failure for *_, is_failure in cases)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="0" skipped="0"'
    body = "\n".join(_case(case) for case in cases)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="reconcile" {counts}>\n'
        f"<testsuite name={quoteattr(f'reconcile {suite}')} {counts}>\n"
        f"{body}\n</testsuite>\n</testsuites>\n"
    )


def _of_diagnostic(diagnostic: Diagnostic) -> _Case:
    has_place = diagnostic.position is not None and diagnostic.position.line
    where = f"{place(diagnostic.position)}: " if diagnostic.position is not None and has_place else ""
    hint = f"\n{printable(diagnostic.hint)}" if diagnostic.hint else ""
    hint += f"\nallowed: {printable(diagnostic.allowed.reason)}" if diagnostic.allowed is not None else ""
    message = f"{where}{printable(diagnostic.message)}"
    return diagnostic.code, message, message + hint, diagnostic.severity is Severity.ERROR


def _of_changes(plan: Plan) -> list[_Case]:
    found = []
    for change in plan.changes:
        rows, hidden = words.rows(change)
        lines = [f"{row.path}  {row.difference}  {row.impact} {row.where}".rstrip() for row in rows]
        lines += [f"and {hidden} at the default"] if hidden else []
        name = f"{change.action.name.lower()} {words.title(change)}"
        found.append(("change", name, "\n".join(lines), False))
    return found


def _case(case: _Case) -> str:
    group, name, text, is_failure = case
    head = f"<testcase classname={quoteattr(f'reconcile.{group}')} name={_attribute(name)}"
    if is_failure:
        return f"{head}><failure message={_attribute(name)}>{escape(text)}</failure></testcase>"
    return f"{head}><system-out>{escape(text)}</system-out></testcase>" if text else f"{head}/>"


def _attribute(text: str) -> str:
    return quoteattr(text.replace("\n", " "))
