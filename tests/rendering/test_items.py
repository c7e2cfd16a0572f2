"""Lists that change are shown item by item, in every rendering."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model import Action, Cause, Change, FieldChange, Key, Plan, ServiceAction, ServiceImpact
from reconciler.rendering.items import ItemChange, Items, items_of, keyed_items
from reconciler.rendering.plan_html import render_plan_html
from reconciler.rendering.plan_json import plan_json
from reconciler.rendering.plan_markdown import render_plan_markdown
from reconciler.rendering.plan_text import render_plan_text
from reconciler.rendering.plan_words import between

OLD, NEW = ["127.0.0.1:143", "[::1]:143"], ["127.0.0.1:10143", "[::1]:143"]
KEY = Key("ImapSettings", "ex01")


def _plan(old: Any, new: Any) -> Plan:
    field = FieldChange("unencryptedOrTLSBindings", old, new)
    cause = Cause(KEY, field.path, old, new)
    impact = ServiceImpact("ex01/imap4", ServiceAction.RESTART, (cause,), 0)
    return Plan("0" * 64, (Change(KEY, Action.UPDATE, (field,), 7, None),), (impact,), {KEY: 7})


def _field(old: Any, new: Any) -> dict[str, Any]:
    found: Any = plan_json(_plan(old, new))
    return dict(found["changes"][0]["fields"][0])


def test_items_that_come_and_go_are_told_apart() -> None:
    assert items_of("bindings", [*OLD], [*NEW]) == Items(("127.0.0.1:10143",), ("127.0.0.1:143",))


def test_text_shows_items_and_not_whole_lists() -> None:
    shown = render_plan_text(_plan(OLD, NEW), colour=False, width=100)
    assert "unencryptedOrTLSBindings  - 127.0.0.1:143, + 127.0.0.1:10143" in shown
    assert "because ImapSettings/ex01 unencryptedOrTLSBindings - 127.0.0.1:143, + 127.0.0.1:10143" in shown
    assert "[::1]" not in shown


@pytest.mark.parametrize("render", [render_plan_markdown, render_plan_html])
def test_so_do_the_others(render: Any) -> None:
    assert "- 127.0.0.1:143, + 127.0.0.1:10143" in render(_plan(OLD, NEW))


def test_json_says_both_and_the_lists() -> None:
    found = _field(OLD, NEW)
    assert (found["old"], found["new"]) == (OLD, NEW)
    assert found["items"] == {"added": ["127.0.0.1:10143"], "removed": ["127.0.0.1:143"], "changed": []}


@pytest.mark.parametrize(("old", "new"), [(16, 32), (None, ["a"]), (["a", "b"], ["b", "a"])])
def test_what_is_not_told_by_items_is_shown_whole(old: Any, new: Any) -> None:
    assert "items" not in _field(old, new)
    assert "->" in between("path", old, new)


def test_items_with_a_key_are_compared_under_it() -> None:
    old = [{"path": "banner", "reason": "old"}, {"path": "site", "reason": "x"}]
    new = [{"path": "banner", "reason": "new"}, {"path": "fqdn", "reason": "y"}]
    found = keyed_items(old, new, "path")  # type: ignore[arg-type]
    assert found == Items((new[1],), (old[1],), (ItemChange("banner", old[0], new[0]),))  # type: ignore[arg-type]


def test_a_key_that_stands_twice_tells_nothing_apart() -> None:
    assert keyed_items([{"path": "a", "n": 1}, {"path": "a", "n": 2}], [], "path") is None


def test_many_items_are_counted() -> None:
    old: list[Any] = [f"user{number}" for number in range(30)]
    assert between("path", old, []).endswith("- user19 and 10 more items")
