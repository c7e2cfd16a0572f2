"""The annotation reconciler/allow: where its lines stand, what it lets through, what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.declared import allowances
from reconciler.declared.load import Loaded, load
from reconciler.declared.remarks import remarks
from reconciler.declared.source import DirectorySource
from reconciler.model import Allowance, Diagnostic, Severity
from tests.declared.builders import DATABASE, SERVER, codes, desired, loaded, mailbox, only, together, write

BLOCK = """\
metadata:
  name: alice
  annotations:
    reconciler/allow: |
      unknown-domain: mail for it comes from elsewhere
      not-enforced: we know
"""


def allowing(text: str, name: str = "alice") -> str:
    """A mailbox whose metadata is given."""
    return mailbox(name).replace(f"metadata: {{name: {name}}}\n", text)


def inline(rule: str) -> str:
    return allowing(f"metadata: {{name: alice, annotations: {{reconciler/allow: '{rule}'}}}}\n")


def found(result: Loaded, directory: Path) -> list[Diagnostic]:
    return [
        one for one in remarks(desired(result), DirectorySource(directory)) if one.code == "unknown-domain"
    ]


def test_each_line_of_a_block_has_its_place(tmp_path: Path) -> None:
    resource = only(loaded(tmp_path, SERVER, DATABASE, allowing(BLOCK)), "Mailbox", "alice")
    assert [(one.rule, one.reason) for one in resource.allowed] == [
        ("unknown-domain", "mail for it comes from elsewhere"),
        ("not-enforced", "we know"),
    ]
    lines = (tmp_path / "estate.yaml").read_text(encoding="utf-8").splitlines()
    for one in resource.allowed:
        assert lines[one.position.line - 1][one.position.column - 1 :].startswith(one.rule)


def test_what_is_allowed_is_told_with_its_reason(tmp_path: Path) -> None:
    (one,) = found(loaded(tmp_path, SERVER, DATABASE, inline("unknown-domain: from elsewhere")), tmp_path)
    assert one.allowed is not None
    assert one.allowed.reason == "from elsewhere"


def test_nobody_else_is_allowed_it(tmp_path: Path) -> None:
    result = loaded(tmp_path, SERVER, DATABASE, inline("unknown-domain: from elsewhere"), mailbox("bob"))
    assert [one.allowed is None for one in found(result, tmp_path)] == [False, True]


def test_it_is_no_part_of_what_is_live(tmp_path: Path) -> None:
    with_it = desired(loaded(tmp_path / "a", SERVER, DATABASE, inline("unknown-domain: why")))
    without = desired(loaded(tmp_path / "b", SERVER, DATABASE, mailbox("alice")))
    assert with_it.digest == without.digest


@pytest.mark.parametrize("line", ["unknown-domain", "unknown-domain:", ": why"])
def test_without_a_reason_it_is_an_error_at_its_place(tmp_path: Path, line: str) -> None:
    result = loaded(tmp_path, SERVER, DATABASE, inline(line))
    (problem,) = result.diagnostics
    assert (problem.code, problem.severity) == ("allow", Severity.ERROR)
    assert "say why" in problem.message
    assert problem.position is not None
    assert problem.position.line == 13


def test_an_overlay_may_allow(tmp_path: Path) -> None:
    write(tmp_path / "base", estate=together(SERVER, DATABASE, mailbox("alice")))
    patch = "apiVersion: reconciler/v1\nkind: Mailbox\n" + BLOCK
    write(tmp_path / "overlays" / "staging", alice=patch)
    resource = only(load(tmp_path, environment="staging"), "Mailbox", "alice")
    assert [one.position.file.name for one in resource.allowed] == ["alice.yaml"] * 2


def test_a_second_reading_from_the_cache_says_the_same(tmp_path: Path) -> None:
    documents = (SERVER, DATABASE, inline("unknown-domain: why"))
    first = loaded(tmp_path / "estate", *documents, cache=tmp_path / "cache")
    again = loaded(tmp_path / "estate", *documents, cache=tmp_path / "cache")
    assert only(first, "Mailbox", "alice").allowed == only(again, "Mailbox", "alice").allowed != ()
    assert codes(again) == []


def _of(result: Loaded) -> tuple[Allowance, ...]:
    return allowances.of_estate(desired(result))


def test_a_rule_that_nobody_has_is_an_error_with_the_one_that_was_meant(tmp_path: Path) -> None:
    given = _of(loaded(tmp_path, SERVER, DATABASE, inline("unknown-domian: why")))
    (problem,) = allowances.unknown(given, ["unknown-domain"])
    assert (problem.severity, problem.hint) == (Severity.ERROR, "did you mean unknown-domain?")


def test_one_that_others_may_have_is_a_warning(tmp_path: Path) -> None:
    given = _of(loaded(tmp_path, SERVER, DATABASE, inline("of-the-company: why")))
    assert [one.severity for one in allowances.unknown(given, ["unknown-domain"])] == ["warning"]


def test_an_unknown_annotation_of_ours_is_a_warning_in_every_reading(tmp_path: Path) -> None:
    documents = (SERVER, DATABASE, inline("x: y").replace("reconciler/allow", "reconciler/alow"))
    for _ in range(2):
        result = loaded(tmp_path / "estate", *documents, cache=tmp_path / "cache")
        (problem,) = result.diagnostics
        assert (problem.code, problem.severity) == ("unknown-annotation", Severity.WARNING)
        assert problem.hint == "did you mean reconciler/allow?"
        assert result.desired is not None


def test_what_is_allowed_elsewhere_is_known_when_a_line_lacks_its_reason(tmp_path: Path) -> None:
    documents = (
        inline("unknown-domain"),
        mailbox("bob"),
        inline("not-enforced: why").replace("alice", "eve"),
    )
    result = loaded(tmp_path, SERVER, DATABASE, *documents)
    assert {one.rule for one in result.allowances} == {"unknown-domain", "not-enforced"}
