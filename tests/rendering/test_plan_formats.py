"""Markdown, HTML, JUnit, SARIF and GitHub annotations of a plan, and the schema of its JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from reconciler.model import Diagnostic, LiveState, Plan, Position, Severity
from reconciler.planning import make_plan
from reconciler.rendering.github import render_github
from reconciler.rendering.junit import render_junit
from reconciler.rendering.plan_html import render_plan_html
from reconciler.rendering.plan_json import plan_json
from reconciler.rendering.plan_markdown import code, render_plan_markdown
from reconciler.rendering.plan_risks import RULES, plan_risks
from reconciler.rendering.plan_text import render_plan_text
from reconciler.rendering.sarif import sarif
from tests.planning.builders import desired, resource, server
from tests.rendering.golden import assert_golden
from tests.rendering.hostile import TEXTS, hostile_diagnostics, hostile_plan
from tests.rendering.values import NOTE, empty_plan, every_plan, first_plan, noted_plan, patched_plan, plan

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "plan.schema.json"


def render_junit_of(plan: Plan) -> str:
    return render_junit((), suite="plan", plan=plan)


def render_text(plan: Plan) -> str:
    return render_plan_text(plan, colour=False, width=100)


PLANS = {
    "plan": plan(),
    "empty": empty_plan(),
    "first": first_plan(),
    "every": every_plan(),
    "noted": noted_plan(),
}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_as_its_schema_says(name: str, validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(plan_json(PLANS[name]))] == []


def test_the_schema_refuses_what_it_does_not_know(validator: Draft202012Validator) -> None:
    assert not validator.is_valid(plan_json(plan()) | {"more": 1})


@pytest.mark.parametrize("render", [render_text, render_plan_markdown, render_plan_html])
def test_a_field_that_stands_in_another_file_names_it(render: Callable[[Plan], str]) -> None:
    shown = render(patched_plan())
    assert "overlays/test/imap.yaml:22" in shown
    assert "base/imap.yaml:1:1" in shown


def test_text_of_the_rest() -> None:
    assert_golden("plan-every.txt", render_plan_text(every_plan(), colour=False, width=100))


def test_markdown() -> None:
    assert_golden("plan.md", render_plan_markdown(plan()))


def test_markdown_of_the_rest() -> None:
    assert_golden("plan-every.md", render_plan_markdown(every_plan()))


def test_html() -> None:
    assert_golden("plan.html", render_plan_html(plan()))


@pytest.mark.parametrize("render", [render_text, render_plan_markdown, render_plan_html])
def test_the_headline_counts_what_is_created_updated_renamed_and_deleted(render: Any) -> None:
    headline = "Plan: 1 to update (1 renamed), 3 to delete; restarts 2 services, touches 41 sessions"
    first = render(every_plan()).splitlines()
    assert headline in (first[0], first[0].removeprefix("### "), first[6].removeprefix("<title>")[:-8])
    assert "Plan: 1 to create, 3 to update; reloads 1 service" in render(plan())


def test_a_plan_that_only_catches_up_counts_no_resources() -> None:
    waiting = replace(plan(), changes=(), impacts=())
    assert render_text(waiting).startswith("Plan: restarts 1 service, touches 1 session\n")


def test_the_json_counts_renames_among_the_updates() -> None:
    summary: Any = plan_json(every_plan())["summary"]
    assert (summary["update"], summary["rename"], summary["delete"]) == (1, 1, 3)


@pytest.mark.parametrize("render", [render_text, render_plan_markdown, render_plan_html])
def test_every_rendering_says_which_variable_a_value_comes_from(render: Any) -> None:
    assert NOTE in render(noted_plan())


def test_the_json_says_which_variable_a_value_comes_from_and_nothing_where_none_does() -> None:
    def notes(found: Plan) -> list[Any]:
        changes: Any = plan_json(found)["changes"]
        return [field["note"] for change in changes for field in change["fields"] if "note" in field]

    assert notes(noted_plan()) == [NOTE]
    assert notes(plan()) == []


def test_an_empty_plan_is_one_sentence_everywhere() -> None:
    assert render_plan_markdown(empty_plan()) == "### No changes: live is what is declared.\n"
    assert "No changes: live is what is declared." in render_plan_html(empty_plan())


# Nothing that a file or a target says becomes markup.


def _outside_of_code(markdown: str) -> str:
    """What a Markdown reader would interpret: without fenced blocks and code spans."""
    without_blocks = re.sub(r"^(`{3,})diff\n.*?^\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", without_blocks)


def test_hostile_texts_stay_texts_in_markdown() -> None:
    left = _outside_of_code(render_plan_markdown(hostile_plan()))
    assert {tag.lower() for tag in re.findall(r"</?([a-zA-Z!][^ >]*)", left)} == {
        "details",
        "summary",
        "code",
    }
    for text in ("](", "@everyone", "```diff\n```", "onerror=alert(1)>", "| a |"):
        assert text not in re.sub(r"<summary>.*</summary>", "", left)


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert code("a `b` c") == "``a `b` c``"
    assert code("``") == "``` `` ```"
    assert code("plain") == "`plain`"


class _Tags(HTMLParser):
    """Collects elements, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _tags(page: str) -> _Tags:
    found = _Tags()
    found.feed(page)
    return found


