from __future__ import annotations

from pathlib import Path

from reconciler.guardrails.guard import Guard
from tests.guardrails.builders import NOW, codes, imap, judged, planned, policies, policy, subjects, waiver

RULE = policy("false", match="{kinds: [ImapSettings]}")


def test_a_waived_finding_does_not_block_and_is_remembered(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, RULE, waiver(resource="ImapSettings/ex0?")), imap())
    (found,) = verdict.findings
    assert (verdict.diagnostics, verdict.is_blocking) == ((), False)
    assert found.waiver is not None
    assert found.waiver.reason == "it is meant"


def test_others_are_not_waived(tmp_path: Path) -> None:
    rules = policies(tmp_path, RULE, waiver(resource="ImapSettings/ex01"))
    assert subjects(judged(rules, imap("ex01"), imap("ex02"))) == ["ImapSettings/ex02"]


def test_it_holds_on_its_last_day(tmp_path: Path) -> None:
    assert subjects(judged(policies(tmp_path, RULE, waiver(expires="2026-01-01")), imap())) == []


def test_when_it_has_expired_the_finding_is_back_and_it_is_told(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, RULE, waiver(expires="2025-12-31")), imap())
    assert (subjects(verdict), codes(verdict)) == (["ImapSettings/ex01"], ["waiver-expired"])
    assert verdict.is_blocking


def test_one_that_excuses_nothing_is_told(tmp_path: Path) -> None:
    verdict = judged(policies(tmp_path, policy("true"), waiver()), imap())
    assert (codes(verdict), verdict.is_blocking) == (["waiver-unused"], False)


def test_one_that_excuses_nothing_may_be_of_another_environment(tmp_path: Path) -> None:
    """Otherwise the advice for one environment makes another one red."""
    policies(tmp_path / "policies", policy("environment.environment != 'production'"), waiver())
    (tmp_path / "base").mkdir()
    (tmp_path / "overlays" / "test").mkdir(parents=True)
    judged = Guard(environment="test").judge(planned([imap()]), tmp_path, now=NOW)
    (unused,) = judged.verdict.problems
    assert unused.code == "waiver-unused"
    assert unused.hint == "this is of the environment test alone: remove it if no other one needs it"
    (needed,) = Guard(environment="production").judge(planned([imap()]), tmp_path, now=NOW).verdict.findings
    assert needed.waiver is not None


def test_one_for_changes_may_wait_for_them(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("false", match="{each: change}"), waiver())
    assert codes(judged(rules, imap())) == []


def test_a_policy_that_nobody_has_cannot_be_waived(tmp_path: Path) -> None:
    rules = policies(tmp_path, RULE, waiver(policy="rul"))
    (problem,) = rules.diagnostics
    assert (problem.code, problem.hint) == ("unknown-policy", "did you mean rule?")
