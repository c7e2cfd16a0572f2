"""Policies → Markdown: a table and one section a rule, as docs/guardrails.md shows the shipped ones."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.guardrails.policy import Match, Policy


def reference(policies: Iterable[Policy]) -> str:
    """The table, then the sections, by id. The heading of a section is the id, so that it is the anchor too."""
    rows = sorted(policies, key=lambda policy: policy.id)
    table = ["| rule | severity | tells of |", "|---|---|---|"]
    table += [f"| [{one.id}](#{one.id}) | {one.severity} | {one.title} |" for one in rows]
    return "\n".join(table) + "\n\n" + "\n".join(_section(one) for one in rows)


def _section(policy: Policy) -> str:
    parts = [
        f"### {policy.id}",
        f"{policy.title}. Severity **{policy.severity}**, {_looks_at(policy.match)}.",
        policy.fact,
        f"How to go on: {policy.remedy}." if policy.remedy else None,
        "\n".join(["```cel", *_conditions(policy), "```"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _conditions(policy: Policy) -> list[str]:
    when = [f"// asked when\n{policy.when.text.strip()}", "// must be true"] if policy.when else []
    return [*when, policy.require.text.strip()]


def _looks_at(match: Match) -> str:
    kinds = f" of kind {' or '.join(match.kinds)}" if match.kinds else ""
    labels = ", ".join(f"{label}: {value}" for label, value in match.labels)
    return f"for each {match.scope}{kinds}" + (f" with the label {labels}" if labels else "")
