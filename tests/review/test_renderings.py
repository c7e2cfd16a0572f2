"""A review as a comment, as text, as data and as annotations: complete, safe, below the limit, the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from reconciler.model import Plan
from reconciler.rendering.github import render_github
from reconciler.rendering.plan_json import plan_json
from reconciler.review.markup import size
from reconciler.review.renderings import LIMIT, as_diagnostics, render_markdown, render_text, review_json
from tests.rendering.golden import assert_golden
from tests.review.repositories import ESTATE, IMAP, Clone, changed, mailbox


def _busy(root: Path) -> Clone:
    """A branch with something of everything."""
    clone = Clone(root, {**ESTATE, "estate/bob.yaml": mailbox("bob")})
    clone.branch()
    clone.commit({"estate/carol.yaml": mailbox("carol")}, without=("estate/bob.yaml",))
    clone.replace("estate/imap.yaml", "SecureLogin", "PlainTextLogin")
    clone.replace("estate/imap.yaml", "User: 16", "User: 500")
    return clone


def _comment(clone: Clone, **more: object) -> str:
    return render_markdown(clone.review(**more), name="estate")  # type: ignore[arg-type]


def test_the_comment_is_the_golden_one(tmp_path: Path) -> None:
    assert_golden("review.md", _comment(_busy(tmp_path)))


def test_the_text_is_the_golden_one(tmp_path: Path) -> None:
    assert_golden("review.txt", render_text(_busy(tmp_path).review()))


def test_it_is_the_same_wherever_the_clone_lies(tmp_path: Path) -> None:
    assert _comment(_busy(tmp_path / "a")) == _comment(_busy(tmp_path / "b" / "c"))


def test_the_marker_comes_first(tmp_path: Path) -> None:
    assert _comment(Clone(tmp_path)).splitlines()[0] == "<!-- reconcile review: estate -->"


def test_no_change_is_one_line(tmp_path: Path) -> None:
    comment = _comment(Clone(tmp_path))
    assert "### Mail review: no change in meaning" in comment
    assert "Nothing changes in meaning." in comment


def test_errors_have_their_place(tmp_path: Path) -> None:
    comment = _comment(changed(tmp_path, "imap.yaml", "User: 16", "User: many"))
    assert "### Mail review: 1 error in the declared estate" in comment
    assert "(`estate/imap.yaml:7`)" in comment


def test_a_broken_base_is_folded(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/imap.yaml": IMAP.replace("16", "many")})
    clone.branch()
    clone.replace("estate/imap.yaml", "many", "16")
    comment = _comment(clone)
    assert "<details><summary>Base does not validate, so nothing can be compared (1)</summary>" in comment


def test_the_footer_names_what_it_was_made_from(tmp_path: Path) -> None:
    clone = _busy(tmp_path)
    review = clone.review()
    body, _, footer = render_markdown(review, name="estate").rpartition("\n---\n")
    digest = review.comparisons[0].head.digest
    content = hashlib.sha256(body.encode()).hexdigest()
    assert [clone.git("rev-parse", "main"), clone.git("rev-parse", "HEAD"), digest, content] == re.findall(
        r"`([0-9a-f]+)`", footer
    )


def test_the_footer_carries_the_digest_of_the_plan(tmp_path: Path) -> None:
    review = _busy(tmp_path).review()
    plan = review.comparisons[0].plan
    assert isinstance(plan, Plan)
    assert str(plan_json(plan)["configurationDigest"]) in render_markdown(review, name="estate")


def test_every_environment_has_its_part(tmp_path: Path) -> None:
    patch = IMAP.replace("  servers: [ex01]\n", "")
    files = {f"estate/overlays/{name}/imap.yaml": patch for name in ("production", "staging")}
    clone = Clone(
        tmp_path,
        {"estate/base/server.yaml": ESTATE["estate/server.yaml"], "estate/base/i.yaml": IMAP, **files},
    )
    comment = _comment(clone)
    assert "### Environment `production`" in comment
    assert "configuration of `staging`" in comment


# What is hostile

_HOSTILE = "x` </details> @alice #1 | [a](https://contoso.example) <!-- --> ``` \\u202e &"


def test_a_hostile_value_stays_in_its_code_span(tmp_path: Path) -> None:
    comment = _comment(changed(tmp_path, "imap.yaml", "spec:", f"spec:\n  banner: {json.dumps(_HOSTILE)}"))
    outside = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", comment)
    assert "@alice" in comment
    for mark in ("@alice", "contoso", "<!-- -->", "#1"):
        assert mark not in outside
    assert outside.count("</details>") == outside.count("<details>")


def test_a_hostile_file_name_stays_in_its_code_span(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({"estate/`@alice`\n<b>.yaml": mailbox("bob")})
    assert "(``estate/`@alice`\\n<b>.yaml:1``)" in _comment(clone)


def test_a_file_name_that_is_no_text_is_shown_by_its_bytes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({os.fsdecode(b"estate/\xff.yaml"): mailbox("bob")})
    review = clone.review()
    assert "`estate/\\udcff.yaml:1`" in render_markdown(review, name="estate")
    assert json.dumps(review_json(review)).isascii()


def test_a_hostile_error_stays_in_its_code_span(tmp_path: Path) -> None:
    comment = _comment(changed(tmp_path, "imap.yaml", "spec:", 'spec:\n  "`</details>@alice": 1'))
    assert '``unknown field "`</details>@alice" of ImapSettings``' in comment


def test_a_hostile_reason_stays_in_its_code_span(tmp_path: Path) -> None:
    ignoring = 'lifecycle: {ignore: [{path: banner, reason: "@alice `said` so"}]}\nspec:'
    comment = _comment(changed(tmp_path, "imap.yaml", "spec:", ignoring))
    assert "@alice" not in re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", comment)


def test_a_hostile_branch_name_stays_in_its_code_span(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch("a`</b>@alice")
    assert "``a`</b>@alice``" in _comment(clone, head="a`</b>@alice")


def test_no_password_shows(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/secrets/alice": "correct horse"})
    clone.branch()
    clone.commit({"estate/secrets/alice": "battery staple"})
    review = clone.review()
    shown = [
        render_text(review),
        render_markdown(review, name="x"),
        json.dumps(review_json(review)),
        render_github(as_diagnostics(review)),
    ]
    assert not any("battery" in text or "correct" in text for text in shown)


# What is large


def test_a_large_change_stays_below_the_limit(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({"estate/many.yaml": "---\n".join(mailbox(f"user{number}") for number in range(1500))})
    comment = _comment(clone)
    assert LIMIT - 1000 < size(comment) <= LIMIT
    assert "1,500 new" in comment
    assert re.search(r"…and [\d,]+ more resources, left out for length\.", comment)
    assert comment.count("<details>") == comment.count("</details>")
    assert comment.endswith("</sub>\n")


def test_no_resource_is_cut_in_two(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({"estate/many.yaml": "---\n".join(mailbox(f"user{number}") for number in range(30))})
    comment = render_markdown(clone.review(), name="estate", limit=8_000)
    blocks = re.findall(r"- \*\*new\*\* `Mailbox/user\d+`.*\n(?:  - .*\n)+", comment)
    assert 0 < len(blocks) < 30
    assert {block.count("\n") for block in blocks} == {blocks[0].count("\n")}


# For programs


def test_the_json_says_everything(tmp_path: Path) -> None:
    found = review_json(_busy(tmp_path).review())
    assert (found["format"], found["isChanged"], found["isRefused"]) == ("reconciler/review/v1", True, True)
    assert json.loads(json.dumps(found)) == found


def test_annotations_point_at_lines(tmp_path: Path) -> None:
    lines = render_github(as_diagnostics(_busy(tmp_path).review())).splitlines()
    assert any(
        line.startswith("::error file=estate/imap.yaml,line=7,col=26,title=few-connections::")
        for line in lines
    )
    assert any(
        line.startswith("::warning file=estate/imap.yaml,line=6,col=14,title=look-at-first::")
        for line in lines
    )


def test_an_error_of_before_is_a_warning_in_annotations(tmp_path: Path) -> None:
    clone = Clone(tmp_path, {**ESTATE, "estate/imap.yaml": IMAP.replace("16", "500")})
    clone.branch()
    clone.replace("estate/imap.yaml", "500", "600")
    lines = render_github(as_diagnostics(clone.review())).splitlines()
    (line,) = (line for line in lines if "title=few-connections" in line)
    assert line.startswith("::warning file=estate/imap.yaml,line=7,")
    assert line.endswith("; this error was there before")
    assert not any(line.startswith("::error") for line in lines)


@pytest.mark.parametrize("name", ["a,b:c.yaml", "100%.yaml", "new\nline.yaml"])
def test_an_annotation_stays_on_its_line(tmp_path: Path, name: str) -> None:
    clone = Clone(tmp_path)
    clone.branch()
    clone.commit({f"estate/{name}": IMAP.replace("imap}", "other}")})
    (line,) = (
        line for line in render_github(as_diagnostics(clone.review())).splitlines() if "duplicate" in line
    )
    head, _, message = line.removeprefix("::").partition("::")
    assert head.count(",") == 3
    assert "\n" not in message
