"""`Mailbox`: a user's mailbox, its addresses and what its owner may use (Set-Mailbox, Set-CASMailbox).

The password is a reference to a secret; its text is never part of a spec. Everything applies at once, because the
directory is read live; Exchange asks for a restart after imapEnabled or popEnabled, this runtime does not.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from schemas.v1.addresses import parse_smtp_address
from schemas.v1.base import (
    Exchange,
    FieldImpact,
    Reference,
    Secret,
    SecurityRelevant,
    Spec,
    TakesEffectAtOnce,
    Unit,
)
from schemas.v1.quotas import MAX_QUOTA, at_most
from schemas.v1.scalar import Scalar
from schemas.v1.secret_reference import SecretReferenceValue
from schemas.v1.types import (
    INT32,
    UNLIMITED,
    WHOLE,
    Between,
    Duration,
    Flag,
    Limit,
    Line,
    SetOf,
    SizeLimit,
    SmtpAddress,
)
from schemas.v1.words import MimeTextFormat

_ALIAS = re.compile(r"[A-Za-z0-9!#%*+/=?^_~-]+(?:\.[A-Za-z0-9!#%*+/=?^_~-]+)*")


def _parse_alias(value: object) -> str:
    if isinstance(value, str) and len(value) <= 64 and _ALIAS.fullmatch(value):
        return value
    raise ValueError


ALIAS = Scalar(
    "alias",
    'an alias such as "alice" of at most 64 letters, digits and any of !#%*+-/=?^_~, with dots inside',
    _parse_alias,
    str,
    {"type": "string", "pattern": f"^{_ALIAS.pattern}$", "maxLength": 64},
)

_OTHER_PROXY = re.compile(r"(?P<type>[A-Za-z][A-Za-z0-9]{0,8}):(?P<address>[ -~]+)")
_PRIMARY = "SMTP:"


def _parse_proxy_address(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if text.startswith(_PRIMARY):
        return _PRIMARY + parse_smtp_address(text.removeprefix(_PRIMARY))
    match = _OTHER_PROXY.fullmatch(text)
    if match is None or match["type"].casefold() == "smtp":
        return parse_smtp_address(match["address"] if match else text)
    return f"{match['type'].casefold()}:{match['address']}"


PROXY_ADDRESS = Scalar(
    "address",
    'an address such as "alice@contoso.example" or "x500:/o=Contoso/cn=alice"',
    _parse_proxy_address,
    str,
    {"type": "string", "pattern": r"^([A-Za-z][A-Za-z0-9]{0,8}:[ -~]+|[^@\s]+@[^@\s]+)$"},
)


class Mailbox(Spec):
    """One mailbox. It names its database; the database names its server."""

    default_impact: ClassVar[FieldImpact | None] = TakesEffectAtOnce()

    database: Annotated[
        Line,
        Reference("MailboxDatabase"),
        Exchange("Database"),
        Field(description="The mailbox database that holds it. Another database means moving the mailbox."),
    ]
    alias: Annotated[
        Annotated[str, ALIAS] | None,
        Exchange("Alias"),
        Field(description="Short name for logon. Null: the mailbox's name."),
    ] = None
    primary_smtp_address: Annotated[
        SmtpAddress,
        Exchange("PrimarySmtpAddress"),
        Field(description="The address that mail is sent from."),
    ]
    email_addresses: Annotated[
        tuple[Annotated[str, PROXY_ADDRESS], ...],
        SetOf(),
        Exchange("EmailAddresses"),
        Field(description="Further addresses; the primary one may be repeated and is not kept here."),
    ] = ()
    user_principal_name: Annotated[
        SmtpAddress | None,
        Exchange("UserPrincipalName"),
        Field(description="Logon name of the form user@domain. Null: only the other names count."),
    ] = None
    password: Annotated[
        SecretReferenceValue | None,
        Secret(),
        SecurityRelevant("decides who can log on"),
        Field(description="Where the password lies. Without it nobody can log on."),
    ] = None
    imap_enabled: Annotated[
        Flag,
        SecurityRelevant("opens or closes a way to the mailbox"),
        Exchange("ImapEnabled"),
        Field(description="Whether the mailbox may be opened with IMAP."),
    ] = True
    pop_enabled: Annotated[
        Flag,
        SecurityRelevant("opens or closes a way to the mailbox"),
        Exchange("PopEnabled"),
        Field(description="Whether the mailbox may be opened with POP."),
    ] = True
    smtp_client_authentication_disabled: Annotated[
        Flag,
        SecurityRelevant("opens or closes a way to send as the mailbox"),
        Exchange("SmtpClientAuthenticationDisabled"),
        Field(
            description="Whether its owner is barred from logging on to SMTP. Exchange has it online only."
        ),
    ] = False
    throttling_policy: Annotated[
        Line | None,
        Reference("ThrottlingPolicy"),
        Exchange("ThrottlingPolicy"),
        Field(description="Policy of scope Regular. Null: that of the organization, or the global one."),
    ] = None
    imap_use_protocol_defaults: Annotated[
        Flag,
        Exchange("ImapUseProtocolDefaults"),
        Field(description="Take the server's settings for the four values that follow."),
    ] = True
    imap_enable_exact_rfc822_size: Annotated[
        Flag,
        Exchange("ImapEnableExactRFC822Size"),
        Field(description="Exact message sizes rather than estimates."),
    ] = False
    imap_force_i_cal_for_calendar_retrieval_option: Annotated[
        Flag,
        Exchange("ImapForceICalForCalendarRetrievalOption"),
        Field(description="Calendar items as iCalendar, never as links."),
    ] = False
    imap_messages_retrieval_mime_format: Annotated[
        MimeTextFormat,
        Exchange("ImapMessagesRetrievalMimeFormat"),
        Field(description="The form in which message bodies are given."),
    ] = MimeTextFormat.BEST_BODY_FORMAT
    imap_suppress_read_receipt: Annotated[
        Flag,
        Exchange("ImapSuppressReadReceipt"),
        Field(description="Read receipts only when a message is opened."),
    ] = False
    pop_use_protocol_defaults: Annotated[
        Flag,
        Exchange("PopUseProtocolDefaults"),
        Field(description="Take the server's settings for the four values that follow."),
    ] = True
    pop_enable_exact_rfc822_size: Annotated[
        Flag,
        Exchange("PopEnableExactRFC822Size"),
        Field(description="Exact message sizes rather than estimates."),
    ] = False
    pop_force_i_cal_for_calendar_retrieval_option: Annotated[
        Flag,
        Exchange("PopForceICalForCalendarRetrievalOption"),
        Field(description="Calendar items as iCalendar, never as links."),
    ] = False
    pop_messages_retrieval_mime_format: Annotated[
        MimeTextFormat,
        Exchange("PopMessagesRetrievalMimeFormat"),
        Field(description="The form in which message bodies are given."),
    ] = MimeTextFormat.BEST_BODY_FORMAT
    pop_suppress_read_receipt: Annotated[
        Flag,
        Exchange("PopSuppressReadReceipt"),
        Field(description="Read receipts only when a message is opened."),
    ] = False
    use_database_quota_defaults: Annotated[
        Flag,
        Exchange("UseDatabaseQuotaDefaults"),
        Field(description="Take the database's quotas instead of the mailbox's own."),
    ] = True
    issue_warning_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("IssueWarningQuota"),
        Field(description="Size at which the user is warned."),
    ] = UNLIMITED
    prohibit_send_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("ProhibitSendQuota"),
        Field(description="Size at which sending is refused."),
    ] = UNLIMITED
    prohibit_send_receive_quota: Annotated[
        SizeLimit,
        Between(None, MAX_QUOTA),
        Unit("bytes"),
        Exchange("ProhibitSendReceiveQuota"),
        Field(description="Size at which delivery is refused too."),
    ] = UNLIMITED
    use_database_retention_defaults: Annotated[
        Flag,
        Exchange("UseDatabaseRetentionDefaults"),
        Field(description="Take the database's retention instead of the mailbox's own."),
    ] = True
    retain_deleted_items_for: Annotated[
        Duration,
        Exchange("RetainDeletedItemsFor"),
        Field(description="How long deleted items can be brought back."),
    ] = timedelta(days=14)
    max_send_size: Annotated[
        SizeLimit,
        Between(None, "2147483647B"),
        Unit("bytes"),
        Exchange("MaxSendSize"),
        Field(description="The largest message that its owner may send."),
    ] = UNLIMITED
    max_receive_size: Annotated[
        SizeLimit,
        Between(None, "2147483647B"),
        Unit("bytes"),
        Exchange("MaxReceiveSize"),
        Field(description="The largest message that it takes."),
    ] = UNLIMITED
    recipient_limits: Annotated[
        Limit,
        Between(0, INT32),
        Unit("recipients"),
        Exchange("RecipientLimits"),
        Field(description="Recipients of one message of its owner."),
    ] = UNLIMITED
    forwarding_address: Annotated[
        Line | None,
        SecurityRelevant("sends the mailbox's mail elsewhere"),
        Exchange("ForwardingAddress"),
        Field(description="Recipient inside that mail is passed on to; it wins over forwardingSmtpAddress."),
    ] = None
    forwarding_smtp_address: Annotated[
        SmtpAddress | None,
        SecurityRelevant("sends the mailbox's mail elsewhere"),
        Exchange("ForwardingSmtpAddress"),
        Field(description="Address that mail is passed on to."),
    ] = None
    deliver_to_mailbox_and_forward: Annotated[
        Flag,
        Exchange("DeliverToMailboxAndForward"),
        Field(description="Keep a copy of mail that is passed on."),
    ] = False
    require_sender_authentication_enabled: Annotated[
        Flag,
        SecurityRelevant("decides who may write to the mailbox"),
        Exchange("RequireSenderAuthenticationEnabled"),
        Field(description="Refuse mail from senders that did not authenticate."),
    ] = False
    accept_messages_only_from: Annotated[
        tuple[Line, ...],
        SetOf(),
        SecurityRelevant("decides who may write to the mailbox"),
        Exchange("AcceptMessagesOnlyFrom"),
        Field(description="Senders that may write to it. Empty: everybody."),
    ] = ()
    accept_messages_only_from_dl_members: Annotated[
        tuple[Line, ...],
        SetOf(),
        SecurityRelevant("decides who may write to the mailbox"),
        Exchange("AcceptMessagesOnlyFromDLMembers"),
        Field(description="Groups whose members may write to it."),
    ] = ()
    accept_messages_only_from_senders_or_members: Annotated[
        tuple[Line, ...],
        SetOf(),
        SecurityRelevant("decides who may write to the mailbox"),
        Exchange("AcceptMessagesOnlyFromSendersOrMembers"),
        Field(description="Senders and groups in one list; not together with the two others."),
    ] = ()
    grant_send_on_behalf_to: Annotated[
        tuple[Line, ...],
        SetOf(),
        SecurityRelevant("decides who may send in the owner's name"),
        Exchange("GrantSendOnBehalfTo"),
        Field(description="Who may send on behalf of its owner."),
    ] = ()
    message_copy_for_sent_as_enabled: Annotated[
        Flag,
        Exchange("MessageCopyForSentAsEnabled"),
        Field(description="Keep a copy of what others send as its owner."),
    ] = False
    hidden_from_address_lists_enabled: Annotated[
        Flag,
        Exchange("HiddenFromAddressListsEnabled"),
        Field(description="Leave it out of address lists."),
    ] = False
    antispam_bypass_enabled: Annotated[
        Flag,
        SecurityRelevant("lets mail past the spam filter"),
        Exchange("AntispamBypassEnabled"),
        Field(description="Do not filter its mail for spam."),
    ] = False
    scl_junk_threshold: Annotated[
        Annotated[int, WHOLE, Between(0, 9)] | None,
        Exchange("SCLJunkThreshold"),
        Field(
            description="Spam confidence above which mail goes to the junk folder. Null: as the organization has it."
        ),
    ] = None

    @field_validator("email_addresses", mode="after")
    @classmethod
    def _leave_out_the_primary(cls, addresses: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """The primary address stands in one field only, so that changing it is one change."""
        primary: str | None = info.data.get("primary_smtp_address")
        if primary is None:
            return addresses
        wrong = [address for address in addresses if _is_other_primary(address, primary)]
        if wrong:
            text = "{wrong} is marked as the primary address, but primarySmtpAddress is {primary}"
            raise PydanticCustomError("rule", text, {"wrong": wrong[0], "primary": primary})
        return tuple(address for address in addresses if _address_key(address) != _address_key(primary))

    @property
    def smtp_addresses(self) -> tuple[str, ...]:
        """Every SMTP address that mail for the mailbox may carry, the primary one first."""
        others = (address for address in self.email_addresses if ":" not in address)
        return (self.primary_smtp_address, *others)

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from at_most(self, "issue_warning_quota", "prohibit_send_receive_quota")
        yield from at_most(self, "prohibit_send_quota", "prohibit_send_receive_quota")
        both = self.accept_messages_only_from or self.accept_messages_only_from_dl_members
        if self.accept_messages_only_from_senders_or_members and both:
            yield (
                "accept_messages_only_from_senders_or_members",
                "it stands for acceptMessagesOnlyFrom and acceptMessagesOnlyFromDLMembers; declare it or them",
            )


def _address_key(address: str) -> str:
    return address.removeprefix(_PRIMARY).casefold()


def _is_other_primary(address: str, primary: str) -> bool:
    return address.startswith(_PRIMARY) and _address_key(address) != _address_key(primary)
