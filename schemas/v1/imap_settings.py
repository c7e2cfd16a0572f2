"""`ImapSettings`: the IMAP4 services of one server (Set-ImapSettings)."""

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.v1.base import Exchange, FieldImpact, Restarts, SecurityRelevant, Unit
from schemas.v1.protocol_settings import CalendarItemRetrieval, LogFileRollOver, LoginType, ProtocolSettings
from schemas.v1.types import Between, Binding, BindingValue, Flag, Line, SetOf, Whole

__all__ = ["CalendarItemRetrieval", "ImapSettings", "LogFileRollOver", "LoginType"]


class ImapSettings(ProtocolSettings):
    """How the IMAP4 services of a server listen, log on, limit and log."""

    default_impact: ClassVar[FieldImpact | None] = Restarts("imap4", "imap4-backend")

    banner: Annotated[Line, Exchange("Banner"), Field(description='The greeting that follows "* OK ".')] = (
        "The Microsoft Exchange IMAP4 service is ready."
    )
    unencrypted_or_tls_bindings: Annotated[
        tuple[BindingValue, ...],
        SetOf(),
        SecurityRelevant("decides where clients can reach the service"),
        Exchange("UnencryptedOrTLSBindings"),
        Field(
            description="Where the service listens for connections that begin in the clear and offer STARTTLS."
        ),
    ] = (Binding("0.0.0.0", 143), Binding("::", 143))  # noqa: S104 - Exchange listens on all addresses
    ssl_bindings: Annotated[
        tuple[BindingValue, ...],
        SetOf(),
        SecurityRelevant("decides where clients can reach the service"),
        Exchange("SSLBindings"),
        Field(description="Where the service listens for connections that begin with TLS."),
    ] = (Binding("0.0.0.0", 993), Binding("::", 993))  # noqa: S104 - as above
    proxy_target_port: Annotated[
        Whole,
        Between(1, 65535),
        Unit("TCP port"),
        Exchange("ProxyTargetPort"),
        Field(description="Port on which the back end takes connections from front ends."),
    ] = 1993
    max_command_size: Annotated[
        Whole,
        Between(1024, 16384),
        Unit("bytes"),
        Exchange("MaxCommandSize"),
        Field(description="The longest command line that a client may send."),
    ] = 10240
    show_hidden_folders_enabled: Annotated[
        Flag, Exchange("ShowHiddenFoldersEnabled"), Field(description="Show hidden folders to clients.")
    ] = False
