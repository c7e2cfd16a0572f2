"""What `fields` tells of a declaration."""

from __future__ import annotations

import pytest

from schemas.v1.enforcement import NOT_YET_ENFORCED
from schemas.v1.facts import fields, find
from schemas.v1.impact import Impact
from schemas.v1.kinds import KINDS
from schemas.v1.services import SERVICES

EVERY = [(kind, path) for kind in KINDS for path in fields(kind)]


def test_a_field_tells_everything_at_once() -> None:
    field = fields("ImapSettings")["maxConnectionsPerUser"]
    assert (field.attribute, field.exchange, field.type) == (
        "max_connections_per_user",
        "MaxConnectionsPerUser",
        "integer",
    )
    assert (field.impact, field.services) == (Impact.RESTART, ("imap4", "imap4-backend"))
    assert (field.default, field.allowed, field.unit) == (16, "between 1 and 2147483647", "connections")
    assert field.is_enforced
    assert not field.is_required


def test_groups_are_walked_into() -> None:
    field = fields("Server")["services.imap4-backend.startupType"]
    assert (field.attribute, field.default) == ("services.imap4_backend.startup_type", "Manual")
    assert (field.impact, field.services) == (Impact.RESTART, ("imap4-backend",))


def test_a_group_that_may_be_null_has_its_own_row() -> None:
    field = fields("Certificate")["selfSigned"]
    assert (field.is_nullable, field.default) == (True, None)


def test_a_group_that_is_always_there_has_none() -> None:
    assert "services" not in fields("Server")


def test_an_own_field_has_no_exchange_name() -> None:
    assert fields("Server")["drainTimeout"].exchange is None


def test_a_field_for_nobody_takes_effect_at_once() -> None:
    field = fields("ReceiveConnector")["comment"]
    assert (field.impact, field.services) == (Impact.NONE, ())


def test_secrets_are_known() -> None:
    assert [path for path, field in fields("Mailbox").items() if field.is_secret] == ["password"]


def test_what_is_security_relevant_says_why() -> None:
    assert fields("ImapSettings")["loginType"].security == (
        "decides whether a password may cross the network in clear text"
    )
    assert fields("ImapSettings")["banner"].security is None


def test_what_is_in_a_security_relevant_group_is_security_relevant() -> None:
    assert (
        fields("Certificate")["selfSigned.validDays"].security == fields("Certificate")["selfSigned"].security
    )


def test_limits_and_the_word_unlimited_are_allowed() -> None:
    assert (
        fields("ReceiveConnector")["maxInboundConnection"].allowed == "between 1 and 2147483647 or Unlimited"
    )


@pytest.mark.parametrize("path", ["bindings.0", "bindings"])
def test_an_item_is_found_with_its_list(path: str) -> None:
    found = find("ReceiveConnector", path)
    assert found is not None
    assert found.path == "bindings"


def test_what_is_no_field_is_not_found() -> None:
    assert find("ReceiveConnector", "bogus.0") is None


@pytest.mark.parametrize(("kind", "path"), EVERY)
def test_every_field_says_what_it_is(kind: str, path: str) -> None:
    description = fields(kind)[path].description
    assert description[:1].isupper() or description.startswith('"')
    assert description.endswith(".")


@pytest.mark.parametrize(("kind", "path"), EVERY)
def test_every_service_that_a_field_names_exists(kind: str, path: str) -> None:
    assert set(fields(kind)[path].services) <= SERVICES.keys()


@pytest.mark.parametrize("kind", NOT_YET_ENFORCED)
def test_only_declared_fields_can_wait_for_enforcement(kind: str) -> None:
    assert NOT_YET_ENFORCED[kind] <= fields(kind).keys()
