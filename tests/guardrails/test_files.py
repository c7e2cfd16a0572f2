from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.declared.load import load
from reconciler.guardrails.files import combine, estate_policies, load_policies, with_tested
from reconciler.guardrails.guard import Guard
from reconciler.guardrails.policy import PolicySet
from reconciler.model import Position, Severity
from reconciler.verdict import UNJUDGED
from tests.declared.builders import SERVER, desired, loaded, write
from tests.declared.builders import codes as codes_of
from tests.guardrails.builders import (
    codes,
    imap,
    judged,
    planned,
    policies,
    policy,
    subjects,
    trial,
    waiver,
)


def test_two_policies_of_one_id_are_an_error(tmp_path: Path) -> None:
    rules = policies(tmp_path, policy("true"), policy("true"))
    (problem,) = rules.diagnostics
    assert problem.code == "duplicate-policy"
    assert "policies.yaml:3:5" in problem.message


def test_a_copy_takes_the_place_of_what_it_was_copied_from(tmp_path: Path) -> None:
    shipped = policies(tmp_path / "shipped", policy("false", match="{kinds: [ImapSettings]}"))
    own = policies(tmp_path / "own", policy("true"))
    assert subjects(judged(combine(shipped, own), imap())) == []


def test_waivers_may_be_about_policies_of_another_directory(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "waiver.yaml").write_text(waiver(), encoding="utf-8")
    shipped = policies(tmp_path / "shipped", policy("true"))
    assert combine(shipped, load_policies(tmp_path / "own")).diagnostics == ()


def test_a_waiver_of_a_shipped_policy_that_is_not_asked_is_not_used(tmp_path: Path) -> None:
    own = policies(tmp_path, waiver(policy="self-signed-in-production", expires="2025-12-31"), policy("true"))
    assert own.diagnostics == ()
    assert codes(judged(own, imap())) == []


def test_a_waiver_of_no_policy_is_an_error(tmp_path: Path) -> None:
    (problem,) = policies(tmp_path, waiver(policy="self-signed-in-prodution")).diagnostics
    assert (problem.code, problem.hint) == ("unknown-policy", "did you mean self-signed-in-production?")


def test_a_test_of_no_policy_is_an_error(tmp_path: Path) -> None:
    (problem,) = policies(tmp_path, trial(policy="plain-txt-logon")).diagnostics
    assert (problem.code, problem.hint) == ("unknown-policy", "did you mean plain-text-logon?")


def test_a_test_of_a_shipped_policy_does_not_make_a_plan_ask_it(tmp_path: Path) -> None:
    own = policies(tmp_path, trial(policy="plain-text-logon"))
    assert (own.diagnostics, own.policies) == ((), ())
    assert [policy.id for policy in with_tested(own).policies] == ["plain-text-logon"]


def test_a_test_is_of_the_copy_where_there_is_one(tmp_path: Path) -> None:
    own = policies(tmp_path, policy("true", id="plain-text-logon"), trial(policy="plain-text-logon"))
    assert with_tested(own) == own


def test_an_estate_without_policies_has_none(tmp_path: Path) -> None:
    assert estate_policies(tmp_path) == PolicySet()
    assert Guard().judge(planned([imap()]), tmp_path) is UNJUDGED


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    judgement = Guard((str(tmp_path / "nowhere"),)).judge(planned([imap()]), tmp_path)
    assert [one.code for one in judgement.verdict.diagnostics] == ["directory"]


def test_the_policies_of_an_estate_are_no_declarations(tmp_path: Path) -> None:
    policies(tmp_path / "policies", policy("true"))
    assert desired(loaded(tmp_path, SERVER)).resources.keys() == {("Server", "ex01")}


def test_the_line_of_a_finding_is_at_hand(tmp_path: Path) -> None:
    policies(tmp_path / "policies", policy("false", match="{kinds: [Server]}"))
    plan = planned(desired(loaded(tmp_path, SERVER)).resources.values())
    judgement = Guard().judge(plan, tmp_path)
    (found,) = judgement.verdict.diagnostics
    assert found.position is not None
    assert "kind: Server" in judgement.sources[found.position.file]


def test_the_environment_is_a_label(tmp_path: Path) -> None:
    policies(tmp_path / "policies", policy("false", match="{labels: {environment: production}}"))
    plan = planned([imap()])
    assert Guard().judge(plan, tmp_path).verdict.diagnostics == ()
    assert len(Guard(environment="production").judge(plan, tmp_path).verdict.diagnostics) == 1


@pytest.mark.parametrize("where", ["rules", "servers/policies", "base/policies", "overlays/test/policies"])
@pytest.mark.parametrize("document", [policy("true"), waiver()], ids=["policy", "waiver"])
def test_a_policy_that_nothing_would_ask_is_an_error(tmp_path: Path, where: str, document: str) -> None:
    is_layered = where.startswith(("base", "overlays"))
    write(tmp_path / ("base" if is_layered else "servers"), server=SERVER)
    if is_layered:
        (tmp_path / "overlays" / "test").mkdir(parents=True)
    write(tmp_path / where, rule=f"# ours\n{document}")
    result = load(tmp_path, environment="test" if is_layered else None)
    (problem,) = result.diagnostics
    assert (problem.code, problem.severity) == ("misplaced-policy", Severity.ERROR)
    assert problem.position == Position(tmp_path / where / "rule.yaml", 2, 13)
    assert "read from policies/ at its top" in str(problem.hint)
    assert "--policies or RECONCILE_POLICIES" in str(problem.hint)


def test_a_policy_below_a_directory_of_that_name_is_an_error_too(tmp_path: Path) -> None:
    """The estate itself may lie anywhere, and what is in it is not for that reason a policy that is asked."""
    result = loaded(tmp_path / "policies" / "estate", SERVER, policy("true"))
    assert codes_of(result) == ["misplaced-policy"]


def test_a_policy_of_a_directory_that_the_run_names_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = tmp_path / "estate"
    write(estate, server=SERVER)
    write(estate / "team" / "rules" / "mail", rule=policy("true"))
    monkeypatch.chdir(tmp_path)
    assert load(estate, policies=[Path("estate/team/rules")]).diagnostics == ()


def test_a_policy_beside_a_directory_that_the_run_names_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, server=SERVER)
    write(tmp_path / "team" / "rules2", rule=policy("true"))
    result = load(tmp_path, policies=[tmp_path / "team" / "rules"])
    assert codes_of(result) == ["misplaced-policy"]


def test_a_directory_of_policies_is_no_estate_of_misplaced_ones(tmp_path: Path) -> None:
    assert codes_of(loaded(tmp_path / "policies", policy("true"), waiver())) == ["directory"]
