from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.guardrails.trials import run_trials, untested
from tests.guardrails.builders import policies, policy, trial

RULE = policy("resource.spec.protocolLogEnabled", match="{kinds: [ImapSettings]}", message="is off")


def problem(directory: Path, text: str) -> str | None:
    (ran,) = run_trials(policies(directory, RULE, text))
    return ran.problem.message if ran.problem else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (trial(spec="protocolLogEnabled: true", expect="pass"), None),
        (trial(expect="fail"), None),
        (trial(expect="pass"), "expected to pass, found ImapSettings/ex01: ImapSettings/ex01: is off"),
        (trial(spec="protocolLogEnabled: true", expect="fail"), "expected to fail, found nothing"),
        (
            trial(expect="fail") + "    subjects: [ImapSettings/ex02]\n",
            "expected ImapSettings/ex02, found ImapSettings/ex01",
        ),
        (
            trial(expect="fail") + "    message: is on\n",
            'expected a message with "is on", got ImapSettings/ex01: is off',
        ),
        (
            trial(spec="maxConnectionsPerUser: many", expect="fail"),
            "ImapSettings/ex01: maxConnectionsPerUser: expected a whole number",
        ),
    ],
)
def test_a_case_says_what_it_expected_and_what_it_found(
    text: str, expected: str | None, tmp_path: Path
) -> None:
    found = problem(tmp_path, text)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(f"rule, a case: {expected}")


def test_a_policy_that_fails_to_evaluate_fails_its_case(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("resource.nothing == 1"), trial(expect="fail"))
    (ran,) = run_trials(rules)
    assert ran.problem is not None
    assert "cannot be evaluated" in ran.problem.message


def test_what_lacks_a_case_is_named(tmp_path: Path) -> None:
    assert untested(policies(tmp_path, RULE, trial(expect="fail"))) == ("rule",)
