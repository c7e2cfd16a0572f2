"""What `ImapSettings` and `PopSettings` have in common: one settings object a server and protocol.

Every parameter that Set-ImapSettings and Set-PopSettings share is declared here, once. Parameters whose default or
range differs, and those of one protocol alone, stand with their kind. A change of any of them applies after a restart
of the protocol's front end and back end, as Exchange documents.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from schemas.v1.base import Exchange, SecurityRelevant, Spec, Unit
from schemas.v1.scalar import Words, numbered_from
from schemas.v1.types import (
    INT32,
    Between,
    ConnectionSettingValue,
    Duration,
    Flag,
    HostName,
    Line,
    SetOf,
    SizeLimit,
    Text,
    Whole,
)
from schemas.v1.words import ExtendedProtection, MimeTextFormat


@numbered_from(1)
class LoginType(Words):
    """Which credentials are accepted on a connection without TLS."""

    PLAIN_TEXT_LOGIN = "PlainTextLogin"
    PLAIN_TEXT_AUTHENTICATION = "PlainTextAuthentication"
    SECURE_LOGIN = "SecureLogin"


@numbered_from(0)
class CalendarItemRetrieval(Words):
    """How a calendar item is shown to a client."""

    I_CALENDAR = "iCalendar"
    INTRANET_URL = "IntranetUrl"
    INTERNET_URL = "InternetUrl"
    CUSTOM = "Custom"


@numbered_from(1)
class LogFileRollOver(Words):
    """For how long one log file is written."""

    HOURLY = "Hourly"
    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"


class ProtocolSettings(Spec):
    """Settings of the POP3 or the IMAP4 services of one server."""

    login_type: Annotated[
        LoginType,
        SecurityRelevant("decides whether a password may cross the network in clear text"),
        Exchange("LoginType"),
        Field(description="Which credentials are accepted before TLS is on; SecureLogin accepts none."),
    ] = LoginType.SECURE_LOGIN
    x509_certificate_name: Annotated[
        HostName | None,
        SecurityRelevant("decides which certificate clients are shown"),
        Exchange("X509CertificateName"),
        Field(description="Host name that picks the TLS certificate. Null: the server's own name."),
    ] = None
    max_connections: Annotated[
        Whole,
        Between(1, INT32),
        Unit("connections"),
        SecurityRelevant("limits how many connections one client can hold"),
        Exchange("MaxConnections"),
        Field(description="Connections to the server at one time, logged on or not."),
    ] = INT32
    max_connection_from_single_ip: Annotated[
        Whole,
        Between(1, INT32),
        Unit("connections"),
        SecurityRelevant("limits how many connections one client can hold"),
        Exchange("MaxConnectionFromSingleIP"),
        Field(description="Connections from one client address at one time."),
    ] = INT32
    max_connections_per_user: Annotated[
        Whole,
        Between(1, INT32),
        Unit("connections"),
        SecurityRelevant("limits how many connections one client can hold"),
        Exchange("MaxConnectionsPerUser"),
        Field(description="Connections of one logged-on user at one time."),
    ] = 16
    authenticated_connection_timeout: Annotated[
        Duration,
        Between("00:00:30", "1.00:00:00"),
        Exchange("AuthenticatedConnectionTimeout"),
        Field(description="How long a connection may be idle after logon before the server closes it."),
    ] = timedelta(minutes=30)
    pre_authenticated_connection_timeout: Annotated[
        Duration,
        Between("00:00:30", "01:00:00"),
        Exchange("PreAuthenticatedConnectionTimeout"),
        Field(description="How long a connection may be idle before logon."),
    ] = timedelta(minutes=1)
    protocol_log_enabled: Annotated[
        Flag,
        SecurityRelevant("keeps the record of who connected and logged on"),
        Exchange("ProtocolLogEnabled"),
        Field(description="Write the protocol log."),
    ] = False
    log_file_location: Annotated[
        Text | None,
        Exchange("LogFileLocation"),
        Field(description="Directory of the protocol log. Null: the server's own log directory."),
    ] = None
    log_file_roll_over_settings: Annotated[
        LogFileRollOver,
        Exchange("LogFileRollOverSettings"),
        Field(description="When a new log file is begun, as long as logPerFileSizeQuota is 0."),
    ] = LogFileRollOver.HOURLY
    log_per_file_size_quota: Annotated[
        SizeLimit,
        Unit("bytes"),
        Exchange("LogPerFileSizeQuota"),
        Field(description="Size at which a new log file is begun. 0: by time instead; Unlimited: never."),
    ] = 0
    internal_connection_settings: Annotated[
        tuple[ConnectionSettingValue, ...] | None,
        SetOf(keeps_null=True),
        Exchange("InternalConnectionSettings"),
        Field(
            description="What clients inside, and servers that forward to this one, are told to use. "
            "Null: this server's name with the standard ports."
        ),
    ] = None
    external_connection_settings: Annotated[
        tuple[ConnectionSettingValue, ...],
        SetOf(),
        Exchange("ExternalConnectionSettings"),
        Field(description="What clients on the Internet are told to use. It opens no listener."),
    ] = ()
    message_retrieval_mime_format: Annotated[
        MimeTextFormat,
        Exchange("MessageRetrievalMimeFormat"),
        Field(description="The form in which message bodies are given to clients; a mailbox may differ."),
    ] = MimeTextFormat.BEST_BODY_FORMAT
    enable_exact_rfc822_size: Annotated[
        Flag,
        Exchange("EnableExactRFC822Size"),
        Field(description="Report exact message sizes rather than estimates."),
    ] = False
    suppress_read_receipt: Annotated[
        Flag,
        Exchange("SuppressReadReceipt"),
        Field(
            description="Send a read receipt only when the message is opened, not when it is downloaded too."
        ),
    ] = False
    calendar_item_retrieval_option: Annotated[
        CalendarItemRetrieval,
        Exchange("CalendarItemRetrievalOption"),
        Field(description="How calendar items are given to clients: as iCalendar, or as a link."),
    ] = CalendarItemRetrieval.I_CALENDAR
    owa_server_url: Annotated[
        Line | None,
        Exchange("OwaServerUrl"),
        Field(description="Base of calendar links when calendarItemRetrievalOption is Custom."),
    ] = None
    enable_gssapi_and_ntlm_auth: Annotated[
        Flag,
        SecurityRelevant("decides which logon mechanisms are offered"),
        Exchange("EnableGSSAPIAndNTLMAuth"),
        Field(description="Offer Integrated Windows authentication (NTLM and Kerberos)."),
    ] = True
    extended_protection_policy: Annotated[
        ExtendedProtection,
        SecurityRelevant("binds a logon to the TLS connection that it is made on"),
        Exchange("ExtendedProtectionPolicy"),
        Field(description="Channel binding for Integrated Windows authentication."),
    ] = ExtendedProtection.NONE
    enforce_certificate_errors: Annotated[
        Flag,
        SecurityRelevant("decides whether another server's certificate is checked"),
        Exchange("EnforceCertificateErrors"),
        Field(
            description="Refuse a server that this one forwards to when its certificate is not valid for it."
        ),
    ] = False

    def rules(self) -> Iterator[tuple[str, str]]:
        is_custom = self.calendar_item_retrieval_option is CalendarItemRetrieval.CUSTOM
        if is_custom and self.owa_server_url is None:
            yield (
                "calendar_item_retrieval_option",
                "Custom needs owaServerUrl, the address that links begin with",
            )
