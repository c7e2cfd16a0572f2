"""Which combinations of a connector's fields are valid, and what its usage stands for."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.v1.codec import parse_spec
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


@pytest.mark.parametrize("usage", ["Internet", "Partner", "Custom"])
def test_other_usages_need_bindings(usage: str) -> None:
    with pytest.raises(ValueError, match="bindings"):
        connector(usage=usage)


def test_everybody_is_served_by_default() -> None:
    found = connector(bindings=["127.0.0.1:25"]).remote_ip_ranges
    assert [str(served) for served in found] == ["0.0.0.0/0", "::/0"]
