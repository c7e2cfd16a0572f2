"""`PopSettings`: the POP3 services of one server (Set-PopSettings)."""

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.v1.base import Exchange, FieldImpact, Restarts, SecurityRelevant, Unit
from schemas.v1.protocol_settings import CalendarItemRetrieval, LogFileRollOver, LoginType, ProtocolSettings
from schemas.v1.scalar import Words, numbered_from
from schemas.v1.types import Between, Binding, BindingValue, Line, SetOf, Whole

__all__ = ["CalendarItemRetrieval", "LogFileRollOver", "LoginType", "PopSettings", "SortOrder"]


@numbered_from(0)
class SortOrder(Words):
    """In which order POP3 numbers messages: oldest first, or newest first."""

    ASCENDING = "Ascending"
    DESCENDING = "Descending"


class PopSettings(ProtocolSettings):
    """How the POP3 services of a server listen, log on, limit and log."""

    default_impact: ClassVar[FieldImpact | None] = Restarts("pop3", "pop3-backend")

    banner: Annotated[Line, Exchange("Banner"), Field(description='The greeting that follows "+OK ".')] = (
        "The Microsoft Exchange POP3 service is ready."
    )
    unencrypted_or_tls_bindings: Annotated[
        tuple[BindingValue, ...],
        SetOf(),
        SecurityRelevant("decides where clients can reach the service"),
        Exchange("UnencryptedOrTLSBindings"),
        Field(
            description="Where the service listens for connections that begin in the clear and offer STLS."
        ),
    ] = (Binding("0.0.0.0", 110), Binding("::", 110))  # noqa: S104 - Exchange listens on all addresses
    ssl_bindings: Annotated[
        tuple[BindingValue, ...],
        SetOf(),
        SecurityRelevant("decides where clients can reach the service"),
        Exchange("SSLBindings"),
        Field(description="Where the service listens for connections that begin with TLS."),
    ] = (Binding("0.0.0.0", 995), Binding("::", 995))  # noqa: S104 - as above
    proxy_target_port: Annotated[
        Whole,
        Between(1, 65535),
        Unit("TCP port"),
        Exchange("ProxyTargetPort"),
        Field(description="Port on which the back end takes connections from front ends."),
    ] = 1995
    max_command_size: Annotated[
        Whole,
        Between(40, 1024),
        Unit("bytes"),
        Exchange("MaxCommandSize"),
        Field(description="The longest command line that a client may send."),
    ] = 512
    message_retrieval_sort_order: Annotated[
        SortOrder,
        Exchange("MessageRetrievalSortOrder"),
        Field(description="How messages are numbered: Ascending has the oldest first."),
    ] = SortOrder.ASCENDING
