"""Nothing from a file acts as markup, and a text that is too long is cut between its items."""

from __future__ import annotations

import pytest

from reconciler.review.markup import code, marker, marker_name, size
from reconciler.review.sections import Section, fit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "`plain`"),
        ("a|b", "`a|b`"),
        ("@alice", "`@alice`"),
        ("a`b", "``a`b``"),
        ("`a`", "`` `a` ``"),
        ("``", "``` `` ```"),
        (" a", "`  a `"),
        ("", "`   `"),
        ("a\nb", "`a\\nb`"),
        ("\u202ea", "`\\u202ea`"),
        ("</details><script>", "`</details><script>`"),
    ],
)
def test_a_code_span_shows_exactly_the_text(text: str, shown: str) -> None:
    assert code(text) == shown


def test_a_marker_is_a_comment() -> None:
    assert marker("estate/production") == "<!-- reconcile review: estate/production -->"


@pytest.mark.parametrize("name", ["", "a b", "a-->", "a--b", "<b>", "a\n", "-a", "ä", "x" * 101])
def test_a_marker_that_could_end_early_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a marker is made of"):
        marker(name)


@pytest.mark.parametrize("directory", [".", "estate", "--->", "a b/ü", "a--b", "x" * 300, "<b>"])
def test_every_directory_gives_a_marker(directory: str) -> None:
    assert marker(marker_name(directory)).startswith("<!-- reconcile review: ")


def _section(number: int, name: str = "s") -> Section:
    return Section(f"# {name}\n", ["12345678\n"] * number, "end\n", "thing")


def test_what_fits_is_shown_whole() -> None:
    assert fit([[_section(2)]], limit=100) == "# s\n12345678\n12345678\nend\n"


def test_what_does_not_fit_is_counted() -> None:
    text = fit([[_section(1000)]], limit=200)
    assert size(text) <= 200
    shown = text.count("12345678\n")
    assert 0 < shown < 20
    assert f"…and {1000 - shown} more things, left out for length." in text


def test_every_heading_stays() -> None:
    text = fit([[_section(1000, "a"), _section(1000, "b")], [_section(1000, "c")]], limit=300)
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# a", "# b", "# c"]


def test_groups_share_the_room() -> None:
    text = fit([[_section(1000, "a")], [_section(1000, "b")]], limit=1000)
    first, second = text.split("# b")
    assert abs(first.count("12345678") - second.count("12345678")) <= 1


def test_what_one_group_leaves_another_takes() -> None:
    text = fit([[_section(1, "a")], [_section(50, "b")]], limit=1000)
    assert text.count("12345678") == 51


@pytest.mark.parametrize("limit", range(120, 600, 37))
def test_the_limit_holds(limit: int) -> None:
    groups = [[_section(20, "ä"), _section(3, "b")], [_section(7, "c")]]
    assert size(fit(groups, limit=limit)) <= limit or limit < size(fit(groups, limit=0))