def test_hostile_texts_stay_texts_in_html() -> None:
    hostile, harmless = _tags(render_plan_html(hostile_plan())), _tags(render_plan_html(every_plan()))
    assert hostile.tags <= harmless.tags | _tags(render_plan_html(plan())).tags
    assert not {name for name in hostile.attributes if name.startswith("on") or name in ("src", "href")}
    assert any(TEXTS[0] in text for text in hostile.texts)


def test_a_page_loads_and_runs_nothing() -> None:
    page = render_plan_html(plan())
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", page)


@pytest.mark.parametrize("render", [render_plan_markdown, render_plan_html])
def test_no_control_character_reaches_the_reader(render: Any) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", render(hostile_plan()))


def test_no_secret_is_in_any_rendering() -> None:
    for text in (
        render_plan_markdown(plan()),
        render_plan_html(plan()),
        render_junit((), suite="plan", plan=plan()),
    ):
        assert "(secret changed)" in text
        assert "/estate/secrets" not in text


# Formats of findings


def _junit(text: str) -> ET.Element:
    return ET.fromstring(text)


def test_junit_counts_errors_as_failures() -> None:
    root = _junit(render_junit(plan_risks(plan()), suite="plan", plan=plan()))
    suite = root[0]
    assert suite.get("tests") == str(len(suite.findall("testcase")))
    assert suite.get("failures") == str(len(suite.findall("testcase/failure"))) == "1"
    names = [str(case.get("name")) for case in suite]
    assert "update ImapSettings/ex01" in names


def test_junit_without_findings_is_a_passed_test() -> None:
    suite = _junit(render_junit((), suite="validate"))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")


def test_hostile_texts_stay_texts_in_junit() -> None:
    root = _junit(render_junit(hostile_diagnostics(), suite="plan", plan=hostile_plan()))
    assert {element.tag for element in root.iter()} == {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "system-out",
    }


def _results(diagnostics: tuple[Diagnostic, ...]) -> list[Any]:
    document: Any = sarif(diagnostics, about=RULES)
    (run,) = document["runs"]
    _check_shape(document)
    results: list[Any] = run["results"]
    return results


def _check_shape(document: Any) -> None:
    """The parts of SARIF 2.1.0 that readers insist on."""
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        for location in result.get("locations", ()):
            assert all(number >= 1 for number in location["physicalLocation"]["region"].values())
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"[A-Za-z0-9._~:/%-]+", uri)


def test_sarif_points_at_the_line_that_asks_for_a_restart() -> None:
    results = _results(plan_risks(plan()))
    restart = next(found for found in results if "ex01/imap4 has" in found["message"]["text"])
    assert restart["ruleId"] == "plan-restart"
    place = restart["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "estate.yaml"
    assert place["region"]["startLine"] in (1, 14)


def test_sarif_of_hostile_texts_is_well_formed() -> None:
    assert len(_results((*hostile_diagnostics(), *plan_risks(hostile_plan())))) > len(TEXTS)


def test_a_finding_keeps_its_fingerprint_when_it_moves() -> None:
    def at(line: int) -> Diagnostic:
        return Diagnostic("x", Severity.ERROR, "wrong", Position(Path("a.yaml"), line, 1))

    first, second = _results((at(1), at(9)))
    assert first["partialFingerprints"] == second["partialFingerprints"]


def test_github_annotations() -> None:
    diagnostic = Diagnostic(
        "unknown-key", Severity.ERROR, "a: b,\n100%", Position(Path("a,b:c.yaml"), 3, 5), "fix"
    )
    assert render_github([diagnostic]) == (
        "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=unknown-key::a: b,%0A100%25%0Afix\n"
    )


def _commands(text: str) -> Iterator[str]:
    return (line for line in text.split("\n") if line)


def test_hostile_texts_stay_texts_in_annotations() -> None:
    lines = list(_commands(render_github(hostile_diagnostics())))
    assert len(lines) == len(TEXTS)
    assert all(re.match(r"::error file=[^:,]*,line=3,col=5,title=unknown-key::", line) for line in lines)


def test_risks_name_what_is_deleted_refused_and_left_out() -> None:
    found: Plan = every_plan()
    assert {risk.code for risk in plan_risks(found)} == {
        "plan-delete",
        "plan-restart",
        "plan-refused",
        "plan-partial",
    }


@pytest.mark.parametrize("render", [render_plan_markdown, render_plan_html, render_junit_of, render_text])
def test_what_is_not_at_the_default_is_shown_though_nobody_declared_it(render: Callable[[Plan], str]) -> None:
    connector = {"bindings": ["0.0.0.0:2525"], "permissionGroups": ["AnonymousUsers"]}
    made = make_plan(
        desired(server(), resource("ReceiveConnector", "ex01/open", connector)), LiveState({}, {}), digests={}
    )
    bare = [replace(one, fields=tuple(replace(f, position=None) for f in one.fields)) for one in made.changes]
    shown = render(replace(made, changes=tuple(bare)))
    assert "0.0.0.0:2525" in shown
    assert "AnonymousUsers" in shown
    assert "at the default" in shown
    assert "maxHopCount" not in shown
