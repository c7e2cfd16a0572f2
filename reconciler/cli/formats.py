"""`--format` of plans and diagnostics: which renderer stands behind each word."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from reconciler.cli.common import print_json, print_line, print_text, terminal_width, uses_colour
from reconciler.model import Diagnostic, Plan
from reconciler.rendering.guardrails_json import guardrails_json
from reconciler.rendering.plan_json import plan_json
from reconciler.rendering.plan_text import render_plan_text
from reconciler.verdict import Judged

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

#: Formats that list findings, one at a place: plans and diagnostics have them both.
FINDINGS = ("junit", "sarif", "github")
PLAN_FORMATS = ("text", "json", "markdown", "html", *FINDINGS)
DIAGNOSTIC_FORMATS = ("text", "json", *FINDINGS)


def _option(words: Iterable[str]) -> Callable[[CommandT], CommandT]:
    return click.option(
        "--format",
        "output",
        type=click.Choice(list(words)),
        default="text",
        show_default=True,
        help="For people, for programs, or for a CI system.",
    )


plan_format_option = _option(PLAN_FORMATS)
diagnostics_format_option = _option(DIAGNOSTIC_FORMATS)


def print_judged(plan: Plan, judged: Judged, output: str, diagnostics: Iterable[Diagnostic] = ()) -> None:
    """The plan with what guardrails say of it, for people or for programs; also as an event of an apply ("ndjson")."""
    if output == "json":
        print_json(_judged_json(plan, judged))
    elif output == "ndjson":
        from reconciler.rendering.events_json import plan_event

        print_line(plan_event(_judged_json(plan, judged)))
    else:
        print_rendered(plan, output, (*diagnostics, *judged.verdict.diagnostics))


def _judged_json(plan: Plan, judged: Judged) -> dict[str, Any]:
    return {**plan_json(plan), "guardrails": guardrails_json(judged.verdict)}


def print_rendered(plan: Plan, output: str, diagnostics: Iterable[Diagnostic] = ()) -> None:
    """The plan on standard output. `diagnostics` go into the formats that list findings."""
    match output:
        case "text":
            print_text(render_plan_text(plan, colour=uses_colour(), width=terminal_width()))
        case "json":
            print_json(plan_json(plan))
        case "markdown":
            from reconciler.rendering.plan_markdown import render_plan_markdown

            print_text(render_plan_markdown(plan))
        case "html":
            from reconciler.rendering.plan_html import render_plan_html

            print_text(render_plan_html(plan))
        case _:
            from reconciler.rendering.plan_risks import plan_risks

            print_findings((*diagnostics, *plan_risks(plan)), output, what="plan", plan=plan)


def print_findings(
    diagnostics: Iterable[Diagnostic], output: str, *, what: str, plan: Plan | None = None
) -> None:
    """In one of the formats of `FINDINGS`. `plan`: its changes are listed too, where the format has a place."""
    match output:
        case "sarif":
            from reconciler.rendering.plan_risks import RULES
            from reconciler.rendering.sarif import sarif

            print_json(sarif(diagnostics, about=RULES))
        case "junit":
            from reconciler.rendering.junit import render_junit

            print_text(render_junit(diagnostics, suite=what, plan=plan))
        case _:
            from reconciler.rendering.github import render_github

            if text := render_github(diagnostics):
                print_text(text)
