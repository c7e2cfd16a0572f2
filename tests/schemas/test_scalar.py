"""Limits, sets and words: what they accept and what their errors say."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.v1.receive_connector_words import AuthMechanism
from schemas.v1.scalar import show
from tests.schemas.building import errors, spec


def only_error(kind: str, **changes: Any) -> str:
    [(_path, message)] = errors(kind, **changes)
    return message


def test_a_size_out_of_range_says_type_and_range() -> None:
    found = only_error("ReceiveConnector", maxMessageSize="1KB")
    assert found == 'expected a size such as "36MB", between 64KB and 2147483647B, got "1KB"'


def test_a_wrong_type_says_the_range_too() -> None:
    assert only_error("ImapSettings", maxCommandSize="1024") == (
        'expected a whole number, between 1024 and 16384, got "1024": a number stands without quotes'
    )


@pytest.mark.parametrize("value", [1024, 16384])
def test_the_ends_of_a_range_belong_to_it(value: int) -> None:
    assert not errors("ImapSettings", maxCommandSize=value)


@pytest.mark.parametrize("value", [1023, 16385, True])
def test_beyond_the_ends_is_refused(value: object) -> None:
    assert errors("ImapSettings", maxCommandSize=value)


def test_unlimited_passes_every_range() -> None:
    assert not errors("ReceiveConnector", maxInboundConnectionPerSource="unlimited")


def test_duplicates_of_a_set_fall_together_by_meaning() -> None:
    found: Any = spec("ImapSettings", sslBindings=["[::1]:993", "127.0.0.1:993", "[0:0::1]:993"])
    assert [str(binding) for binding in found.ssl_bindings] == ["127.0.0.1:993", "[::1]:993"]


def test_null_is_an_empty_set() -> None:
    found: Any = spec("ImapSettings", externalConnectionSettings=None)
    assert found.external_connection_settings == ()


def test_a_set_without_members_may_have_a_word() -> None:
    found: Any = spec("ReceiveConnector", authMechanism=[])
    assert found.auth_mechanism == (AuthMechanism.NONE,)


def test_one_text_is_not_a_list() -> None:
    found = only_error("ImapSettings", sslBindings="127.0.0.1:993")
    assert found == 'expected a list, got "127.0.0.1:993": write ["127.0.0.1:993"]'


def test_words_with_commas_between_are_proposed_as_a_list() -> None:
    found = only_error("ReceiveConnector", permissionGroups="AnonymousUsers,Partners")
    assert found == 'expected a list, got "AnonymousUsers,Partners": write [AnonymousUsers, Partners]'


def test_a_wrong_member_is_pointed_at_by_its_index() -> None:
    [(path, _)] = errors("ImapSettings", sslBindings=["127.0.0.1:993", "everywhere"])
    assert path == "sslBindings.1"


def test_an_unknown_word_lists_the_known_ones() -> None:
    assert only_error("ImapSettings", loginType="Secure") == (
        'expected one of PlainTextLogin, PlainTextAuthentication, SecureLogin, got "Secure"'
    )


def test_a_word_in_the_wrong_case_is_shown_in_the_right_one() -> None:
    assert only_error("ImapSettings", loginType="securelogin").endswith(": write SecureLogin")


def test_a_number_for_a_word_is_translated() -> None:
    assert only_error("ImapSettings", loginType=3).endswith("got 3: 3 is SecureLogin")


@pytest.mark.parametrize("value", [0, 4, True])
def test_a_number_that_means_nothing_is_not_translated(value: object) -> None:
    assert " is " not in only_error("ImapSettings", loginType=value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("a", '"a"'),
        ("é\n\x1b", '"\\u00e9\\n\\u001b"'),
        (5, "5"),
        ({}, "a mapping"),
        ([], "a list"),
        ("x" * 99, '"' + "x" * 58 + "…"),
    ],
)
def test_values_are_shown_as_yaml_knows_them(value: object, text: str) -> None:
    assert show(value) == text
