from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.declared.positions import Document, Positions, index, path_text
from reconciler.declared.reader import MAX_DEPTH, read

FILE = Path("x.yaml")


def _values(text: str) -> list[object]:
    documents, problems = read(text.encode(), FILE)
    assert problems == ()
    return [document.value for document in documents]


def _problems(content: bytes) -> list[tuple[str, str]]:
    _, problems = read(content, FILE)
    return [(problem.code, f"{problem.position}") for problem in problems]


def _places(text: str) -> dict[str, tuple[int, int]]:
    documents, _ = read(text.encode(), FILE)
    return {path_text(trail): mark.value for trail, mark in index(documents[0]).items()}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("007", "007"),
        ("-01", "-01"),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        ("1.2.3", "1.2.3"),
        ("00:30:00", "00:30:00"),
        ("2026-01-05", "2026-01-05"),
        ("9" * 41, "9" * 41),
        ('"7"', "7"),
        ("'true'", "true"),
        ("36MB", "36MB"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    (document,) = _values(f"a: {text}\n")
    assert document == {"a": value}
    assert isinstance(document, dict)
    assert type(document["a"]) is type(value)


def test_keys_are_text() -> None:
    assert _values("on: 1\n7: 2\nnull: 3\n") == [{"on": 1, "7": 2, "null": 3}]


def test_block_scalars_are_text() -> None:
    assert _values("a: |\n  7\nb: >\n  x\n  y\n") == [{"a": "7\n", "b": "x y\n"}]


def test_empty_documents_are_left_out() -> None:
    assert _values("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]


def test_an_empty_file_has_no_document() -> None:
    assert _values("") == []


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    documents, problems = read(b"\xef\xbb\xbfa: 1\n", FILE)
    assert problems == ()
    assert documents[0].value == {"a": 1}


def test_an_alias_is_the_value_of_its_anchor() -> None:
    assert _values("a: &x {b: [1]}\nc: *x\nd: &y 5\ne: *y\n") == [
        {"a": {"b": [1]}, "c": {"b": [1]}, "d": 5, "e": 5}
    ]


def test_an_anchor_on_a_key_is_text() -> None:
    assert _values("&k a: 1\nb: *k\n") == [{"a": 1, "b": "a"}]


def test_positions_of_values_and_members() -> None:
    places = _places("a: 1\nb:\n  - x\n  - {c: y}\n")
    assert places == {"": (0, 0), "a": (0, 3), "b": (2, 2), "b[0]": (2, 4), "b[1]": (3, 4), "b[1].c": (3, 8)}


def test_positions_behind_an_alias_are_those_of_the_anchor() -> None:
    places = _places("a: &x [1, 2]\nb: *x\nc: 3\n")
    assert places["b"] == (1, 3)
    assert places["b[1]"] == places["a[1]"] == (0, 10)
    assert places["c"] == (2, 3)


def test_positions_survive_a_dropped_key() -> None:
    documents, problems = read(b"a: 1\na: {b: [2, 3]}\n---\nc: 4\n", FILE)
    assert [problem.code for problem in problems] == ["duplicate-key"]
    assert [document.value for document in documents] == [{"c": 4}]


def test_positions_of_a_spec_count_from_one_and_are_found_by_path() -> None:
    documents, _ = read(b"kind: X\nspec:\n  a: {b: 1}\n  c: [2]\n", FILE)
    positions = Positions(documents[0], FILE)
    assert {path: (position.line, position.column) for path, position in positions.items()} == {
        "": (1, 1),
        "a": (3, 6),
        "a.b": (3, 10),
        "c": (4, 6),
        "c[0]": (4, 7),
    }


def test_packed_positions_come_back_from_text() -> None:
    documents, _ = read(b"spec: {a: [1, 2]}\n", FILE)
    packed = Document(documents[0].value, documents[0].marks_text())
    assert index(packed) == index(documents[0])


def test_duplicate_keys_are_each_an_error() -> None:
    assert _problems(b"a: 1\na: 2\na: 3\nb: {c: 1, c: 2}\n") == [
        ("duplicate-key", "x.yaml:2:1"),
        ("duplicate-key", "x.yaml:3:1"),
        ("duplicate-key", "x.yaml:4:11"),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"? [a]\n: b\n", ("yaml-key", "x.yaml:1:3")),
        (b"a: &x 1\n*x : 2\n", ("yaml-key", "x.yaml:2:1")),
        (b"a: &x [*x]\n", ("yaml-alias", "x.yaml:1:8")),
        (b"a: !!binary aGk=\n", ("yaml-tag", "x.yaml:1:4")),
        (b"a: !local {b: 1}\n", ("yaml-tag", "x.yaml:1:4")),
        (b"<<: {a: 1}\n", ("yaml-merge-key", "x.yaml:1:1")),
        (b"a: @b\n", ("yaml-syntax", "x.yaml:1:4")),
        (b"a: 'b\n", ("yaml-syntax", "x.yaml:1:4")),
        (b"a: b\n  c\nd\n", ("yaml-syntax", "x.yaml:4:1")),
        (b"a: \x00\n", ("control-character", "x.yaml:1:4")),
        (b"a: \xff\n", ("not-utf-8", "x.yaml:1:4")),
        ("a: é\nb: \x07\n".encode(), ("control-character", "x.yaml:2:4")),
    ],
)
def test_what_is_refused_and_where(content: bytes, problem: tuple[str, str]) -> None:
    assert _problems(content) == [problem]


@pytest.mark.parametrize(
    ("said", "hinted"),
    [
        (b"[first, 0.0.0.0:25]", 'write ["0.0.0.0:25"], or each value on a line of its own: - 0.0.0.0:25'),
        (b"[correct:25]", 'write ["127.0.0.1:10993"]'),
    ],
)
def test_the_hint_repeats_an_address_and_nothing_that_may_be_secret(said: bytes, hinted: str) -> None:
    _, (problem,) = read(b"a: " + said + b"\n", FILE)
    assert (problem.hint or "").startswith(hinted)


@pytest.mark.parametrize("opening", [b"[", b"{a: "])
def test_nesting_is_bounded_without_recursion(opening: bytes) -> None:
    assert _problems(opening * 100_000)[0][0] == "yaml-depth"


def test_nesting_up_to_the_bound_is_read() -> None:
    assert _problems(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) == []


def test_whole_documents_before_an_error_are_kept() -> None:
    documents, problems = read(b"a: 1\n---\nb: [\n", FILE)
    assert [document.value for document in documents] == [{"a": 1}]
    assert len(problems) == 1


@given(st.binary(max_size=200))
def test_no_input_raises(content: bytes) -> None:
    documents, _ = read(content, FILE)
    for document in documents:
        index(document)


@given(st.text(alphabet="ab:[]{}&*<!|>-# \n\t\"'?%@1~,", max_size=60))
def test_no_yaml_like_input_raises_and_positions_fit_values(text: str) -> None:
    documents, _ = read(text.encode(), FILE)
    for document in documents:
        assert all(mark.value[0] <= text.count("\n") + 1 for mark in index(document).values())
