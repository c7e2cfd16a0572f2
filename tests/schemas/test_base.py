"""The base of specs: order of impacts, YAML names, rules between fields."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.v1.base import Exchange
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.impact import Impact
from tests.schemas.building import errors


def test_impacts_are_ordered_by_cost() -> None:
    assert sorted([Impact.RESTART, Impact.NONE, Impact.RELOAD]) == [
        Impact.NONE,
        Impact.RELOAD,
        Impact.RESTART,
    ]


def test_the_greater_impact_wins() -> None:
    assert max(Impact.RELOAD, Impact.RESTART, Impact.NONE) is Impact.RESTART
    assert Impact.NONE <= Impact.RELOAD < Impact.RESTART
    assert Impact.RESTART >= Impact.RESTART > Impact.NONE


@pytest.mark.parametrize(
    ("exchange", "yaml"),
    [
        ("MaxConnectionsPerUser", "maxConnectionsPerUser"),
        ("SSLBindings", "sslBindings"),
        ("UnencryptedOrTLSBindings", "unencryptedOrTLSBindings"),
        ("X509CertificateName", "x509CertificateName"),
        ("EnableGSSAPIAndNTLMAuth", "enableGSSAPIAndNTLMAuth"),
        ("RemoteIPRanges", "remoteIPRanges"),
        ("PopMaxConcurrency", "popMaxConcurrency"),
        ("SCLJunkThreshold", "sclJunkThreshold"),
        ("TLS", "tls"),
    ],
)
def test_the_yaml_name_lowers_the_leading_capitals(exchange: str, yaml: str) -> None:
    assert Exchange(exchange).yaml_name == yaml


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        ImapSettings().max_connections = 5  # type: ignore[misc]


def test_python_names_are_unknown_in_yaml() -> None:
    assert [path for path, _ in errors("ImapSettings", max_connections=5)] == ["max_connections"]


def test_every_broken_rule_is_told_at_its_field() -> None:
    found = errors("ReceiveConnector", authMechanism=["None"], requireTLS=True, domainSecureEnabled=True)
    assert [path for path, _ in found] == ["requireTLS", "domainSecureEnabled"]
