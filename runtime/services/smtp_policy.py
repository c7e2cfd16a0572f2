"""Who may send what to whom through a connector: the replies to MAIL and RCPT, decided without side effects.

The order of the checks is Exchange's. A recipient is accepted when it can be delivered: no Send connector
exists, so a domain that is not ours, or a relay domain's recipient without a mailbox here, is refused at RCPT
instead of waiting in a queue that leads nowhere. The SMTP sessions call this; counters and time are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.directory.directory import Directory, MailboxEntry
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.events import Mail
from runtime.protocols.smtp.grammar import split_address
from runtime.protocols.smtp.replies import Reply
from runtime.services.smtp_rights import Rights
from schemas.v1.accepted_domain import AcceptedDomain, DomainType
from schemas.v1.extended_rights import Right
from schemas.v1.receive_connector import ReceiveConnector

_RESERVED_TOP_LEVEL = frozenset({"test", "example", "invalid", "localhost"})
_RESERVED_SECOND_LEVEL = frozenset({"example.com", "example.net", "example.org"})


@dataclass(frozen=True, slots=True)
class Client:
    """What a session has shown: `user` after AUTH, its rights, TLS."""

    user: MailboxEntry | None
    rights: Rights
    is_tls: bool


def judge_sender(
    mail: Mail, *, client: Client, settings: ReceiveConnector, directory: Directory
) -> Reply | None:
    """The refusal of MAIL FROM, or None."""
    if settings.require_tls and not client.is_tls:
        return replies.TLS_REQUIRED
    if Right.SUBMIT not in client.rights:
        return replies.NOT_AUTHENTICATED
    if not _may_send_as(mail.sender, client, directory):
        return replies.NOT_SENDER if client.user else replies.NOT_SENDER_ANONYMOUS
    return _judge_size(mail, client.rights, settings)


def _may_send_as(sender: str, client: Client, directory: Directory) -> bool:
    if not sender or (client.user is not None and sender.casefold() in client.user.addresses):
        return True
    domain = directory.accepted_domain(split_address(sender)[1])
    if domain is not None and domain.domain_type is DomainType.AUTHORITATIVE:
        return Right.ACCEPT_AUTHORITATIVE_DOMAIN_SENDER in client.rights
    return Right.ACCEPT_ANY_SENDER in client.rights


def _judge_size(mail: Mail, rights: Rights, settings: ReceiveConnector) -> Reply | None:
    """RFC 1870 6.1: a size announced beyond the limit is refused before the content is sent."""
    is_too_large = mail.size is not None and mail.size > settings.max_message_size
    return (
        replies.MESSAGE_TOO_LARGE if is_too_large and Right.BYPASS_MESSAGE_SIZE_LIMIT not in rights else None
    )


def judge_recipient(
    address: str, *, given: int, client: Client, settings: ReceiveConnector, directory: Directory
) -> Reply | None:
    """The refusal of RCPT TO, or None. `given` counts the recipients that the message has already."""
    if given >= settings.max_recipients_per_message:
        return replies.TOO_MANY_RECIPIENTS
    domain = split_address(address)[1]
    return (
        _judge_reserved(domain, settings)
        or _judge_domain(address, directory.accepted_domain(domain), client, directory)
        or None
    )


def _judge_reserved(domain: str, settings: ReceiveConnector) -> Reply | None:
    labels = domain.split(".")
    if settings.reject_reserved_top_level_recipient_domains and labels[-1] in _RESERVED_TOP_LEVEL:
        return replies.RESERVED_TOP_LEVEL
    is_reserved = ".".join(labels[-2:]) in _RESERVED_SECOND_LEVEL
    if settings.reject_reserved_second_level_recipient_domains and is_reserved:
        return replies.RESERVED_SECOND_LEVEL
    if settings.reject_single_label_recipient_domains and len(labels) == 1:
        return replies.SINGLE_LABEL
    return None


def _judge_domain(
    address: str, domain: AcceptedDomain | None, client: Client, directory: Directory
) -> Reply | None:
    entry = directory.by_address(address)
    is_probe = entry is not None and entry.is_health_mailbox and client.user is not None
    if domain is None and not is_probe and Right.ACCEPT_ANY_RECIPIENT not in client.rights:
        return replies.UNABLE_TO_RELAY
    if entry is not None:
        return None
    is_authoritative = domain is not None and domain.domain_type is DomainType.AUTHORITATIVE
    return replies.USER_UNKNOWN if is_authoritative else replies.NO_SEND_CONNECTOR


def complete_address(address: str, settings: ReceiveConnector) -> str:
    """<Postmaster>, the one address without a domain (RFC 5321 4.5.1), gets the connector's DefaultDomain."""
    return (
        address if "@" in address or not settings.default_domain else f"{address}@{settings.default_domain}"
    )
