"""A review → a comment in Markdown, text for a terminal, JSON, or diagnostics that become annotations.

Equal reviews give equal bytes. The comment stays below the limit of GitHub's comments, begins with a hidden marker, so
that a bot finds the one to update, and ends with what it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import JsonValue

from reconciler.model import Diagnostic, Severity
from reconciler.rendering.diagnostics import diagnostics_json
from reconciler.rendering.plan_json import ACTIONS, plan_json, position_json
from reconciler.rendering.text import printable
from reconciler.review.compose import Style, sections, title
from reconciler.review.difference import Concern
from reconciler.review.markup import code, marker, size
from reconciler.review.model import Comparison, Review, Side
from reconciler.review.sections import Section, fit
from reconciler.verdict import Finding

FORMAT = "reconciler/review/v1"
LIMIT = 65_535  # GitHub refuses 65,536 characters; GitLab and Gitea take more

_MARKDOWN = Style(
    code=code,
    strong=lambda text: f"**{text}**",
    heading=lambda text: f"\n#### {text}\n\n",
    environment=lambda text: f"\n### Environment {text}\n",
    fold=lambda text: f"\n<details><summary>{text}</summary>\n\n",
    end_fold="\n</details>\n",
)
_TEXT = Style(
    code=printable,
    strong=lambda text: text,
    heading=lambda text: f"\n{text}\n",
    environment=lambda text: f"\nEnvironment {text}\n",
    fold=lambda text: f"\n{text}\n",
    end_fold="",
)


def render_markdown(review: Review, *, name: str, limit: int = LIMIT) -> str:
    """The comment, at most `limit` bytes of UTF-8. `name` goes into the marker. Raises ValueError for a bad one."""
    first = marker(name)
    opening = f"{first}\n### Mail review: {title(review)}\n\n{_line(review, _MARKDOWN)}\n"
    room = limit - size(opening) - size(_footer(review, "0" * 64))
    body = opening + fit(_groups(review, _MARKDOWN), limit=room)
    return body + _footer(review, hashlib.sha256(body.encode(errors="replace")).hexdigest())


def render_text(review: Review) -> str:
    """The same, whole, for a terminal."""
    opening = f"Review: {title(review)}\n{_line(review, _TEXT)}\n"
    groups = _groups(review, _TEXT)
    return opening + "".join(section.render(len(section.items)) for group in groups for section in group)


def review_json(review: Review) -> dict[str, JsonValue]:
    """The review as data."""
    return {
        "format": FORMAT,
        "directory": review.directory,
        "base": {"revision": review.base, "commit": review.base_commit},
        "head": {"revision": review.head, "commit": review.head_commit},
        "isChanged": review.is_changed,
        "isRefused": review.is_refused,
        "changedPolicyFiles": list(review.guarding),
        "environments": [_comparison_json(comparison) for comparison in review.comparisons],
    }


def as_diagnostics(review: Review) -> tuple[Diagnostic, ...]:
    """Errors and findings at their lines, and a warning for what to look at first. What was there before is no error of
    this change."""
    return tuple(found for comparison in review.comparisons for found in _annotations(comparison))


def _line(review: Review, style: Style) -> str:
    base, head = style.code(review.base), style.code(review.head)
    return (
        f"{style.code(review.directory)}: {head} ({review.head_commit[:12]}) against where it left {base} "
        f"({review.base_commit[:12]})"
    )


def _groups(review: Review, style: Style) -> list[Sequence[Section]]:
    groups: list[Sequence[Section]] = []
    if review.guarding:
        heading = style.heading(f"Policies change ({len(review.guarding):,}); this review follows head's")
        groups.append(
            [Section(heading, [f"- {style.code(name)}\n" for name in review.guarding], noun="file")]
        )
    return [*groups, *(sections(comparison, style) for comparison in review.comparisons)]


def _footer(review: Review, content: str) -> str:
    rows = [f"base {code(review.base_commit)}", f"head {code(review.head_commit)}"]
    for comparison in review.comparisons:
        of = f" of {code(comparison.environment)}" if comparison.environment is not None else ""
        rows.append(f"configuration{of} {code(comparison.head.digest or 'none')}")
    return f"\n---\n<sub>{' · '.join([*rows, f'content {code(content)}'])}</sub>\n"


def _comparison_json(comparison: Comparison) -> dict[str, JsonValue]:
    found = comparison.findings
    return {
        "environment": comparison.environment,
        "base": _side_json(comparison.base),
        "head": _side_json(comparison.head),
        "plan": plan_json(comparison.plan) if comparison.plan is not None else None,
        "lookAtFirst": [_concern_json(concern) for concern in comparison.concerns],
        "guardrails": {
            "new": [_finding_json(one) for one in found.new],
            "remaining": [_finding_json(one) for one in found.remaining],
            "fixed": [_finding_json(one) for one in found.fixed],
            "waived": [_finding_json(one) for one in found.waived],
            "allowed": [_finding_json(one) for one in found.allowed],
            "problems": diagnostics_json(found.problems)["diagnostics"],
        },
        "live": plan_json(comparison.live) if comparison.live is not None else None,
    }


def _side_json(side: Side) -> dict[str, JsonValue]:
    return {
        "configurationDigest": side.digest,
        "diagnostics": diagnostics_json(side.diagnostics)["diagnostics"],
    }


def _concern_json(concern: Concern) -> dict[str, JsonValue]:
    common: dict[str, JsonValue] = {
        "kind": concern.key.kind,
        "name": concern.key.name,
        "action": ACTIONS[concern.action],
        "path": concern.path,
        "why": concern.why,
        "position": position_json(concern.position),
    }
    if concern.is_secret:
        return {**common, "secret": "changed"}
    return {**common, "old": concern.old, "new": concern.new}


def _finding_json(finding: Finding) -> dict[str, JsonValue]:
    found = finding.diagnostic
    return {
        "policy": finding.policy,
        "subject": finding.subject,
        "severity": found.severity.value,
        "message": found.message,
        "position": position_json(found.position),
        "docs": finding.docs,
        "allowed": found.allowed.reason if found.allowed is not None else None,
        "waivedUntil": str(finding.waiver.expires) if finding.waiver is not None else None,
    }


def _annotations(comparison: Comparison) -> Iterator[Diagnostic]:
    yield from comparison.head.diagnostics
    yield from comparison.findings.problems
    yield from (found.diagnostic for found in comparison.findings.new)
    yield from (_earlier(found.diagnostic) for found in comparison.findings.remaining)
    yield from map(_excused, comparison.findings.excused)
    for concern in comparison.concerns:
        words = f"{concern.path}: it {concern.why}" if concern.path else concern.why
        yield Diagnostic("look-at-first", Severity.WARNING, f"{concern.key} {words}", concern.position)


def _excused(finding: Finding) -> Diagnostic:
    found, waiver = finding.diagnostic, finding.waiver
    why = f" until {waiver.expires}: {waiver.reason}" if waiver else ""
    return replace(found, severity=Severity.WARNING, message=f"{found.message}; waived{why}")


def _earlier(found: Diagnostic) -> Diagnostic:
    message = f"{found.message}; this {found.severity} was there before"
    return replace(found, severity=Severity.WARNING, message=message)
