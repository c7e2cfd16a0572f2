"""Guardrail findings → data, as they stand under "guardrails" in a plan's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model import Diagnostic
from reconciler.rendering.plan_json import position_json
from reconciler.rendering.text import printable
from reconciler.verdict import Finding, Verdict

if TYPE_CHECKING:
    from pydantic import JsonValue


def guardrails_json(verdict: Verdict) -> list[JsonValue]:
    """Every finding, waived ones too, then what is wrong with policies and waivers."""
    return [*map(_finding, verdict.findings), *map(_problem, verdict.problems)]


def waived_text(verdict: Verdict) -> str:
    """One line for each finding that a waiver lets through; empty text for none."""
    return "\n".join(
        printable(
            f"waived until {found.waiver.expires}: {found.policy}, {found.subject}: {found.waiver.reason}"
        )
        for found in verdict.findings
        if found.waiver is not None
    )


def _finding(found: Finding) -> JsonValue:
    waiver = found.waiver
    waived: JsonValue = None
    if waiver is not None:
        waived = {
            "resource": waiver.resource,
            "reason": waiver.reason,
            "expires": str(waiver.expires),
            "position": position_json(waiver.position),
        }
    return {
        **_diagnostic(found.diagnostic),
        "policy": found.policy,
        "subject": found.subject,
        "docs": found.docs,
        "waived": waived,
    }


def _problem(diagnostic: Diagnostic) -> JsonValue:
    nothing: dict[str, JsonValue] = dict.fromkeys(("policy", "subject", "docs", "waived"))
    return {**_diagnostic(diagnostic), **nothing}


def _diagnostic(diagnostic: Diagnostic) -> dict[str, JsonValue]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "allowed": diagnostic.allowed.reason if diagnostic.allowed is not None else None,
        "position": position_json(diagnostic.position),
    }
