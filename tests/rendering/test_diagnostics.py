from __future__ import annotations

from pathlib import Path

from reconciler.model import Diagnostic, Position, Severity
from reconciler.rendering.diagnostics import diagnostics_json, render_diagnostics_text
from tests.rendering.golden import assert_golden

FILE = Path("estate.yaml")


def _at(line: int, column: int, *, message: str = "wrong", hint: str | None = None) -> Diagnostic:
    return Diagnostic("range", Severity.ERROR, message, Position(FILE, line, column), hint)


def _shown(text: str, *diagnostics: Diagnostic) -> str:
    return render_diagnostics_text(diagnostics, {FILE: text}, colour=False)


def _caret(text: str, column: int) -> tuple[str, int]:
    """The shown line and the caret's column in it."""
    _, line, caret, *_ = _shown(text, _at(1, column)).splitlines()
    gutter = line.index("|") + 2
    return line[gutter:], caret.index("^") - gutter


def test_nothing_is_no_text() -> None:
    assert _shown("") == ""


def test_text_with_hint_and_counts() -> None:
    warning = Diagnostic("old", Severity.WARNING, "soon", Position(Path("other.yaml"), 3, 1))
    shown = _shown("a: 1\nb: two\n", _at(2, 4, hint="write 2"), _at(2, 1), warning)
    assert_golden("diagnostics.txt", shown)


def test_text_in_colour() -> None:
    shown = render_diagnostics_text([_at(1, 4, hint="write 2")], {FILE: "b: two\n"}, colour=True)
    assert_golden("diagnostics-colour.txt", shown)


def test_a_diagnostic_without_position() -> None:
    shown = _shown("", Diagnostic("directory", Severity.ERROR, "no such directory"))
    assert shown == "error: no such directory\n\n1 error\n"


def test_a_file_whose_text_is_not_there() -> None:
    assert (
        render_diagnostics_text([_at(1, 1)], {}, colour=False).splitlines()[0]
        == "estate.yaml:1:1: error: wrong"
    )


def test_the_caret_stands_under_its_column() -> None:
    assert _caret("abc: def", 6) == ("abc: def", 5)


def test_a_tab_is_shown_as_spaces_and_counted_so() -> None:
    assert _caret("a\tb", 3) == ("a    b", 5)


def test_wide_characters_count_twice() -> None:
    assert _caret("日本: x", 5) == ("日本: x", 6)


def test_combining_characters_count_nothing() -> None:
    assert _caret("e\u0301: x", 5) == ("e\u0301: x", 3)


def test_control_characters_are_escaped_in_lines_and_messages() -> None:
    shown = _shown("a: \x1b[2Jb\n", _at(1, 4, message="got \x1b[2J\n"))
    assert "\x1b" not in shown
    assert "got \\x1b[2J\\n" in shown


def test_a_caret_behind_the_end_of_the_line() -> None:
    assert _caret("ab", 5) == ("ab", 4)


def test_a_long_line_is_cut_around_the_caret() -> None:
    line, caret = _caret("x" * 300 + "!" + "y" * 300, 301)
    assert len(line) < 140
    assert line[caret] == "!"


def test_json_says_the_same() -> None:
    assert diagnostics_json([_at(2, 4, hint="write 2")]) == {
        "format": "reconciler/diagnostics/v1",
        "diagnostics": [
            {
                "code": "range",
                "severity": "error",
                "message": "wrong",
                "file": "estate.yaml",
                "line": 2,
                "column": 4,
                "hint": "write 2",
                "allowed": None,
            }
        ],
    }
