"""Status, drift and report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.model import LiveState, Outcome, Report, StepResult
from reconciler.rendering.drift_text import drifted, render_drift_text
from reconciler.rendering.report_text import render_report_text
from reconciler.rendering.status_text import render_status_text
from tests.rendering.golden import assert_golden
from tests.rendering.values import empty_plan, every_plan, observed, patched_plan, plan

NOW = datetime(2026, 1, 6, 8, tzinfo=UTC)
STATUS: dict[str, Any] = {
    "runtime": {
        "pid": 4711,
        "instance": "b1",
        "version": "0.1.0",
        "startedAt": "2026-01-05T08:00:00Z",
        "state": "running",
    },
    "servers": [
        {
            "name": "ex01",
            "hosts": [
                {"role": "frontend", "pid": 4712, "state": "running", "restarts": 0},
                {"role": "backend", "pid": 4713, "state": "running", "restarts": 2},
            ],
            "services": [
                {
                    "id": "ex01/imap4",
                    "service": "imap4",
                    "startupType": "Automatic",
                    "state": "running",
                    "generation": 3,
                    "pid": 4712,
                    "listening": [
                        {"address": "127.0.0.1:10143", "tls": "starttls", "purpose": "imap4"},
                        {"address": "127.0.0.1:10993", "tls": "implicit", "purpose": "imap4"},
                    ],
                    "sessions": 41,
                    "drainingSessions": 2,
                    "pending": {
                        "action": "restart",
                        "impact": "restart",
                        "causes": [
                            {"kind": "ImapSettings", "name": "ex01", "fields": ["maxConnectionsPerUser"]}
                        ],
                    },
                    "lastError": None,
                },
                {
                    "id": "ex01/pop3",
                    "service": "pop3",
                    "startupType": "Manual",
                    "state": "stopped",
                    "generation": 0,
                    "pid": None,
                    "listening": [],
                    "sessions": 0,
                    "drainingSessions": 0,
                    "pending": None,
                    "lastError": "127.0.0.1:110 is in use\x1b[2J",
                },
            ],
            "certificates": [
                {
                    "name": "mail",
                    "services": ["IMAP", "POP", "SMTP"],
                    "error": None,
                    "file": "/state/mail.crt",
                    "thumbprint": "ab" * 32,
                    "notAfter": "2031-01-04T08:00:00Z",
                    "subjectAlternativeNames": ["ex01.contoso.example"],
                }
            ],
        }
    ],
    "sessions": 41,
    "pendingRestarts": ["ex01/imap4"],
}


def test_status() -> None:
    assert_golden("status.txt", render_status_text(STATUS, now=NOW, colour=False, width=120))


def test_status_without_a_width_cuts_nothing() -> None:
    shown = render_status_text(STATUS, now=NOW, colour=False, width=None)
    assert "127.0.0.1:10143 starttls, 127.0.0.1:10993 implicit\n" in shown
    assert "..." not in shown


def test_status_of_an_empty_runtime() -> None:
    runtime = {"runtime": {"pid": 1, "version": "0.1.0", "state": "running"}, "servers": [], "sessions": 0}
    shown = render_status_text(runtime, now=NOW, colour=False, width=100)
    assert shown == "Runtime running: pid 1, version 0.1.0, 0 sessions\n\nNo server is configured.\n"


def test_status_escapes_control_characters() -> None:
    assert "\x1b" not in render_status_text(STATUS, now=NOW, colour=False, width=120)


def status_with(**certificate: Any) -> dict[str, Any]:
    known = {"name": "mail", "services": ["IMAP"], "subjectAlternativeNames": ["ex01.contoso.example"]}
    return {"servers": [{"name": "ex01", "certificates": [{**known, **certificate}]}]}


@pytest.mark.parametrize(
    ("end", "style", "said"),
    [
        ("2026-02-05T07:59:59Z", "33", "(29 days left)"),
        ("2026-01-06T09:00:00Z", "33", "(0 days left)"),
        ("2026-01-06T08:00:00Z", "31", "(ended)"),
    ],
)
def test_a_certificate_that_ends_soon_stands_out(end: str, style: str, said: str) -> None:
    status = status_with(notAfter=end)
    line = f"ex01/mail  until {end} {said}  IMAP  ex01.contoso.example"
    assert f"  {line}\n" in render_status_text(status, now=NOW, colour=False, width=None)
    assert f"\x1b[{style}m  {line}\x1b[0m" in render_status_text(status, now=NOW, colour=True, width=None)


def test_a_certificate_that_ends_later_does_not() -> None:
    end = "2026-02-05T08:00:01Z"
    shown = render_status_text(status_with(notAfter=end), now=NOW, colour=True, width=None)
    assert f"\n  ex01/mail  until {end}  IMAP" in shown


def test_a_certificate_that_cannot_be_read_says_why() -> None:
    status = status_with(notAfter=None, error="no such file\x1b")
    shown = render_status_text(status, now=NOW, colour=False, width=None)
    assert "ex01/mail  until -  IMAP  ex01.contoso.example\n      error: no such file\\x1b\n" in shown


def test_drift() -> None:
    assert_golden("drift.txt", render_drift_text(plan(), observed(), colour=False, width=100))


def test_drift_of_the_rest() -> None:
    """What is renamed is pending, what is not declared is listed."""
    assert_golden(
        "drift-every.txt",
        render_drift_text(every_plan(), LiveState({}, {}), colour=False, width=100),
    )


def test_drift_in_another_file_than_the_resource_names_that_file() -> None:
    shown = render_drift_text(patched_plan(), LiveState({}, {}), colour=False, width=100)
    assert "declared  32  (overlays/test/imap.yaml:22)\n" in shown


def test_a_report_names_its_environment() -> None:
    report = Report("a1", (), environment="production")
    assert render_report_text(report, colour=False) == "Applied (production, a1): nothing to do.\n"


def test_a_pending_name_alone_is_no_drift() -> None:
    (renamed,) = (change for change in every_plan().changes if change.renamed_from)
    pending = replace(empty_plan(), changes=(renamed,))
    assert drifted(pending) == ()
    shown = render_drift_text(pending, LiveState({}, {}), colour=False, width=100)
    assert shown.endswith("No drift; 1 change pending.\n")


def test_no_drift() -> None:
    shown = render_drift_text(empty_plan(), LiveState({}, {}), colour=False, width=100)
    assert shown == "No drift: live is what is declared.\n"


def test_report_of_success() -> None:
    steps = (
        StepResult("ImapSettings/ex01", Outcome.APPLIED, "revision 12"),
        StepResult("ex01/imap4", Outcome.APPLIED, "generation 4, probe: logon in 12 ms"),
    )
    assert_golden("report.txt", render_report_text(Report("a1b2", steps), colour=False))


def test_report_of_failure() -> None:
    steps = (
        StepResult("ImapSettings/ex01", Outcome.ROLLED_BACK),
        StepResult("ex01/imap4", Outcome.FAILED, "the probe failed: no greeting"),
        StepResult("ex01/imap4-backend", Outcome.NOT_REACHED),
    )
    report = Report("a1b2", steps, error="ex01/imap4: the probe failed; the previous values are back")
    assert_golden("report-failed.txt", render_report_text(report, colour=False))


def test_what_was_not_reached_is_folded_and_counted() -> None:
    steps = (
        StepResult("Mailbox/user000", Outcome.FAILED, "no"),
        *(StepResult(f"Mailbox/user{number:03}", Outcome.NOT_REACHED) for number in range(1, 316)),
        StepResult("ex01/imap4", Outcome.ROLLED_BACK),
    )
    shown = render_report_text(Report("a1b2", steps, error="it failed"), colour=False).splitlines()
    assert sum("Mailbox/user" in line for line in shown) == 6
    assert "  … and 310 more not reached" in shown
    assert "  rolled back  ex01/imap4" in [line.rstrip() for line in shown]
    assert "315 not reached" in shown[-1]


def test_an_error_that_a_step_tells_is_told_once() -> None:
    detail = "the probe failed: no greeting; with the previous values again: logged on"
    report = Report(
        "a1b2",
        (StepResult("ex01/imap4", Outcome.FAILED, detail),),
        error="ex01/imap4: the probe failed: no greeting",
    )
    shown = render_report_text(report, colour=False)
    assert shown.count("no greeting") == 1
    assert "see below; with the previous values again: logged on" in shown


def test_report_of_nothing() -> None:
    assert render_report_text(Report("a1b2", ()), colour=False) == "Applied (a1b2): nothing to do.\n"
