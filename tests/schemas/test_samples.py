"""The documents and values that the reference shows are good ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from ruamel.yaml import YAML

from schemas.v1.codec import parse_spec
from schemas.v1.document import parse_document, parse_selector
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS
from schemas.v1.reference import index, page
from schemas.v1.samples import ENVELOPE, SAMPLES, SECRETS, SERVERS, WRITING
from schemas.v1.scalar import Scalar
from schemas.v1.secret_reference import SECRET_REFERENCE


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def check(text: str) -> str:
    """Read a document whole; its kind."""
    document = parse_document(read(text))
    spec, kind = dict(document.spec), str(document.kind)
    if KINDS[kind].selects_servers:
        parse_selector(spec.pop("servers"))
    parse_spec(kind, spec)
    return kind


def scalars(name: str) -> Iterable[Scalar]:
    found = (row.value_type for kind in KINDS for row in fields(kind).values())
    return [one.scalar for one in found if one.scalar and one.name.removeprefix("list of ") == name]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_good_sample_on_its_page(kind: str) -> None:
    assert check(SAMPLES[kind]) == kind
    assert f"```yaml\n{SAMPLES[kind]}```" in page(KINDS[kind])


def test_the_envelope_is_good() -> None:
    assert check(ENVELOPE) == "ImapSettings"
    assert ENVELOPE in index()


@pytest.mark.parametrize("written", [written for written, _ in SERVERS])
def test_selectors_are_good(written: str) -> None:
    parse_selector(read(written)["servers"])


@pytest.mark.parametrize("written", [written for written, _ in SECRETS])
def test_references_to_secrets_are_good(written: str) -> None:
    SECRET_REFERENCE.validate(read(written)["password"])


def test_every_type_of_value_is_explained() -> None:
    types = {row.type.removeprefix("list of ") for kind in KINDS for row in fields(kind).values()}
    assert types == WRITING.keys() & types
    assert types >= WRITING.keys()


@pytest.mark.parametrize(
    ("name", "example"),
    [(name, example) for name, writing in WRITING.items() if name != "group" for example in writing.examples],
)
def test_examples_are_values_of_their_type(name: str, example: str) -> None:
    def takes(scalar: Scalar) -> bool:
        try:
            scalar.parse(read(example))
        except ValueError:
            return False
        return True

    assert any(takes(scalar) for scalar in scalars(name))
