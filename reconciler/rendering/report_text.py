"""Report → text: what became of every change and every service, and what never ran."""

from __future__ import annotations

from collections import Counter

from reconciler.model import Outcome, Report, StepResult
from reconciler.rendering.text import Paint, pad, painter, printable, width

_STYLES = {
    Outcome.APPLIED: "green",
    Outcome.FAILED: "red",
    Outcome.SKIPPED: "dim",
    Outcome.NOT_REACHED: "yellow",
    Outcome.ROLLED_BACK: "yellow",
}
_WIDEST = max(len(outcome.value) for outcome in Outcome)
#: What was not reached is named up to so many: there is nothing to say of each.
_LISTED = 5


def render_report_text(report: Report, *, colour: bool) -> str:
    """The steps in order, then the error if there is one, then the counts."""
    paint = painter(colour=colour)
    not_reached = [step for step in report.steps if step.outcome is Outcome.NOT_REACHED]
    folded = frozenset(step.subject for step in not_reached[_LISTED:])
    steps = [step for step in report.steps if step.subject not in folded]
    column = max((width(printable(step.subject)) for step in steps), default=0)
    lines = [_step(_without_error(step, report.error), column, paint) for step in steps]
    if folded:
        lines.append(f"  … and {len(folded):,} more not reached")
    if report.error is not None:
        lines += ["", f"{paint('error:', 'red')} {printable(report.error)}"]
    return "\n".join([*lines, "", _summary(report, paint)]).lstrip("\n") + "\n"


def _without_error(step: StepResult, error: str | None) -> StepResult:
    """What the error says already is not said in its step too."""
    said = (error or "").removeprefix(f"{step.subject}: ")
    if not said or step.outcome is not Outcome.FAILED or not step.detail.startswith(said):
        return step
    return StepResult(step.subject, step.outcome, "see below" + step.detail.removeprefix(said))


def _step(step: StepResult, column: int, paint: Paint) -> str:
    outcome = paint(pad(step.outcome.value, _WIDEST), _STYLES[step.outcome])
    return f"  {outcome}  {pad(printable(step.subject), column)}  {printable(step.detail)}".rstrip()


def _summary(report: Report, paint: Paint) -> str:
    numbers = Counter(step.outcome for step in report.steps)
    counts = ", ".join(f"{numbers[outcome]} {outcome.value}" for outcome in Outcome if numbers[outcome])
    word = paint("Applied", "green") if report.is_success else paint("Not applied", "red")
    named = ", ".join(printable(name) for name in (report.environment, report.apply_id) if name)
    return f"{word} ({named}): {counts or 'nothing to do'}."
