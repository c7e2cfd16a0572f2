"""What an apply tells while it goes on → JSON objects, one a line with `--format ndjson`.

Each has `event` and `time`. `plan` (the plan as `plan --format json` gives it) comes first, then `begun`, a `step`
each time that something became of a change or a service, `rolling back` at most once, and `finished` with the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.applying.events import Begun, Event, RollingBack, Step
from reconciler.model import Report, StepResult

FORMAT = "reconciler/events/v1"


def plan_event(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What is about to be done, or would be; `plan` as `plan --format json` gives it."""
    return {**_head("plan"), "format": FORMAT, "plan": plan}


def event_json(event: Event) -> dict[str, Any]:
    """One event on the way."""
    match event:
        case Begun(apply_id=apply_id, changes=changes, services=services):
            return {**_head("begun"), "applyId": apply_id, "changes": changes, "services": services}
        case Step(result=result, done=done, total=total):
            return {**_head("step"), **step_json(result), "done": done, "total": total}
        case RollingBack(reason=reason):
            return {**_head("rolling back"), "reason": reason}


def finished_event(report: Report) -> dict[str, Any]:
    """How it ended."""
    return {**_head("finished"), **report_json(report)}


def report_json(report: Report) -> dict[str, Any]:
    """The report as data."""
    return {
        "applyId": report.apply_id,
        "environment": report.environment,
        "success": report.is_success,
        "error": report.error,
        "counts": dict(Counter(step.outcome.value for step in report.steps)),
        "steps": [step_json(step) for step in report.steps],
    }


def step_json(step: StepResult) -> dict[str, Any]:
    """One line of a report."""
    return {"subject": step.subject, "outcome": step.outcome.value, "detail": step.detail}


def _head(event: str) -> dict[str, str]:
    return {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
