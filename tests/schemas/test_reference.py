"""The reference pages: up to date and complete."""

from __future__ import annotations

import pytest

from schemas.v1.document import Metadata
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS
from schemas.v1.reference import generated, page


def test_the_checked_in_pages_are_up_to_date() -> None:
    assert generated().stale() == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_has_every_field(kind: str) -> None:
    text = page(KINDS[kind])
    assert [path for path in fields(kind) if f"\n## {path}\n" not in text] == []


def test_a_page_says_what_is_known() -> None:
    text = page(KINDS["ImapSettings"]).partition("## maxConnectionsPerUser\n")[2].partition("\n## ")[0]
    assert "- Default: `16`" in text
    assert "- Allowed: between 1 and 2147483647" in text
    assert "- A change: restarts imap4, imap4-backend" in text
    assert "- Exchange: `MaxConnectionsPerUser`" in text


def test_a_page_says_what_is_not_enforced() -> None:
    text = page(KINDS["ImapSettings"]).partition("## suppressReadReceipt\n")[2].partition("\n## ")[0]
    assert "- State: declared, not yet enforced" in text


def test_it_says_where_a_name_is_unique() -> None:
    """Two documents of one name may be for different servers, as long as no overlay changes them."""
    assert "unique in its kind, or in its kind on each server" in generated().texts["README.md"]
    told = Metadata.model_fields["name"].description or ""
    assert "of a kind that selects servers, among those of its kind for one server" in told
    assert "What an overlay changes must be the only one" in told
