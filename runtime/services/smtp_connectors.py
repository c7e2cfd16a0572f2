"""A Receive connector as sessions use it, and which connector serves a connection.

`ConnectorView` is built once a generation from the frozen snapshot: name, rights, limits, TLS. The choice
follows Exchange: the listener that the client reached, then the most specific of the RemoteIPRanges that hold
its address. Nothing here talks to a client.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from runtime.net.tls import choose_certificate, server_context
from runtime.protocols.smtp.connection import Limits, Options
from runtime.protocols.smtp.content import ContentLimits, LineEndings
from runtime.protocols.smtp.ehlo import Offer
from runtime.services.base import Listener, Snapshot
from runtime.services.smtp_rights import Rights, rights_before_logon, rights_of_users
from schemas.v1.extended_rights import Right
from schemas.v1.receive_connector import AuthMechanism, ReceiveConnector, TransportRole

#: Octets of a command line with CRLF; Exchange's long addresses raise it to 8,000 characters.
COMMAND_LINE = 2048
LONG_COMMAND_LINE = 8002
#: More than any message: for sessions that are exempt from MaxMessageSize.
NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class ConnectorView:
    """One connector of a generation. `tls` is None without a usable certificate."""

    name: str
    settings: ReceiveConnector
    fqdn: str
    tls: ssl.SSLContext | None
    rights_before_logon: Rights
    rights_of_users: Rights

    @property
    def is_externally_secured(self) -> bool:
        return AuthMechanism.EXTERNAL_AUTHORITATIVE in self.settings.auth_mechanism

    @property
    def wants_tls(self) -> bool:
        return AuthMechanism.TLS in self.settings.auth_mechanism

    def limits(self, rights: Rights) -> Limits:
        """What a client with these rights may send."""
        settings = self.settings
        is_exempt = Right.BYPASS_MESSAGE_SIZE_LIMIT in rights
        content = ContentLimits(
            message=NO_LIMIT if is_exempt else settings.max_message_size,
            header=settings.max_header_size,
            hops=settings.max_hop_count,
            local_hops=settings.max_local_hop_count,
            local_name=self.fqdn,
        )
        return Limits(
            content, command_line=LONG_COMMAND_LINE if settings.long_addresses_enabled else COMMAND_LINE
        )

    def options(self) -> Options:
        """What its protocol core takes."""
        rejects = self.settings.bare_linefeed_rejection_enabled
        return Options(
            line_endings=LineEndings.REJECT if rejects else LineEndings.CONVERT,
            has_chunking=self.settings.chunking_enabled,
            is_enhanced=self.settings.enhanced_status_codes_enabled,
        )

    def offer(self, *, is_tls: bool, is_logged_on: bool) -> Offer:
        """What EHLO offers now."""
        settings = self.settings
        return Offer(
            size_mode=settings.size_enabled.value,
            size=settings.max_message_size,
            has_pipelining=settings.pipelining_enabled,
            has_enhanced_codes=settings.enhanced_status_codes_enabled,
            has_starttls=self.tls is not None and not is_tls,
            mechanisms=("LOGIN", "PLAIN") if self.offers_basic(is_tls=is_tls) and not is_logged_on else (),
            has_eight_bit=settings.eight_bit_mime_enabled,
            has_chunking=settings.chunking_enabled,
        )

    def offers_basic(self, *, is_tls: bool) -> bool:
        """Whether a password may be given now (BasicAuth; with BasicAuthRequireTLS only inside TLS)."""
        mechanisms = self.settings.auth_mechanism
        if AuthMechanism.BASIC_AUTH_REQUIRE_TLS in mechanisms and not is_tls:
            return False
        return AuthMechanism.BASIC_AUTH in mechanisms or AuthMechanism.BASIC_AUTH_REQUIRE_TLS in mechanisms


def build_views(snapshot: Snapshot, role: TransportRole) -> tuple[ConnectorView, ...]:
    """The enabled connectors of a role, by name. Raises TlsError when a chosen certificate cannot be used."""
    connectors = sorted(snapshot.connectors.items())
    return tuple(
        _view(snapshot, name, settings)
        for name, settings in connectors
        if settings.enabled and settings.transport_role is role
    )


def _view(snapshot: Snapshot, name: str, settings: ReceiveConnector) -> ConnectorView:
    fqdn = settings.fqdn or snapshot.spec.fqdn
    tls = _tls_context(snapshot, fqdn) if AuthMechanism.TLS in settings.auth_mechanism else None
    return ConnectorView(name, settings, fqdn, tls, rights_before_logon(settings), rights_of_users(settings))


def _tls_context(snapshot: Snapshot, fqdn: str) -> ssl.SSLContext | None:
    """The certificate that carries the connector's name; failing that, the first that is enabled for SMTP."""
    certificate = choose_certificate(snapshot, "SMTP", fqdn) or choose_certificate(snapshot, "SMTP", None)
    return server_context(certificate.certificate_file, certificate.private_key_file) if certificate else None


def choose_connector(views: Iterable[ConnectorView], listener: Listener, client: str) -> ConnectorView | None:
    """The connector on `listener` whose smallest range holds the client's address; None refuses the client."""
    fitting = ((size, view.name, view) for view in views for size in _sizes(view, listener, client))
    return min(fitting, key=lambda found: found[:2], default=(0, "", None))[2]


def _sizes(view: ConnectorView, listener: Listener, client: str) -> Iterator[int]:
    if not any((one.host, one.port) == (listener.host, listener.port) for one in view.settings.bindings):
        return
    address = ip_address(client.partition("%")[0])
    yield from (one.size for one in view.settings.remote_ip_ranges if one.contains(address))


def per_source_limit(settings: ReceiveConnector, open_now: int) -> int:
    """Connections that one address may have: MaxInboundConnectionPerSource, and its share of those still free
    (MaxInboundConnectionPercentagePerSource), but never less than one."""
    limits = [NO_LIMIT]
    if settings.max_inbound_connection_per_source != "Unlimited":
        limits.append(settings.max_inbound_connection_per_source)
    if settings.max_inbound_connection != "Unlimited":
        free = max(0, settings.max_inbound_connection - open_now)
        limits.append(max(1, free * settings.max_inbound_connection_percentage_per_source // 100))
    return min(limits)
