"""Guardrails stand between a plan and the runtime, unless they are waived."""

from __future__ import annotations

import json

from tests.guardrails.builders import policies, policy, waiver
from tests.support.estate import Runtime, write_estate

RULE = policy(
    "resource.spec.maxConnectionsPerUser <= 16",
    match="{kinds: [ImapSettings, PopSettings]}",
    message='"{resource.spec.maxConnectionsPerUser} connections"',
    more="at: [maxConnectionsPerUser]\n",
)


def live_limit(runtime: Runtime) -> int:
    found = runtime.reconcile("live", "get", "ImapSettings/ex01", "--format", "json")
    limit: int = json.loads(found.stdout)["spec"]["maxConnectionsPerUser"]
    return limit


def test_what_is_refused_is_not_applied_until_it_is_waived(applied: Runtime) -> None:
    write_estate(applied.directory, applied.ports, max_connections_per_user=32)
    rules = applied.directory / "policies"
    policies(rules, RULE)
    directory = str(applied.directory)

    plan = applied.reconcile("plan", "--format", "json", directory, expect=1)
    found = json.loads(plan.stdout)["guardrails"]
    assert {(one["policy"], one["subject"], one["waived"]) for one in found} == {
        ("rule", "ImapSettings/ex01", None),
        ("rule", "PopSettings/ex01", None),
    }

    refused = applied.reconcile("apply", "--yes", directory, expect=1)
    assert "32 connections" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert live_limit(applied) == 16

    policies(rules, RULE, waiver(resource='"*Settings/ex01"', expires="2999-12-31"))
    done = applied.reconcile("apply", "--yes", directory)
    assert "waived until 2999-12-31: rule, ImapSettings/ex01" in done.stderr
    assert live_limit(applied) == 32
