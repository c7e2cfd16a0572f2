from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.guardrails.trials import run_trials, untested
from tests.guardrails.builders import policies, policy

RULE = policy("resource.spec.protocolLogEnabled", match="{kinds: [ImapSettings]}", message="is off")
TEST = """\
apiVersion: reconciler/policy/v1
kind: PolicyTest
policy: rule
cases:
  - name: a case
    resources: [{kind: ImapSettings, name: ex01, spec: {%s}}]
    expect: %s
"""


def problem(directory: Path, text: str) -> str | None:
    (ran,) = run_trials(policies(directory, RULE, text))
    return ran.problem.message if ran.problem else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEST % ("protocolLogEnabled: true", "pass"), None),
        (TEST % ("", "fail"), None),
        (TEST % ("", "pass"), "expected to pass, found ImapSettings/ex01: ImapSettings/ex01: is off"),
        (TEST % ("protocolLogEnabled: true", "fail"), "expected to fail, found nothing"),
        (
            TEST % ("", "fail") + "    subjects: [ImapSettings/ex02]\n",
            "expected ImapSettings/ex02, found ImapSettings/ex01",
        ),
        (
            TEST % ("", "fail") + "    message: is on\n",
            'expected a message with "is on", got ImapSettings/ex01: is off',
        ),
        (
            TEST % ("maxConnectionsPerUser: many", "fail"),
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
    rules = policies(tmp_path, policy("resource.nothing == 1"), TEST % ("", "fail"))
    (ran,) = run_trials(rules)
    assert ran.problem is not None
    assert "cannot be evaluated" in ran.problem.message


def test_what_lacks_a_case_is_named(tmp_path: Path) -> None:
    assert untested(policies(tmp_path, RULE, TEST % ("", "fail"))) == ("rule",)
