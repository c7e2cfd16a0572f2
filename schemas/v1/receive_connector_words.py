"""The words of `ReceiveConnector`, and what each usage stands for (New-ReceiveConnector)."""

from collections.abc import Mapping
from typing import Any

from schemas.v1.addresses import parse_wildcard_name
from schemas.v1.scalar import Scalar, Words


class TransportRole(Words):
    """Which service opens the connector: frontend-transport or transport."""

    FRONTEND_TRANSPORT = "FrontendTransport"
    HUB_TRANSPORT = "HubTransport"


class Usage(Words):
    """A template of rights and mechanisms for a purpose."""

    CLIENT = "Client"
    CUSTOM = "Custom"
    INTERNAL = "Internal"
    INTERNET = "Internet"
    PARTNER = "Partner"


class AuthMechanism(Words):
    """How a client may authenticate, and whether TLS is offered."""

    NONE = "None"
    TLS = "Tls"
    INTEGRATED = "Integrated"
    BASIC_AUTH = "BasicAuth"
    BASIC_AUTH_REQUIRE_TLS = "BasicAuthRequireTLS"
    EXCHANGE_SERVER = "ExchangeServer"
    EXTERNAL_AUTHORITATIVE = "ExternalAuthoritative"


class PermissionGroup(Words):
    """Who may use the connector."""

    NONE = "None"
    ANONYMOUS_USERS = "AnonymousUsers"
    EXCHANGE_USERS = "ExchangeUsers"
    EXCHANGE_SERVERS = "ExchangeServers"
    EXCHANGE_LEGACY_SERVERS = "ExchangeLegacyServers"
    PARTNERS = "Partners"
    CUSTOM = "Custom"


class ProtocolLoggingLevel(Words):
    """Whether the connector writes the protocol log."""

    NONE = "None"
    VERBOSE = "Verbose"


class MessageRateSource(Words):
    """What messageRateLimit counts: nothing, client addresses, users, or both."""

    NONE = "None"
    IP_ADDRESS = "IPAddress"
    USER = "User"
    ALL = "All"


class SizeMode(Words):
    """Whether EHLO announces SIZE, and whether it says how much."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    ENABLED_WITHOUT_VALUE = "EnabledwithoutValue"


_BASIC_AUTH = [AuthMechanism.TLS, AuthMechanism.BASIC_AUTH, AuthMechanism.BASIC_AUTH_REQUIRE_TLS]

#: What each usage gives where the declaration says nothing (New-ReceiveConnector).
USAGE_DEFAULTS: Mapping[Usage, Mapping[str, Any]] = {
    Usage.CLIENT: {
        "auth_mechanism": [*_BASIC_AUTH, AuthMechanism.INTEGRATED],
        "permission_groups": [PermissionGroup.EXCHANGE_USERS],
        "bindings": ["0.0.0.0:587"],
    },
    Usage.INTERNAL: {
        "auth_mechanism": [AuthMechanism.TLS, AuthMechanism.EXCHANGE_SERVER],
        "permission_groups": [PermissionGroup.EXCHANGE_SERVERS, PermissionGroup.EXCHANGE_LEGACY_SERVERS],
        "bindings": ["0.0.0.0:25"],
    },
    Usage.INTERNET: {"permission_groups": [PermissionGroup.ANONYMOUS_USERS]},
    Usage.PARTNER: {"permission_groups": [PermissionGroup.PARTNERS]},
    Usage.CUSTOM: {},
}

_CAPABILITY = "AcceptCloudServicesMail"


def _parse_tls_domain_capability(value: object) -> str:
    domain, _, capability = value.partition(":") if isinstance(value, str) else ("", "", "")
    if capability != _CAPABILITY:
        raise ValueError(f"the capability is {_CAPABILITY}" if capability else "")
    return f"{parse_wildcard_name(domain)}:{capability}"


TLS_DOMAIN_CAPABILITY = Scalar(
    "capability",
    f'a domain and a capability such as "mail.contoso.example:{_CAPABILITY}"',
    _parse_tls_domain_capability,
    str,
    {"type": "string", "pattern": f"^[^:]+:{_CAPABILITY}$"},
)
