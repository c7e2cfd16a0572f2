"""Links between the pages lead somewhere, and the words that users meet are explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for path, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_the_words_of_plans_and_of_status_are_explained_where_the_readme_says() -> None:
    assert "(docs/operating.md#words)" in (ROOT / "README.md").read_text(encoding="utf-8")
    section = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("## Words\n")[2]
    explained = set(re.findall(r"^\| (\w+) \| ", section, re.MULTILINE))
    assert explained >= {"drift", "generation", "hold", "outline", "owed", "pending", "reach", "revision"}
