"""Every declared field against the table of Exchange's parameters: name, default, range, unit, words, restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from schemas.v1.base import Exchange
from schemas.v1.facts import FieldFacts, fields
from schemas.v1.impact import Impact
from schemas.v1.services import SERVICES

TABLE: dict[str, Any] = YAML(typ="safe", pure=True).load(Path(__file__).with_name("exchange_parameters.yaml"))
ROWS = [(kind, name) for kind, facts in TABLE.items() for name in facts["parameters"]]
DECLARED_IN = {"CASMailbox": "Mailbox"}


def declared(kind: str, name: str) -> FieldFacts:
    return fields(DECLARED_IN.get(kind, kind))[Exchange(name).yaml_name]


def canonical(field: FieldFacts, value: Any) -> object:
    """The table's value as the field would hold it; null stands for an empty list too."""
    scalar = field.value_type.scalar
    if field.type.startswith("list") and not field.is_nullable:
        return sorted(str(scalar.dump(scalar.parse(item)) if scalar else item) for item in value or ())
    return value if value is None or scalar is None else scalar.dump(scalar.parse(value))


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_a_parameter_is_declared_under_its_name(kind: str, name: str) -> None:
    assert declared(kind, name).exchange == name


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_a_parameter_has_its_default(kind: str, name: str) -> None:
    field, row = declared(kind, name), TABLE[kind]["parameters"][name]
    if row["default"] == "required":
        assert field.is_required
    else:
        assert field.default == canonical(field, row.get("ours", row["default"]))


@pytest.mark.parametrize(
    ("kind", "name"), [row for row in ROWS if {"min", "max"} & TABLE[row[0]]["parameters"][row[1]].keys()]
)
def test_a_parameter_has_its_range(kind: str, name: str) -> None:
    field, row = declared(kind, name), TABLE[kind]["parameters"][name]
    found = [None if limit is None else canonical(field, limit) for limit in (field.minimum, field.maximum)]
    assert found == [
        None if limit is None else canonical(field, limit) for limit in (row.get("min"), row.get("max"))
    ]


@pytest.mark.parametrize(
    ("kind", "name"), [row for row in ROWS if "enum" in TABLE[row[0]]["parameters"][row[1]]]
)
def test_a_parameter_has_its_words(kind: str, name: str) -> None:
    assert list(declared(kind, name).words) == TABLE[kind]["parameters"][name]["enum"]


@pytest.mark.parametrize(
    ("kind", "name"), [row for row in ROWS if "unit" in TABLE[row[0]]["parameters"][row[1]]]
)
def test_a_parameter_has_its_unit(kind: str, name: str) -> None:
    assert declared(kind, name).unit == TABLE[kind]["parameters"][name]["unit"]


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_a_parameter_restarts_what_exchange_restarts(kind: str, name: str) -> None:
    field, asked = declared(kind, name), TABLE[kind].get("restart", [])
    if asked:
        assert [SERVICES[service].exchange_name for service in field.services] == asked
    assert (field.impact is Impact.RESTART) == bool(asked)


@pytest.mark.parametrize("kind", sorted(set(TABLE) - {"CASMailbox"}))
def test_every_exchange_field_of_the_kind_is_in_the_table(kind: str) -> None:
    tables = [TABLE[kind], *(TABLE[other] for other, home in DECLARED_IN.items() if home == kind)]
    known = {name for table in tables for name in table["parameters"]}
    assert {field.exchange for field in fields(kind).values() if field.exchange} == known


@pytest.mark.parametrize("kind", sorted(TABLE))
def test_a_parameter_that_is_left_out_is_not_declared(kind: str) -> None:
    left_out = {Exchange(name).yaml_name for name in TABLE[kind]["not_declared"]}
    assert not left_out & fields(DECLARED_IN.get(kind, kind)).keys()
