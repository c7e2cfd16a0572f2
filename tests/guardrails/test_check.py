"""What is wrong with a policy file is told at its place, and never raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.guardrails.files import load_policies
from reconciler.model import Diagnostic
from tests.guardrails.builders import policy, waiver


def problems(directory: Path, text: str) -> tuple[Diagnostic, ...]:
    (directory / "policies.yaml").write_text(text, encoding="utf-8")
    return load_policies(directory).diagnostics


def only(directory: Path, text: str) -> tuple[str, int, int, str]:
    """The one diagnostic: code, line, column, message."""
    (found,) = problems(directory, text)
    assert found.position is not None
    return found.code, found.position.line, found.position.column, found.message


GOOD = 'resource.kind == "Server"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (policy("resorce.kind"), ("policy-expression", 7, 10, 'require: unknown name "resorce"')),
        (
            policy("'resource.kind == foo'"),
            ("policy-expression", 7, 28, 'require: unknown name "foo"'),
        ),
        (
            policy(">-\n  resource.kind == 'x'\n  && foo"),
            ("policy-expression", 9, 6, 'require: unknown name "foo"'),
        ),
        (
            policy("|\n  resource.kind == 'x'\n  && foo\n"),
            ("policy-expression", 9, 6, 'require: unknown name "foo"'),
        ),
        (
            policy("plan.isEmpty"),
            ("policy-expression", 7, 10, 'require: unknown name "plan"'),
        ),
        (
            policy("resource.spec.loginTyp == 'x'", match="{kinds: [ImapSettings]}"),
            ("policy-expression", 7, 24, 'require: unknown field "loginTyp" of ImapSettings'),
        ),
        (
            policy(GOOD, message="'it is {resource.kind} {foo}'"),
            ("policy-expression", 8, 34, 'message: unknown name "foo"'),
        ),
        (policy(GOOD, severity="fatal"), ("enum", 5, 11, None)),
        (policy(GOOD, more="requires: x\n"), ("unknown-key", 9, 1, 'unknown key "requires"')),
        (policy(GOOD, match="{kinds: [Imap]}"), ("enum", 6, 17, None)),
        (policy(GOOD, match="{each: plan, kinds: [Server]}"), None),
        (policy(GOOD, more="at: [fqdm]\n", match="{kinds: [Server]}"), ("unknown-key", 9, 6, None)),
        (policy(GOOD).replace("title: A rule\n", ""), ("missing", 1, 1, "title is missing")),
        (policy(GOOD).replace("policy/v1", "policy/v2"), ("unknown-version", 1, 13, None)),
        (policy(GOOD).replace("kind: Policy", "kind: Polcy"), ("unknown-kind", 2, 7, None)),
        (waiver(expires="soon"), ("date", 6, 10, None)),
        (waiver().replace("it is meant", '""'), ("waiver-reason", 5, 9, None)),
        ("- a list\n", ("not-a-mapping", 1, 1, None)),
        ("id: [\n", ("yaml-syntax", 2, 1, None)),
    ],
)
def test_a_mistake_is_told_at_its_place(
    text: str, expected: tuple[str, int, int, str | None] | None, tmp_path: Path
) -> None:
    if expected is None:
        assert {found.code for found in problems(tmp_path, text)} >= {"policy-match"}
        return
    code, line, column, message = only(tmp_path, text)
    assert (code, line, column) == expected[:3]
    assert expected[3] in (None, message)


def test_one_broken_policy_leaves_the_others(tmp_path: Path) -> None:
    text = policy("nope", id="one") + "---\n" + policy(GOOD, id="two")
    (tmp_path / "policies.yaml").write_text(text, encoding="utf-8")
    found = load_policies(tmp_path)
    assert [one.id for one in found.policies] == ["two"]
    assert len(found.diagnostics) == 1


def test_a_field_of_any_matching_kind_is_known(tmp_path: Path) -> None:
    text = policy("resource.spec.loginType == 'x'", match="{kinds: [Server, ImapSettings]}")
    assert problems(tmp_path, text) == ()


def test_declarations_of_resources_are_left_to_others(tmp_path: Path) -> None:
    text = "apiVersion: reconciler/v1\nkind: Server\nmetadata: {name: ex01}\nspec: {}\n"
    assert problems(tmp_path, text) == ()
