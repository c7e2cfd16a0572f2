"""The published JSON Schema and the models accept and refuse the same documents.

Every field is given values that are right, nearly right and wrong. Left out are exactly:

- what the schema names as x-checked-by-model: ranges of sizes and durations and the like at fields that say so, and
  rules between fields at the fields that the spec lists;
- texts with `${` in them, which stand for values that are not known yet;
- a whole number written as 1.0, which JSON does not tell from 1.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from schemas.v1.codec import parse_spec
from schemas.v1.conditions import RULED, VALUES
from schemas.v1.document import parse_document, parse_selector
from schemas.v1.facts import fields, find
from schemas.v1.json_schema import document_schema, estate_schema, variables_document_schema
from schemas.v1.kinds import KINDS
from schemas.v1.variables import TYPES, VariableType
from tests.schemas.building import data
from tests.schemas.values import VALUES_OF_ANY_KIND, put


@cache
def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(document_schema(KINDS[kind]))


@cache
def estate() -> Draft202012Validator:
    return Draft202012Validator(estate_schema())


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document of any kind, some of its fields, selectors and metadata changed."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    spec = copy.deepcopy(data(kind))
    paths = sorted({*fields(kind), "bogus", "servers"})
    for path in draw(st.lists(st.sampled_from(paths), max_size=3, unique=True)):
        put(spec, path, draw(st.one_of(VALUES_OF_ANY_KIND, st.just(_default(kind, path)))))
    if KINDS[kind].selects_servers and "servers" not in spec:
        spec["servers"] = ["ex01"]
    found: dict[str, Any] = {
        "apiVersion": draw(st.sampled_from(["reconciler/v1"] * 9 + ["v1"])),
        "kind": kind,
        "metadata": draw(
            st.sampled_from([{"name": "it"}] * 7 + [{"name": "a b"}, {}, {"name": "a", "labels": {"a": 1}}])
        ),
        "spec": spec,
    }
    lifecycles: list[Any] = [
        {}, {"protect": True}, {"protect": 1}, {"renamedFrom": "old"}, {"renamedFrom": "a/b"}, {"prune": True},
        {"ignore": [{"path": "a", "reason": "b"}]}, {"ignore": [{"path": "a"}]}, {"ignore": None},
    ]  # fmt: skip
    if draw(st.integers(0, 3)) == 0:
        found["lifecycle"] = draw(st.sampled_from(lifecycles))
    return found


def _default(kind: str, path: str) -> Any:
    known = fields(kind).get(path)
    return None if known is None else copy.deepcopy(known.default)


def refusals(document: dict[str, Any]) -> list[tuple[str, str]]:
    """(YAML path within spec, kind of error) of everything that the models refuse; "" for what lies outside of spec."""
    try:
        checked = parse_document(document)
    except ValidationError:
        return [("", "document")]
    spec = dict(checked.spec)
    found: list[tuple[str, str]] = []
    if KINDS[checked.kind].selects_servers:
        try:
            parse_selector(spec.pop("servers", None))
        except ValueError:
            found.append(("servers", "selector"))
    try:
        parse_spec(checked.kind, spec)
    except ValidationError as failure:
        for line in failure.errors():
            path = ".".join(step for step in line["loc"] if isinstance(step, str))
            found.append((path, line["type"]))
    return found


def is_left_to_models(kind: str, path: str, error: str) -> bool:
    """True of what the schema publishes as x-checked-by-model."""
    if error == "rule":
        return path in RULED.get(kind, ())
    facts = find(kind, path)
    scalar = facts.value_type.scalar if facts else None
    return scalar is not None and scalar.name in VALUES and error in ("range", scalar.name)


@settings(max_examples=600, deadline=None)
@given(documents())
def test_schema_and_models_accept_and_refuse_the_same(document: dict[str, Any]) -> None:
    kind = document["kind"]
    refused = refusals(document)
    is_valid = validator(kind).is_valid(document)
    assert estate().is_valid(document) == is_valid
    if not refused:
        assert [error.message for error in validator(kind).iter_errors(document)] == []
    elif is_valid:
        assert [one for one in refused if not is_left_to_models(kind, *one)] == []


def test_what_is_left_to_models_is_published() -> None:
    for kind in KINDS:
        spec = document_schema(KINDS[kind])["properties"]["spec"]
        assert tuple(spec.get("x-checked-by-model", ())) == RULED.get(kind, ())
        for name, schema in spec["properties"].items():
            scalar = facts.value_type.scalar if (facts := fields(kind).get(name)) else None
            assert schema.get("x-checked-by-model") == (VALUES.get(scalar.name) if scalar else None)


@given(st.sampled_from(list(VariableType)), VALUES_OF_ANY_KIND)
def test_schema_and_models_agree_on_variables(kind: VariableType, value: Any) -> None:
    document = {
        "apiVersion": "reconciler/v1",
        "kind": "Variables",
        "metadata": {"name": "estate"},
        "spec": {"it": {"type": str(kind), "value": value}},
    }
    is_valid = Draft202012Validator(variables_document_schema()).is_valid(document)
    if kind is VariableType.SIZE and is_valid:
        return  # sizes: whole bytes, and the range
    assert is_valid == (value is None or _is_of(kind, value))
    assert estate().is_valid(document) == is_valid


def _is_of(kind: VariableType, value: Any) -> bool:
    try:
        TYPES[kind].validate(value)
    except ValueError:
        return False
    return True


def test_a_reference_may_stand_for_any_scalar() -> None:
    document = {
        "apiVersion": "reconciler/v1",
        "kind": "ImapSettings",
        "metadata": {"name": "imap-${site}"},
        "spec": {
            "servers": ["${server}"],
            "maxConnectionsPerUser": "${limit}",
            "protocolLogEnabled": "${log}",
            "sslBindings": ["127.0.0.1:${port}"],
            "loginType": "${login}",
        },
    }
    assert [error.message for error in validator("ImapSettings").iter_errors(document)] == []
