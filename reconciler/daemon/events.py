"""A notice as an event: a name, a level, one sentence, and data for machines. Values of fields and secrets are no part
of it; what changed is named by resource and field. Used by the log and the webhook.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, Literal

from reconciler.daemon import notices
from reconciler.declared.rules import causes_first
from reconciler.model import Change, Diagnostic, Key, Plan, Report, ServiceImpact, Severity

Level = Literal["info", "warning", "error"]

#: So many changes, services or diagnostics are listed in one event; the counts are always of all.
MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Event:
    """`is_news`: worth a message to people, so it goes to the webhook."""

    name: str
    level: Level
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    is_news: bool = True


@singledispatch
def event_of(notice: object) -> Event | None:
    """The event of a notice; None when there is nothing to say."""
    raise TypeError(f"a notice of an unknown kind: {notice!r}")


@event_of.register
def _(notice: notices.Found) -> Event:
    plan, drifted = notice.plan, notice.drifted
    pending = len(plan.changes) - len(drifted)
    what = [
        *_counted(len(drifted), "resource drifted", "resources drifted"),
        *_counted(pending, "change of the files is pending", "changes of the files are pending"),
        *_counted(
            len(plan.owed), "service waits for its configuration", "services wait for their configuration"
        ),
        *_counted(len(plan.held_changes), "held resource differs", "held resources differ"),
        *_counted(len(plan.unreadable), "resource cannot be read", "resources cannot be read"),
    ]
    subjects = [str(change.key) for change in plan.changes] or [impact.service for impact in plan.owed]
    text = f"{'; '.join(what)}: {_some(subjects)}" if subjects else "; ".join(what)
    data = {**_plan(plan, drifted), "quick": notice.is_quick}
    if notice.is_quick:
        data["configuration"] = None
    return Event("plan", "warning" if drifted else "info", text, data)


@event_of.register
def _(notice: notices.Unchanged) -> Event:
    held = [str(key) for key in notice.held]
    apart = f", but for what is held and differs: {_some(held)}" if held else ""
    data = {"held": held[:MOST_LISTED]} if held else {}
    return Event("in-sync", "info", f"Live is what the files declare{apart}.", data)


@event_of.register
def _(notice: notices.Broken) -> Event:
    causes = causes_first(notice.diagnostics)
    first = causes[0]
    where = f"{first.position}: " if first.position and first.position.line else ""
    kept = (
        "the last good configuration stays" if notice.has_last_good else "there is no good configuration yet"
    )
    count = len(notice.diagnostics)
    text = f"The files are broken ({count} {'problem' if count == 1 else 'problems'}), {kept}: {where}{first.message}"
    listed = [_diagnostic(one) for one in causes[:MOST_LISTED]]
    return Event("configuration-broken", "error", text, {"diagnostics": listed, "count": count})


@event_of.register
def _(notice: notices.Mended) -> Event:  # noqa: ARG001 - singledispatch goes by the parameter's type
    return Event("configuration-mended", "info", "The files are good again, and in use.")


@event_of.register
def _(notice: notices.Warned) -> Event:
    text = f"The files can be applied, with warnings: {_some([one.message for one in notice.diagnostics], 3)}"
    listed = [_diagnostic(one) for one in notice.diagnostics[:MOST_LISTED]]
    data = {"diagnostics": listed, "count": len(notice.diagnostics)}
    return Event("warnings", "warning", text, data, is_news=False)


@event_of.register
def _(notice: notices.Applying) -> Event:
    subjects = [str(change.key) for change in notice.plan.changes] or [o.service for o in notice.plan.owed]
    return Event(
        "applying", "info", f"Applying {_some(subjects)}", _plan(notice.plan, frozenset()), is_news=False
    )


@event_of.register
def _(notice: notices.Applied) -> Event:
    report = notice.report
    subjects = _some([step.subject for step in report.steps])
    data = {**_report(report), "drifted": sorted(map(str, notice.drifted))}
    if report.is_success:
        return Event("applied", "info", f"Applied {subjects}", data)
    return Event("apply-failed", "error", f"Applying {subjects} failed: {report.error}", data)


@event_of.register
def _(notice: notices.Recovered) -> Event:
    became = "; it was finished" if notice.report.is_success else f": {notice.report.error}"
    text = f"An apply had been left unfinished{became}"
    return Event("recovered", "warning", text, _report(notice.report))


@event_of.register
def _(notice: notices.Failed) -> Event:
    again = "at the next change" if notice.retry_in is None else f"in {notice.retry_in:g} seconds"
    text = f"{notice.error} ({'the end' if notice.is_last else f'tried again {again}'})"
    data: dict[str, Any] = {"error": notice.error, "retryIn": notice.retry_in}
    if notice.trace:
        data["traceback"] = notice.trace
    return Event("failed", "error", text, data)


@event_of.register
def _(notice: notices.LeftAlone) -> Event:
    listed = [
        f"{subject or 'the configuration'}: {reason}" for subject, reason in sorted(notice.reasons.items())
    ]
    text = f"Left alone: {_some(listed)}"
    return Event("left-alone", "warning", text, {"reasons": dict(notice.reasons)}, is_news=False)


@event_of.register
def _(notice: notices.Flapping) -> Event:
    text = (
        f"{notice.key} was healed {notice.times} times within {notice.minutes:g} minutes and is left alone from now "
        f"on: somebody or something changes it again. Find out who, then `reconcile daemon --release {notice.key}`"
    )
    return Event("flapping", "error", text, {"resource": str(notice.key), "times": notice.times})


@event_of.register
def _(notice: notices.Blocked) -> Event:
    errors = [one for one in notice.diagnostics if one.severity is Severity.ERROR]
    text = f"{notice.why}, nothing is applied: {_some([one.message for one in errors], 3)}"
    listed = [_diagnostic(one) for one in notice.diagnostics[:MOST_LISTED]]
    return Event("blocked", "error", text, {"diagnostics": listed, "count": len(notice.diagnostics)})


@event_of.register
def _(notice: notices.Barred) -> Event:
    text = (
        f"The configuration {notice.digest[:12]} was rolled back and is not applied again until the files change: "
        f"{notice.error}"
    )
    return Event(
        "configuration-barred", "error", text, {"configuration": notice.digest, "error": notice.error}
    )


@event_of.register
def _(notice: notices.Released) -> Event:
    text = f"Released {_some(notice.subjects)}" if notice.subjects else "Nothing of that name was left alone"
    return Event("released", "info", text, {"subjects": list(notice.subjects)}, is_news=False)


@event_of.register
def _(notice: notices.Revision) -> Event:
    text = f"{notice.reference} is at {notice.commit[:12]}"
    return Event(
        "revision", "info", text, {"reference": notice.reference, "commit": notice.commit}, is_news=False
    )


@event_of.register
def _(notice: notices.Fetched) -> Event | None:
    """Said only when it did not work before."""
    if not notice.failures:
        return None
    failures = "a failure" if notice.failures == 1 else f"{notice.failures} failures"
    text = f"git fetch {notice.remote} works again, after {failures}"
    return Event("fetched", "info", text, {"failures": notice.failures})


@event_of.register
def _(notice: notices.FetchFailed) -> Event:
    text = f"{notice.error}; what was fetched before stays in use, tried again in {notice.retry_in:g} seconds"
    data = {"error": notice.error, "times": notice.times}
    return Event("fetch-failed", "warning", text, data, is_news=notice.times == 1)


@event_of.register
def _(notice: notices.Standby) -> Event:
    text = f"Another daemon works on this state ({notice.holder}); standing by"
    return Event("standby", "info", text, {"holder": notice.holder}, is_news=False)


@event_of.register
def _(notice: notices.Leading) -> Event:
    after = f", after {notice.after}" if notice.after else ""
    return Event(
        "leading",
        "info",
        f"This daemon works on this state now{after}",
        {"token": notice.token},
        is_news=False,
    )


@event_of.register
def _(notice: notices.LeaseLost) -> Event:
    return Event("lease-lost", "error", notice.error)


@event_of.register
def _(notice: notices.RoundEnded) -> None:  # noqa: ARG001 - singledispatch goes by the parameter's type
    return None


@event_of.register
def _(notice: notices.Stopping) -> Event:  # noqa: ARG001 - singledispatch goes by the parameter's type
    return Event("stopping", "info", "Stopping", is_news=False)


def _plan(plan: Plan, drifted: frozenset[Key]) -> dict[str, Any]:
    impacts = (*plan.impacts, *plan.owed)
    return {
        "configuration": plan.configuration_digest,
        "counts": {
            "changes": len(plan.changes),
            "drifted": len(drifted),
            "services": len(impacts),
            "unreadable": len(plan.unreadable),
            "uncompared": len(plan.uncompared),
            "undeclared": len(plan.undeclared),
        },
        "changes": [_change(change, is_drift=change.key in drifted) for change in plan.changes[:MOST_LISTED]],
        "services": [_impact(impact) for impact in impacts[:MOST_LISTED]],
    }


def _change(change: Change, *, is_drift: bool) -> dict[str, Any]:
    return {
        "resource": str(change.key),
        "action": change.action.name.lower(),
        "fields": [one.path for one in change.fields],
        "drift": is_drift,
        "declaredAt": str(change.position) if change.position else None,
    }


def _impact(impact: ServiceImpact) -> dict[str, Any]:
    return {"service": impact.service, "action": impact.action.value, "sessions": impact.sessions}


def _report(report: Report) -> dict[str, Any]:
    steps = [{"subject": one.subject, "outcome": one.outcome.value} for one in report.steps[:MOST_LISTED]]
    return {"applyId": report.apply_id, "success": report.is_success, "error": report.error, "steps": steps}


def _diagnostic(one: Diagnostic) -> dict[str, Any]:
    where = str(one.position) if one.position and one.position.line else None
    return {"code": one.code, "severity": one.severity.value, "message": one.message, "at": where}


def _counted(count: int, one: str, many: str) -> list[str]:
    return [f"{count} {one if count == 1 else many}"] if count else []


def _some(subjects: Iterable[str], most: int = 5) -> str:
    found = list(subjects)
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest
