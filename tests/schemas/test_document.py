"""Documents around specs: names, labels, lifecycle, selectors."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.v1.document import ServerSelector, parse_document, parse_selector


def document(**changes: Any) -> dict[str, Any]:
    least = {
        "apiVersion": "reconciler/v1",
        "kind": "Mailbox",
        "metadata": {"name": "alice"},
        "spec": {"database": "db01"},
    }
    return {**least, **changes}


def locations(found: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        parse_document(found)
    return [".".join(map(str, line["loc"])) for line in caught.value.errors()]


def test_a_document_keeps_its_spec_as_data() -> None:
    found = parse_document(document())
    assert (found.kind, found.metadata.name, found.spec) == ("Mailbox", "alice", {"database": "db01"})


def test_fields_may_be_left_to_others() -> None:
    found = parse_document(
        document(lifecycle={"ignore": [{"path": "alias", "reason": "set by the service desk"}]})
    )
    assert [(field.path, field.reason) for field in found.lifecycle.ignore] == [
        ("alias", "set by the service desk")
    ]


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"apiVersion": "v2"}, "apiVersion"),
        ({"kind": "MailServer"}, "kind"),
        ({"metadata": {}}, "metadata.name"),
        ({"metadata": {"name": 5}}, "metadata.name"),
        ({"metadata": {"name": "a", "labels": {"site": 5}}}, "metadata.labels.site"),
        ({"metadata": {"name": "a", "colour": "red"}}, "metadata.colour"),
        ({"lifecycle": {"protect": "yes"}}, "lifecycle.protect"),
        ({"lifecycle": {"renamedFrom": "a/b"}}, "lifecycle.renamedFrom"),
        ({"lifecycle": {"prune": True}}, "lifecycle.prune"),
        ({"lifecycle": {"ignore": [{"path": "alias"}]}}, "lifecycle.ignore.0.reason"),
        ({"status": {}}, "status"),
        ({"api_version": "reconciler/v1"}, "api_version"),
    ],
)
def test_what_is_wrong_is_pointed_at(changes: dict[str, Any], location: str) -> None:
    assert locations(document(**changes)) == [location]


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "a b", ".a", "a.", "a" * 65, "näme"])
def test_a_name_is_safe_as_part_of_a_path(name: str) -> None:
    assert locations(document(metadata={"name": name})) == ["metadata.name"]


def test_servers_are_selected_by_name() -> None:
    selector = parse_selector(["ex01", "ex02"])
    assert [selector.matches(name, {}) for name in ("ex01", "ex03")] == [True, False]


def test_servers_are_selected_by_all_labels() -> None:
    selector = parse_selector({"matchLabels": {"site": "dublin", "ring": "1"}})
    assert selector.matches("ex01", {"site": "dublin", "ring": "1", "rack": "4"})
    assert not selector.matches("ex01", {"site": "dublin"})


def test_a_selector_is_a_value() -> None:
    assert parse_selector({"matchLabels": {"b": "2", "a": "1"}}) == ServerSelector(
        match_labels=(("a", "1"), ("b", "2"))
    )


@pytest.mark.parametrize(
    "value",
    [None, [], {}, "ex01", {"matchLabels": {}}, {"matchLabels": {"site": 5}}, {"names": ["ex01"]}, [5]],
)
def test_what_selects_nothing_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_selector(value)
