"""Findings that the document they are about allows with a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.model import Allowance, Position, Resource
from reconciler.rendering.diagnostics import diagnostics_json, render_diagnostics_text
from reconciler.rendering.github import render_github
from reconciler.rendering.guardrails_json import guardrails_json
from reconciler.rendering.junit import render_junit
from reconciler.rendering.sarif import sarif
from reconciler.verdict import Verdict
from tests.guardrails.builders import FILE, codes, imap, judged, policies, policy, waiver

RULE = policy("false", severity="warning", match="{kinds: [ImapSettings]}")


def allowing(resource: Resource, rule: str = "rule") -> Resource:
    return replace(resource, allowed=(Allowance(rule, "it is meant", Position(FILE, 4, 7)),))


def allowed(directory: Path) -> Verdict:
    return judged(policies(directory, RULE), allowing(imap()))


def test_an_allowed_warning_is_told_with_its_reason(tmp_path: Path) -> None:
    (found,) = allowed(tmp_path).diagnostics
    assert found.allowed is not None
    assert found.allowed.reason == "it is meant"


def test_the_same_of_others_stands(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, RULE), allowing(imap("ex01")), imap("ex02"))
    assert [found.allowed is None for found in verdict.diagnostics] == [False, True]


def test_an_error_is_not_allowed_and_waivers_are_named(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, policy("false", match="{kinds: [ImapSettings]}")), allowing(imap()))
    assert verdict.is_blocking
    assert [found.diagnostic.allowed for found in verdict.findings] == [None]
    (problem,) = verdict.problems
    assert (problem.code, str(problem.position)) == ("allow", "estate.yaml:4:7")
    assert "rule is an error" in problem.message
    assert "Waiver" in str(problem.hint)


def test_an_unknown_rule_is_an_error(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, RULE), allowing(imap(), "rulle"))
    (problem,) = verdict.problems
    assert (problem.code, problem.hint, verdict.is_blocking) == ("allow", "did you mean rule?", True)


def test_a_shipped_rule_that_is_not_held_here_is_known(tmp_path: Path) -> None:
    assert codes(judged(policies(tmp_path, RULE), allowing(imap(), "banner-tells-too-much"))) == []


def test_one_that_allows_nothing_is_told(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("true", severity="warning"))
    verdict = judged(rules, allowing(imap()))
    assert (codes(verdict), verdict.is_blocking) == (["allow-unused"], False)


def test_one_document_of_two_servers_is_told_once(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("true", severity="warning"))
    assert codes(judged(rules, allowing(imap("ex01")), allowing(imap("ex02")))) == ["allow-unused"]


def test_one_for_changes_may_wait_for_them(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("false", severity="warning", match="{each: change}"))
    assert codes(judged(rules, allowing(imap()))) == []


def test_a_waiver_comes_first(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, RULE, waiver()), allowing(imap()))
    (found,) = verdict.findings
    assert (found.waiver is not None, found.diagnostic.allowed) == (True, None)


def test_every_rendering_shows_the_reason(tmp_path: Path) -> None:
    found = allowed(tmp_path).diagnostics
    text = render_diagnostics_text(found, {}, colour=False)
    assert "allowed: ImapSettings/ex01: broken" in text
    assert "= reason: it is meant" in text
    assert text.endswith("1 allowed in 1 file\n")
    assert diagnostics_json(found)["diagnostics"][0]["allowed"] == "it is meant"  # type: ignore[index,call-overload]
    assert guardrails_json(allowed(tmp_path))[0]["allowed"] == "it is meant"  # type: ignore[index,call-overload]
    document: Any = sarif(found, about={})
    (result,) = document["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "inSource", "justification": "it is meant"}]
    assert "it is meant" in render_junit(found, suite="plan")
    assert render_github(found).startswith("::notice ")
