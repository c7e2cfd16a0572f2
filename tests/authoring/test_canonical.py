"""Canonical style: what it changes, and that it changes neither meaning nor comments."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings

from reconciler.authoring.canonical import FormatError, format_text, values_of
from reconciler.authoring.layout import comments_of
from reconciler.declared.reader import read
from tests.authoring.yaml_texts import files


def is_readable(text: str) -> bool:
    return not read(text.encode(), Path("drawn"))[1]


ROOT = Path(__file__).resolve().parents[2]


@settings(deadline=None, max_examples=100)
@given(files())
def test_meaning_and_comments_stay_and_a_second_time_changes_nothing(text: str) -> None:
    assume(is_readable(text))
    after = format_text(text)
    assert values_of(after) == values_of(text)
    assert Counter(comments_of(after)) == Counter(comments_of(text))
    assert format_text(after) == after


def styled(*lines: str) -> list[str]:
    return format_text("\n".join(lines) + "\n").splitlines()


@pytest.mark.parametrize("file", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_in_style(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert format_text(text) == text


def test_keys_come_in_order_each_with_the_comment_above_it() -> None:
    before = ["# head", "spec:", "  b: 1", "  a: 2", "# what", "kind: Server", "apiVersion: x", "# end"]
    after = ["# head", "apiVersion: x", "# what", "kind: Server", "spec:", "  b: 1", "  a: 2", "# end"]
    assert styled(*before) == after


def test_fields_of_the_spec_keep_their_order() -> None:
    assert styled("kind: X", "spec: {b: 1, a: 2}") == ["kind: X", "spec: {b: 1, a: 2}"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("'alice'", "alice"),
        ('"a b"', "a b"),
        ("'it: is'", '"it: is"'),
        ("'007'", '"007"'),
        ("007", '"007"'),
        ("yes", '"yes"'),
        ("00:30:00", '"00:30:00"'),
        ("127.0.0.1:993", '"127.0.0.1:993"'),
        ("36MB", "36MB"),
        ("True", "true"),
        ("~", "null"),
        ("0x10", "0x10"),
        ("1.50", "1.50"),
        ("'1'", '"1"'),
        ("${port}", "${port}"),
    ],
)
def test_quotes_stand_where_they_are_needed(before: str, after: str) -> None:
    assert styled(f"spec: {{}}\nx: {before}") == ["spec: {}", f"x: {after}"]


def test_indentation_is_two_spaces_and_comments_follow() -> None:
    before = ["spec:", "    # why", "    a:", "    - 1", "    - 2", "    # b: 3", "kind: X"]
    after = ["kind: X", "spec:", "  # why", "  a:", "    - 1", "    - 2", "    # b: 3"]
    assert [line.rstrip() for line in styled(*before)] == after


def test_blocks_of_text_are_left_alone() -> None:
    text = ["spec:", "  note: |", "    two  ", "      lines # no comment", "  other: x"]
    assert styled(*text) == text


def test_a_file_that_cannot_be_read_is_refused_with_its_line() -> None:
    with pytest.raises(FormatError, match="line 3: no value starts like this"):
        format_text("a: 1\nb: [\n")


def test_directives_are_refused() -> None:
    with pytest.raises(FormatError, match="directives"):
        format_text("%YAML 1.2\n---\na: 1\n")
