"""A hold on a resource that differs is never told as live being what is declared."""

from __future__ import annotations

import json

import pytest

from reconciler.model import Hold, LiveState, Plan
from reconciler.planning import make_plan
from reconciler.rendering.drift_text import drifted, render_drift_text
from reconciler.rendering.plan_html import render_plan_html
from reconciler.rendering.plan_json import plan_json
from reconciler.rendering.plan_markdown import render_plan_markdown
from reconciler.rendering.plan_text import render_plan_text
from tests.planning.builders import desired, live, resource

HOLD = Hold("ImapSettings/ex01", "2030-01-31T18:00:00Z", "a migration", "bob", since="")
NONE = LiveState({}, {})


def held(limit: int) -> Plan:
    """ImapSettings/ex01 is held, declared with 16 and live with `limit`."""
    declared, there = (
        resource("ImapSettings", "ex01", {"maxConnectionsPerUser": number}) for number in (16, limit)
    )
    return make_plan(desired(declared), live(there), digests={}, holds=[HOLD])


@pytest.fixture
def differing() -> Plan:
    return held(99)


def test_a_plan_says_so(differing: Plan) -> None:
    shown = render_plan_text(differing, colour=False, width=100)
    assert shown.startswith("No changes but for what is held: 1 resource differs.\n")
    assert "a migration; differs from what is declared: maxConnectionsPerUser" in shown


def test_so_does_its_markup(differing: Plan) -> None:
    headline = "No changes but for what is held: 1 resource differs."
    assert headline in render_plan_markdown(differing)
    assert headline in render_plan_html(differing)


def test_its_data_has_the_change(differing: Plan) -> None:
    data = json.loads(json.dumps(plan_json(differing)))
    assert data["held"][0]["change"]["fields"][0]["old"] == 99


def test_drift_lists_it_and_counts_none(differing: Plan) -> None:
    shown = render_drift_text(differing, NONE, colour=False, width=100)
    assert "live      99" in shown
    assert "held until 2030-01-31T18:00:00Z: a migration" in shown
    assert shown.endswith("No drift but for what is held: 1 resource differs.\n")
    assert drifted(differing) == ()


def test_a_hold_on_what_is_as_declared_changes_no_headline() -> None:
    assert render_drift_text(held(16), NONE, colour=False, width=100).startswith("No drift: live is what")
    assert render_plan_text(held(16), colour=False, width=100).startswith("No changes: live is what")
