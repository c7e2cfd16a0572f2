"""What a pull request does to exceptions: a finding that loses its excuse is the pull request's."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.guardrails.guard import Guard
from reconciler.model import Severity
from reconciler.review.compose import title
from reconciler.review.model import Findings
from reconciler.review.renderings import as_diagnostics, render_text
from tests.guardrails.builders import waiver
from tests.review.repositories import ESTATE, IMAP, POLICY, Clone, mailbox

WAIVERS = "estate/policies/waivers.yaml"
WAIVER = waiver(policy="few-connections")
MANY = {**ESTATE, "estate/imap.yaml": IMAP.replace("16", "500")}


def new(found: Findings) -> list[str]:
    return [finding.policy for finding in found.new]


def test_a_finding_whose_waiver_is_taken_away_is_new(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**MANY, WAIVERS: WAIVER})
    clone.branch()
    clone.commit(without=(WAIVERS,))
    review = clone.review()
    found = review.comparisons[0].findings
    assert new(found) == ["few-connections"]
    assert found.is_blocking
    assert review.is_refused


@pytest.mark.parametrize(
    "other",
    [
        waiver(policy="few-connections", resource="ImapSettings/ex02"),
        waiver(policy="few-connections", expires="2025-12-31"),
    ],
)
def test_a_finding_that_its_waiver_no_longer_covers_is_new(tmp_path: Path, other: str) -> None:
    clone = Clone(tmp_path, {**MANY, WAIVERS: WAIVER})
    clone.branch()
    clone.commit({WAIVERS: other})
    assert new(clone.compare().findings) == ["few-connections"]


def test_a_waiver_that_moves_excuses_as_before(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**MANY, WAIVERS: WAIVER})
    clone.branch()
    clone.commit({"estate/policies/exceptions.yaml": WAIVER}, without=(WAIVERS,))
    found = clone.compare().findings
    assert (new(found), [one.policy for one in found.waived]) == ([], ["few-connections"])


def test_a_waiver_that_had_ended_before_makes_nothing_new(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**MANY, WAIVERS: waiver(policy="few-connections", expires="2025-12-31")})
    clone.branch()
    clone.commit(without=(WAIVERS,))
    found = clone.compare().findings
    assert new(found) == []
    assert "few-connections" in {one.policy for one in found.remaining}


def test_a_waiver_that_comes_fixes_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path, MANY)
    clone.branch()
    clone.commit({WAIVERS: WAIVER})
    found = clone.compare().findings
    assert (found.fixed, [one.policy for one in found.waived]) == ((), ["few-connections"])


def test_a_waiver_beside_policies_that_the_run_names_holds_for_both_sides(tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    (named / "waiver.yaml").write_text(WAIVER, encoding="utf-8")
    clone = Clone(tmp_path / "clone", MANY)
    clone.branch()
    clone.replace("estate/imap.yaml", "500", "600")
    found = clone.compare(guard=Guard((str(named),))).findings
    assert (found.new, found.remaining) == ((), ())


def test_a_finding_whose_allowance_is_taken_away_is_new(tmp_path: Path) -> None:
    allowed = "{name: imap, annotations: {reconciler/allow: 'few-connections: a test of load'}}"
    text = MANY["estate/imap.yaml"].replace("{name: imap}", allowed)
    policy = POLICY.replace("severity: error", "severity: warning")
    clone = Clone(tmp_path, {**MANY, "estate/imap.yaml": text, "estate/policies/connections.yaml": policy})
    clone.branch()
    clone.replace("estate/imap.yaml", allowed, "{name: imap}")
    (finding,) = clone.compare().findings.new
    assert (finding.policy, finding.diagnostic.severity) == ("few-connections", Severity.WARNING)


def test_an_error_that_is_waived_now_is_told_first(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({"estate/imap.yaml": MANY["estate/imap.yaml"], WAIVERS: WAIVER})
    review = clone.review()
    assert "1 guardrail error waived" in title(review)
    first = render_text(review).partition("Look at these first (2)\n")[2].splitlines()[0]
    assert "500 connections of one user" in first
    assert "waived until 2026-12-31" in first
    assert any("; waived until" in one.message for one in as_diagnostics(review))


def test_an_error_that_was_waived_before_is_not(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**MANY, WAIVERS: WAIVER})
    clone.branch()
    clone.commit({"estate/mailboxes.yaml": mailbox("alice") + "---\n" + mailbox("bob")})
    review = clone.review()
    assert review.comparisons[0].findings.waived
    assert "waived" not in title(review)
