"""`ReceiveConnector`: a door through which SMTP comes in (New- and Set-ReceiveConnector).

`usage` is Exchange's template: it gives authMechanism, permissionGroups and bindings where the declaration does not.
Exchange applies a changed connector without a service restart: listening sockets open and close, sessions that are open
keep the settings they began with. Which combinations are valid is stated in `rules`.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from schemas.v1.base import Exchange, FieldImpact, Reloads, SecurityRelevant, Spec, TakesEffectAtOnce, Unit
from schemas.v1.extended_rights import ExtendedRights
from schemas.v1.receive_connector_words import (
    TLS_DOMAIN_CAPABILITY,
    USAGE_DEFAULTS,
    AuthMechanism,
    MessageRateSource,
    PermissionGroup,
    ProtocolLoggingLevel,
    SizeMode,
    TransportRole,
    Usage,
)
from schemas.v1.types import (
    INT32,
    KB,
    MB,
    UNLIMITED,
    Between,
    BindingValue,
    ByteSize,
    Duration,
    Flag,
    HostName,
    IpRange,
    IpRangeValue,
    Limit,
    Line,
    SetOf,
    Text,
    Whole,
    format_duration,
)
from schemas.v1.words import ExtendedProtection

__all__ = [
    "AuthMechanism",
    "MessageRateSource",
    "PermissionGroup",
    "ProtocolLoggingLevel",
    "ReceiveConnector",
    "SizeMode",
    "TransportRole",
    "Usage",
]

_EVERYWHERE = (
    IpRange(IPv4Address(0), IPv4Address(2**32 - 1)),
    IpRange(IPv6Address(0), IPv6Address(2**128 - 1)),
)


class ReceiveConnector(Spec):
    """Where it listens, for whom, what they must prove, and what they may send."""

    default_impact: ClassVar[FieldImpact | None] = Reloads("frontend-transport", "transport")
    filled_in: ClassVar[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
        "bindings": {"usage": tuple(usage for usage, given in USAGE_DEFAULTS.items() if "bindings" in given)}
    }

    usage: Annotated[
        Usage,
        TakesEffectAtOnce(),
        Exchange("Usage"),
        Field(description="Template for authMechanism, permissionGroups and bindings that are not declared."),
    ] = Usage.CUSTOM
    enabled: Annotated[
        Flag,
        SecurityRelevant("decides where clients can reach the service"),
        Exchange("Enabled"),
        Field(description="Whether the connector is open."),
    ] = True
    transport_role: Annotated[
        TransportRole,
        Exchange("TransportRole"),
        Field(description="FrontendTransport: opened by frontend-transport. HubTransport: by transport."),
    ] = TransportRole.HUB_TRANSPORT
    bindings: Annotated[
        tuple[BindingValue, ...],
        SetOf(),
        SecurityRelevant("decides where clients can reach the service"),
        Exchange("Bindings"),
        Field(description="Where the connector listens. Usage Client has 0.0.0.0:587, Internal 0.0.0.0:25."),
    ]
    remote_ip_ranges: Annotated[
        tuple[IpRangeValue, ...],
        SetOf(),
        SecurityRelevant("decides which clients the connector serves"),
        Exchange("RemoteIPRanges"),
        Field(description="Client addresses that it serves; the most specific connector takes a connection."),
    ] = _EVERYWHERE
    auth_mechanism: Annotated[
        tuple[AuthMechanism, ...],
        SetOf(empty=(AuthMechanism.NONE,)),
        SecurityRelevant("decides which logon mechanisms are offered"),
        Exchange("AuthMechanism"),
        Field(description="What clients may authenticate with, and whether TLS is offered."),
    ] = (AuthMechanism.TLS,)
    permission_groups: Annotated[
        tuple[PermissionGroup, ...],
        SetOf(empty=(PermissionGroup.NONE,)),
        SecurityRelevant("decides who may send and relay through the connector"),
        Exchange("PermissionGroups"),
        Field(description="Who may send through the connector."),
    ] = (PermissionGroup.NONE,)
    extended_rights: Annotated[
        ExtendedRights,
        SecurityRelevant("decides who may send and relay through the connector"),
        Field(description="Rights beyond those that permissionGroups gives."),
    ] = ExtendedRights()
    require_tls: Annotated[
        Flag,
        SecurityRelevant("decides whether mail may cross the network in clear text"),
        Exchange("RequireTLS"),
        Field(description="Refuse mail on a session without TLS."),
    ] = False
    domain_secure_enabled: Annotated[
        Flag,
        SecurityRelevant("decides whether the other side must prove its name"),
        Exchange("DomainSecureEnabled"),
        Field(description="Mutual TLS with the domains listed for it."),
    ] = False
    enable_auth_gssapi: Annotated[
        Flag,
        SecurityRelevant("decides which logon mechanisms are offered"),
        Exchange("EnableAuthGSSAPI"),
        Field(description="With Integrated, offer GSSAPI beside NTLM."),
    ] = False
    extended_protection_policy: Annotated[
        ExtendedProtection,
        SecurityRelevant("binds a logon to the TLS connection that it is made on"),
        Exchange("ExtendedProtectionPolicy"),
        Field(description="Channel binding for Integrated Windows authentication."),
    ] = ExtendedProtection.NONE
    suppress_x_anonymous_tls: Annotated[
        Flag,
        SecurityRelevant("decides whether traffic between servers is encrypted"),
        Exchange("SuppressXAnonymousTls"),
        Field(description="Do not offer X-ANONYMOUSTLS."),
    ] = False
    tls_certificate_name: Annotated[
        Text | None,
        SecurityRelevant("decides which certificate clients are shown"),
        Exchange("TlsCertificateName"),
        Field(description="Certificate by issuer and subject, as <I>issuer<S>subject. Null: by fqdn."),
    ] = None
    tls_domain_capabilities: Annotated[
        tuple[Annotated[str, TLS_DOMAIN_CAPABILITY], ...],
        SetOf(),
        SecurityRelevant("gives rights to hosts by their certificate"),
        Exchange("TlsDomainCapabilities"),
        Field(
            description="What hosts known by their certificate may do beyond others, each as domain:capability."
        ),
    ] = ()
    fqdn: Annotated[
        HostName | None,
        Exchange("Fqdn"),
        Field(description="The name that the connector gives itself. Null: the server's own name."),
    ] = None
    banner: Annotated[
        Line | None,
        Exchange("Banner"),
        Field(description="The whole greeting, beginning with 220. Null: the usual one."),
    ] = None
    advertise_client_settings: Annotated[
        Flag,
        Exchange("AdvertiseClientSettings"),
        Field(description="Show users the connector's address in Outlook on the web."),
    ] = False
    service_discovery_fqdn: Annotated[
        HostName | None, Exchange("ServiceDiscoveryFqdn"), Field(description="Name for service discovery.")
    ] = None
    default_domain: Annotated[
        HostName | None,
        Exchange("DefaultDomain"),
        Field(description="Accepted domain that completes addresses without one."),
    ] = None
    comment: Annotated[
        Text | None, TakesEffectAtOnce(), Exchange("Comment"), Field(description="A note for people.")
    ] = None
    protocol_logging_level: Annotated[
        ProtocolLoggingLevel,
        SecurityRelevant("keeps the record of who connected and logged on"),
        Exchange("ProtocolLoggingLevel"),
        Field(description="Verbose writes the protocol log."),
    ] = ProtocolLoggingLevel.NONE
    connection_timeout: Annotated[
        Duration,
        Between("00:00:01", "1.00:00:00"),
        Exchange("ConnectionTimeout"),
        Field(description="How long a session may last, even while data flows."),
    ] = timedelta(minutes=10)
    connection_inactivity_timeout: Annotated[
        Duration,
        Between("00:00:01", "1.00:00:00"),
        Exchange("ConnectionInactivityTimeout"),
        Field(description="How long a session may be idle; below connectionTimeout."),
    ] = timedelta(minutes=5)
    max_inbound_connection: Annotated[
        Limit,
        Between(1, INT32),
        Unit("connections"),
        SecurityRelevant("limits how many connections one client can hold"),
        Exchange("MaxInboundConnection"),
        Field(description="Connections at one time."),
    ] = 5000
    max_inbound_connection_per_source: Annotated[
        Limit,
        Between(1, 10000),
        Unit("connections"),
        SecurityRelevant("limits how many connections one client can hold"),
        Exchange("MaxInboundConnectionPerSource"),
        Field(description="Connections from one client address at one time."),
    ] = 20
    max_inbound_connection_percentage_per_source: Annotated[
        Whole,
        Between(1, 100),
        Unit("percent"),
        SecurityRelevant("limits how many connections one client can hold"),
        Exchange("MaxInboundConnectionPercentagePerSource"),
        Field(description="The same as a share of the connections that are still free."),
    ] = 2
    message_rate_limit: Annotated[
        Limit,
        Between(1, INT32),
        Unit("messages/minute"),
        SecurityRelevant("limits what one source can send"),
        Exchange("MessageRateLimit"),
        Field(description="Messages that one source may send in a minute."),
    ] = UNLIMITED
    message_rate_source: Annotated[
        MessageRateSource,
        Exchange("MessageRateSource"),
        Field(description="What counts as one source: the address, the user, or both."),
    ] = MessageRateSource.IP_ADDRESS
    max_message_size: Annotated[
        ByteSize,
        Between("64KB", "2147483647B"),
        Unit("bytes"),
        Exchange("MaxMessageSize"),
        Field(description="The largest message; SIZE announces it."),
    ] = 36 * MB
    max_header_size: Annotated[
        ByteSize,
        Between("1B", "2147483647B"),
        Unit("bytes"),
        Exchange("MaxHeaderSize"),
        Field(description="The largest header; beyond it the connection is closed."),
    ] = 256 * KB
    max_recipients_per_message: Annotated[
        Whole,
        Between(1, 512000),
        Unit("recipients"),
        Exchange("MaxRecipientsPerMessage"),
        Field(description="Recipients of one message; one more is refused for now."),
    ] = 200
    max_hop_count: Annotated[
        Whole,
        Between(1, 500),
        Unit("hops"),
        Exchange("MaxHopCount"),
        Field(description="Received lines that a message may carry."),
    ] = 30
    max_local_hop_count: Annotated[
        Whole,
        Between(0, 50),
        Unit("hops"),
        Exchange("MaxLocalHopCount"),
        Field(description="Received lines that name this server. 0: not counted."),
    ] = 8
    max_logon_failures: Annotated[
        Whole,
        Between(0, 10),
        Unit("failures"),
        SecurityRelevant("limits how often a password can be guessed"),
        Exchange("MaxLogonFailures"),
        Field(description="Failed logons before the connection is closed. 0: never."),
    ] = 3
    max_protocol_errors: Annotated[
        Limit,
        Between(0, INT32),
        Unit("errors"),
        Exchange("MaxProtocolErrors"),
        Field(description="Protocol errors before the connection is closed."),
    ] = 5
    max_acknowledgement_delay: Annotated[
        Duration,
        Exchange("MaxAcknowledgementDelay"),
        Field(description="Longest wait for delivery before a message is acknowledged."),
    ] = timedelta(seconds=30)
    tarpit_interval: Annotated[
        Duration,
        SecurityRelevant("limits how fast addresses can be guessed"),
        Exchange("TarpitInterval"),
        Field(description="Delay of an error reply to an anonymous client. 0: none."),
    ] = timedelta(seconds=5)
    auth_tarpit_interval: Annotated[
        Duration,
        SecurityRelevant("limits how often a password can be guessed"),
        Exchange("AuthTarpitInterval"),
        Field(description="Delay of the reply to a failed logon. 0: none."),
    ] = timedelta(seconds=5)
    size_enabled: Annotated[SizeMode, Exchange("SizeEnabled"), Field(description="Announce SIZE.")] = (
        SizeMode.ENABLED
    )
    pipelining_enabled: Annotated[
        Flag, Exchange("PipeliningEnabled"), Field(description="Offer PIPELINING.")
    ] = True
    delivery_status_notification_enabled: Annotated[
        Flag, Exchange("DeliveryStatusNotificationEnabled"), Field(description="Offer DSN.")
    ] = True
    enhanced_status_codes_enabled: Annotated[
        Flag, Exchange("EnhancedStatusCodesEnabled"), Field(description="Offer ENHANCEDSTATUSCODES.")
    ] = True
    eight_bit_mime_enabled: Annotated[
        Flag, Exchange("EightBitMimeEnabled"), Field(description="Offer 8BITMIME.")
    ] = True
    binary_mime_enabled: Annotated[
        Flag, Exchange("BinaryMimeEnabled"), Field(description="Offer BINARYMIME; needs chunkingEnabled.")
    ] = True
    chunking_enabled: Annotated[
        Flag, Exchange("ChunkingEnabled"), Field(description="Offer CHUNKING, the BDAT command.")
    ] = True
    orar_enabled: Annotated[Flag, Exchange("OrarEnabled"), Field(description="Offer XORAR.")] = False
    long_addresses_enabled: Annotated[
        Flag,
        Exchange("LongAddressesEnabled"),
        Field(description="Offer XLONGADDR, with lines of up to 8000 characters; only for HubTransport."),
    ] = False
    bare_linefeed_rejection_enabled: Annotated[
        Flag,
        SecurityRelevant("keeps one message from smuggling in another"),
        Exchange("BareLinefeedRejectionEnabled"),
        Field(
            description="Refuse a message with a line feed that no carriage return precedes. On by default, unlike "
            "Exchange: accepting it lets one message smuggle in another."
        ),
    ] = True
    require_ehlo_domain: Annotated[
        Flag, Exchange("RequireEHLODomain"), Field(description="Close the session when EHLO gives no domain.")
    ] = False
    reject_reserved_top_level_recipient_domains: Annotated[
        Flag,
        Exchange("RejectReservedTopLevelRecipientDomains"),
        Field(description="Refuse recipients in .test, .example, .invalid and .localhost."),
    ] = False
    reject_reserved_second_level_recipient_domains: Annotated[
        Flag,
        Exchange("RejectReservedSecondLevelRecipientDomains"),
        Field(description="Refuse recipients in example.com, example.net and example.org."),
    ] = False
    reject_single_label_recipient_domains: Annotated[
        Flag,
        Exchange("RejectSingleLabelRecipientDomains"),
        Field(description="Refuse recipients whose domain is a single label."),
    ] = False
    smtp_utf8_enabled: Annotated[
        Flag, Exchange("SmtpUtf8Enabled"), Field(description="Reserved by Exchange.")
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _fill_in_usage(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("usage") not in list(Usage):
            return data
        given = USAGE_DEFAULTS[Usage(data["usage"])]
        missing = {
            name: value for name, value in given.items() if not data.keys() & {name, cls.yaml_name(name)}
        }
        return {**data, **{cls.yaml_name(name): value for name, value in missing.items()}}

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from self._mechanism_rules()
        yield from self._tls_rules()
        yield from self._connection_rules()

    def _mechanism_rules(self) -> Iterator[tuple[str, str]]:
        found = set(self.auth_mechanism)
        if AuthMechanism.NONE in found and len(found) > 1:
            yield "auth_mechanism", "None stands alone; leave it out, or leave out the others"
        if AuthMechanism.BASIC_AUTH_REQUIRE_TLS in found and not {"BasicAuth", "Tls"} <= found:
            yield "auth_mechanism", "BasicAuthRequireTLS needs BasicAuth and Tls beside it"
        if AuthMechanism.EXTERNAL_AUTHORITATIVE in found:
            yield from self._external_rules(found)
        if PermissionGroup.NONE in self.permission_groups and len(self.permission_groups) > 1:
            yield "permission_groups", "None stands alone; leave it out, or leave out the others"

    def _external_rules(self, found: set[AuthMechanism]) -> Iterator[tuple[str, str]]:
        if not found <= {"ExternalAuthoritative", "Tls"}:
            yield "auth_mechanism", "beside ExternalAuthoritative only Tls may stand"
        if PermissionGroup.EXCHANGE_SERVERS not in self.permission_groups:
            yield "permission_groups", "ExternalAuthoritative in authMechanism needs ExchangeServers here"
        if self.domain_secure_enabled:
            yield "domain_secure_enabled", "it excludes ExternalAuthoritative in authMechanism"

    def _tls_rules(self) -> Iterator[tuple[str, str]]:
        if AuthMechanism.TLS in self.auth_mechanism:
            return
        for name in ("require_tls", "domain_secure_enabled"):
            if getattr(self, name):
                yield name, "it needs Tls in authMechanism"

    def _connection_rules(self) -> Iterator[tuple[str, str]]:
        if not self.bindings:
            yield "bindings", 'a connector needs an address to listen on, such as ["0.0.0.0:25"]'
        if self.connection_inactivity_timeout >= self.connection_timeout:
            limit = format_duration(self.connection_timeout)
            yield "connection_inactivity_timeout", f"it must be below connectionTimeout, {limit}"
        if self.binary_mime_enabled and not self.chunking_enabled:
            yield "binary_mime_enabled", "it needs chunkingEnabled; set both or neither"
        if self.long_addresses_enabled and self.transport_role is not TransportRole.HUB_TRANSPORT:
            yield "long_addresses_enabled", "only a connector with transportRole HubTransport has it"
        if self.banner is not None and not self.banner.startswith("220"):
            yield "banner", "the greeting begins with 220"
