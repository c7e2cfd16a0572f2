"""Where each recipient of a message goes: recipient resolution and bifurcation, without side effects.

Addresses become mailboxes (two addresses of one mailbox are one delivery), mailboxes are grouped by where
they live, and what leads nowhere is failed or deferred with its reason. The engine acts on the plan. No Send
connector exists, so a recipient that has no mailbox is failed here, never kept waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runtime.directory.directory import Directory, MailboxEntry
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.grammar import split_address
from runtime.protocols.smtp.replies import Reply
from schemas.v1.accepted_domain import DomainType

NO_DATABASE = replies.reply("451 4.4.0 The mailbox database of the recipient is not declared")
NO_ENDPOINT = replies.reply("451 4.4.0 The transport service of the recipient's server is not known")


@dataclass(frozen=True, slots=True)
class LocalRoute:
    """A mailbox of this server and the recipient addresses that mean it."""

    database: str
    mailbox: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoteRoute:
    """Another server's transport, and the recipients that it delivers to."""

    server: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unrouted:
    """A recipient that cannot be delivered to, for good or for now: `reply` says which, and why."""

    address: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of every recipient."""

    local: tuple[LocalRoute, ...]
    remote: tuple[RemoteRoute, ...]
    unrouted: tuple[Unrouted, ...]


@dataclass(slots=True)
class _Groups:
    local: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    remote: dict[str, list[str]] = field(default_factory=dict)
    unrouted: list[Unrouted] = field(default_factory=list)


def categorize(
    recipients: Iterable[str], *, directory: Directory, server: str, endpoints: Mapping[str, tuple[str, int]]
) -> Plan:
    """Route the recipients as seen from `server`; `endpoints` are the transports that can be reached."""
    groups = _Groups()
    for address in recipients:
        entry = directory.by_address(address)
        if entry is None:
            groups.unrouted.append(Unrouted(address, _no_mailbox(address, directory)))
        else:
            _place(groups, address, entry, server=server, endpoints=endpoints)
    return Plan(
        tuple(LocalRoute(*key, tuple(addresses)) for key, addresses in groups.local.items()),
        tuple(RemoteRoute(name, tuple(addresses)) for name, addresses in groups.remote.items()),
        tuple(groups.unrouted),
    )


def _no_mailbox(address: str, directory: Directory) -> Reply:
    domain = directory.accepted_domain(split_address(address)[1])
    is_ours = domain is not None and domain.domain_type is DomainType.AUTHORITATIVE
    return replies.USER_UNKNOWN if is_ours else replies.NO_SEND_CONNECTOR


def _place(
    groups: _Groups,
    address: str,
    entry: MailboxEntry,
    *,
    server: str,
    endpoints: Mapping[str, tuple[str, int]],
) -> None:
    if entry.server is None:
        groups.unrouted.append(Unrouted(address, NO_DATABASE))
    elif entry.server == server:
        groups.local.setdefault((entry.database, entry.name), []).append(address)
    elif entry.server in endpoints:
        groups.remote.setdefault(entry.server, []).append(address)
    else:
        groups.unrouted.append(Unrouted(address, NO_ENDPOINT))
