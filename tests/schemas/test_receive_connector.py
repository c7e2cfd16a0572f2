"""Which combinations of a connector's fields are valid, and what its usage stands for."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.v1.codec import dump_spec, parse_spec
from schemas.v1.receive_connector import ReceiveConnector
from tests.schemas.building import errors


def connector(**fields: Any) -> ReceiveConnector:
    found = parse_spec("ReceiveConnector", fields)
    assert isinstance(found, ReceiveConnector)
    return found


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"authMechanism": ["None", "Tls"]}, "authMechanism"),
        ({"authMechanism": ["BasicAuthRequireTLS", "Tls"]}, "authMechanism"),
        ({"authMechanism": ["BasicAuthRequireTLS", "BasicAuth"]}, "authMechanism"),
        (
            {
                "authMechanism": ["ExternalAuthoritative", "BasicAuth"],
                "permissionGroups": ["ExchangeServers"],
            },
            "authMechanism",
        ),
        ({"authMechanism": ["ExternalAuthoritative"]}, "permissionGroups"),
        (
            {
                "authMechanism": ["ExternalAuthoritative", "Tls"],
                "permissionGroups": ["ExchangeServers"],
                "domainSecureEnabled": True,
            },
            "domainSecureEnabled",
        ),
        ({"authMechanism": ["None"], "requireTLS": True}, "requireTLS"),
        ({"authMechanism": ["BasicAuth"], "domainSecureEnabled": True}, "domainSecureEnabled"),
        ({"permissionGroups": ["None", "AnonymousUsers"]}, "permissionGroups"),
        ({"binaryMimeEnabled": True, "chunkingEnabled": False}, "binaryMimeEnabled"),
        ({"connectionInactivityTimeout": "10m"}, "connectionInactivityTimeout"),
        ({"connectionInactivityTimeout": "5m", "connectionTimeout": "5m"}, "connectionInactivityTimeout"),
        ({"longAddressesEnabled": True, "transportRole": "FrontendTransport"}, "longAddressesEnabled"),
        ({"banner": "Welcome"}, "banner"),
        ({"bindings": []}, "bindings"),
        ({"tlsDomainCapabilities": ["contoso.example"]}, "tlsDomainCapabilities.0"),
    ],
)
def test_an_invalid_combination_is_told_at_one_field(changes: dict[str, Any], path: str) -> None:
    assert [found for found, _ in errors("ReceiveConnector", **changes)] == [path]


@pytest.mark.parametrize(
    "changes",
    [
        {"authMechanism": ["None"]},
        {"authMechanism": ["BasicAuth"]},
        {"authMechanism": ["BasicAuthRequireTLS", "BasicAuth", "Tls"], "requireTLS": True},
        {"authMechanism": ["ExternalAuthoritative", "Tls"], "permissionGroups": ["ExchangeServers"]},
        {"binaryMimeEnabled": False, "chunkingEnabled": False},
        {"banner": "220 mail.contoso.example ready"},
    ],
)
def test_a_valid_combination_is_accepted(changes: dict[str, Any]) -> None:
    assert not errors("ReceiveConnector", **changes)


def test_a_usage_fills_in_what_is_not_declared() -> None:
    found = connector(usage="Client")
    assert [str(binding) for binding in found.bindings] == ["0.0.0.0:587"]
    assert found.permission_groups == ("ExchangeUsers",)
    assert found.auth_mechanism == ("BasicAuth", "BasicAuthRequireTLS", "Integrated", "Tls")


def test_what_is_declared_wins_over_the_usage() -> None:
    found = connector(usage="Client", bindings=["127.0.0.1:10587"], permissionGroups=["AnonymousUsers"])
    assert [str(binding) for binding in found.bindings] == ["127.0.0.1:10587"]
    assert found.permission_groups == ("AnonymousUsers",)


def test_a_usage_works_from_python_too() -> None:
    found = ReceiveConnector.model_validate({"usage": "Internal", "auth_mechanism": ["Tls"]})
    assert found.auth_mechanism == ("Tls",)


RELAY = "ms-Exch-SMTP-Accept-Any-Recipient"


def test_nobody_holds_rights_beyond_the_groups_by_default() -> None:
    assert dump_spec(connector(bindings=["127.0.0.1:25"]))["extendedRights"] == {
        "anonymousLogon": [],
        "authenticatedUsers": [],
    }


def test_rights_are_a_set() -> None:
    rights = {"anonymousLogon": [RELAY, "ms-Exch-SMTP-Submit", RELAY]}
    found = connector(bindings=["127.0.0.1:25"], extendedRights=rights).extended_rights
    assert found.anonymous_logon == (RELAY, "ms-Exch-SMTP-Submit")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "ms-Exch-SMTP-Accept-Authoritative-Domain",
            "did you mean ms-Exch-SMTP-Accept-Authoritative-Domain-Sender? It lets whoever holds it send as",
        ),
        ("s-Exch-SMTP-Accept-Any-Recipient", f"did you mean {RELAY}?"),
        (RELAY.lower(), f"write {RELAY}"),
        ("ms-Exch-Bypass-Anti-Spam", "Exchange has this right, but nothing here acts on it; leave it out"),
    ],
)
def test_a_right_that_is_not_known_is_refused_with_what_was_meant(name: str, hint: str) -> None:
    ((path, message),) = errors("ReceiveConnector", extendedRights={"anonymousLogon": [name]})
    assert path == "extendedRights.anonymousLogon.0"
    assert f'got "{name}": {hint}' in message


def test_rights_are_given_to_known_principals() -> None:
    ((path, _),) = errors("ReceiveConnector", extendedRights={"exchangeServers": [RELAY]})
    assert path == "extendedRights.exchangeServers"


@pytest.mark.parametrize("usage", ["Internet", "Partner", "Custom"])
def test_other_usages_need_bindings(usage: str) -> None:
    with pytest.raises(ValueError, match="bindings"):
        connector(usage=usage)


def test_everybody_is_served_by_default() -> None:
    found = connector(bindings=["127.0.0.1:25"]).remote_ip_ranges
    assert [str(served) for served in found] == ["0.0.0.0/0", "::/0"]
