"""From data to specs and back: one canonical form for one meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.v1.base import Spec
from schemas.v1.canonical import digest_canonical
from schemas.v1.codec import digest_spec, dump_spec, parse_spec
from schemas.v1.facts import FieldFacts, fields
from schemas.v1.kinds import KINDS
from tests.schemas.building import LEAST, data, spec

SAMPLES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "text": st.text(max_size=8),
    "line": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    "integer": st.integers(min_value=0, max_value=20000) | st.just("unlimited"),
    "size": st.integers(min_value=0, max_value=1 << 33).map(str) | st.just("UNLIMITED") | st.just("64 KB"),
    "duration": st.integers(min_value=0, max_value=100000).map(lambda seconds: f"{seconds}s"),
    "host": st.sampled_from(["mail.contoso.example", "EX01.contoso.example"]),
    "domain": st.sampled_from(["Contoso.example", "*.contoso.example"]),
    "address": st.sampled_from(["bob@contoso.example", "smtp:Bob@CONTOSO.example"]),
    "alias": st.sampled_from(["alice", "a.b"]),
    "binding": st.sampled_from(["[::1]:25", "[0::1]:25", "127.0.0.1:25"]),
    "range": st.sampled_from(["192.0.2.0-192.0.2.255", "192.0.2.0/24", "::1"]),
    "connection": st.sampled_from(["mail.contoso.example:993:ssl", "mail.contoso.example:143:"]),
    "capability": st.just("contoso.example:AcceptCloudServicesMail"),
    "thumbprint": st.just("AB" * 32),
}


def sample(field: FieldFacts) -> st.SearchStrategy[Any]:
    name = field.type.removeprefix("list of ")
    one = st.sampled_from(field.words) if field.words else SAMPLES[name]
    return st.lists(one, max_size=3) if field.type.startswith("list of ") else one


def some_data(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """The least data of the kind with any of its plain fields; not all of it is valid."""
    plain = {path: field for path, field in fields(kind).items() if "." not in path and not field.is_secret}
    optional = {path: sample(field) for path, field in plain.items() if field.type != "group"}
    return st.fixed_dictionaries({}, optional=optional).map(lambda drawn: {**LEAST[kind], **drawn})


def valid(kind: str, drawn: dict[str, Any]) -> Spec | None:
    """The spec, with the fields left out that make the data invalid; None when that is not enough."""
    try:
        return parse_spec(kind, drawn)
    except ValidationError as error:
        wrong = {line["loc"][0] for line in error.errors()}
        kept = {name: value for name, value in drawn.items() if name not in wrong or name in LEAST[kind]}
    return valid(kind, kept) if len(kept) < len(drawn) else None


@pytest.mark.parametrize("kind", KINDS)
@given(drawing=st.data())
def test_the_canonical_form_is_stable(kind: str, drawing: st.DataObject) -> None:
    found = valid(kind, drawing.draw(some_data(kind)))
    if found is not None:
        again = parse_spec(kind, json.loads(json.dumps(dump_spec(found))))
        assert again == found
        assert dump_spec(again) == dump_spec(found)
        assert digest_canonical(found) == digest_spec(found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_canonical_form_holds_every_field_but_secrets(kind: str) -> None:
    expected = {path.partition(".")[0] for path, field in fields(kind).items() if not field.is_secret}
    assert dump_spec(spec(kind)).keys() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_stand_in_canonical_form(kind: str) -> None:
    built = KINDS[kind].spec.model_validate(data(kind), by_alias=True, by_name=False)
    assert parse_spec(kind, dump_spec(built)) == built


def test_two_spellings_are_one_spec() -> None:
    one = spec("ReceiveConnector", maxMessageSize="36 MB", remoteIPRanges=["192.0.2.0-192.0.2.255"])
    other = spec("ReceiveConnector", maxMessageSize=37748736, remoteIPRanges=["192.0.2.0/24"])
    assert one == other
    assert digest_spec(one) == digest_spec(other)


def test_another_meaning_is_another_digest() -> None:
    assert digest_spec(spec("ImapSettings")) != digest_spec(spec("ImapSettings", maxConnectionsPerUser=32))


def test_a_secret_is_not_dumped_and_not_digested() -> None:
    with_secret = spec("Mailbox", password={"secretRef": {"env": "ALICE"}})
    assert dump_spec(with_secret) == dump_spec(spec("Mailbox"))
    assert digest_spec(with_secret) == digest_spec(spec("Mailbox"))


def test_an_unknown_kind_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="MailServer"):
        parse_spec("MailServer", {})


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_is_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        parse_spec(kind, data(kind, bogus=1))
