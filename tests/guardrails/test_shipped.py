"""The shipped pack: whole, tested, documented, and each rule with its fact."""

from __future__ import annotations

import pytest

from reconciler.guardrails.files import SHIPPED, combine, load_policies
from reconciler.guardrails.policy import Policy
from reconciler.guardrails.trials import Ran, run_trials, untested
from tests.guardrails.builders import judged, resource
from tests.support import guardrails_page

PACK = combine(load_policies(SHIPPED))


def test_nothing_is_wrong_with_it() -> None:
    assert PACK.diagnostics == ()


def test_it_has_the_rules_that_matter() -> None:
    assert len(PACK.policies) >= 20


def test_every_rule_has_a_case_that_passes_and_one_that_fails() -> None:
    assert untested(PACK) == ()


@pytest.mark.parametrize("ran", run_trials(PACK), ids=lambda ran: f"{ran.policy}: {ran.case}")
def test_its_cases(ran: Ran) -> None:
    assert ran.problem is None, ran.problem.message


@pytest.mark.parametrize("policy", PACK.policies, ids=lambda policy: policy.id)
def test_each_rule_is_found_by_its_name_and_says_why(policy: Policy) -> None:
    assert policy.position.file == SHIPPED / f"{policy.id}.yaml"
    assert policy.docs == f"docs/guardrails.md#{policy.id}"
    assert policy.fact is not None
    assert policy.fact.startswith("Exchange ")
    assert policy.remedy


def test_a_finding_leads_to_what_every_repository_has() -> None:
    relay = {"extendedRights": {"anonymousLogon": ["ms-Exch-SMTP-Accept-Any-Recipient"]}}
    connector = resource("ReceiveConnector", "ex01/in", {"bindings": ["0.0.0.0:25"], **relay})
    found = [one for one in judged(PACK, connector).findings if one.policy == "open-relay"]
    assert [(one.diagnostic.hint or "").rpartition("; ")[2] for one in found] == [
        "more: reconcile explain open-relay"
    ]
    assert [one.docs for one in found] == ["docs/guardrails.md#open-relay"]


def test_the_page_is_made_from_the_rules() -> None:
    text = guardrails_page.DOCUMENT.read_text(encoding="utf-8")
    assert text == guardrails_page.document(), "run `python -m tests.support.guardrails_page`"
