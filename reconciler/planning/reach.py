"""How far a finished plan goes: the servers and the mailboxes that notice it.

A server notices a change of what belongs to it and any action on one of its services. A mailbox notices a change of
itself, of its database or its policy, and a restart or a stop on the server that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.model import Change, Desired, Key, LiveState, Present, Reach, ServiceAction, ServiceImpact
from reconciler.planning.selection import servers_of
from schemas.v1.mailbox import Mailbox

_INTERRUPTS = frozenset({ServiceAction.RESTART, ServiceAction.STOP})


def reach_of(
    changes: Sequence[Change], impacts: Iterable[ServiceImpact], *, desired: Desired, live: LiveState
) -> Reach:
    """Count them over what is declared and what is live."""
    touched = {key for change in changes for key in (change.key, change.live_key)}
    impacts = tuple(impacts)
    if not touched and not impacts:
        return Reach()
    interrupted = {_server_of(impact) for impact in impacts if impact.action in _INTERRUPTS}
    servers = {server for key in touched for server in servers_of(key, desired=desired, live=live)}
    databases = _databases_on(interrupted, desired, live) | {
        key.name for key in touched if key.kind == "MailboxDatabase"
    }
    policies = {key.name for key in touched if key.kind == "ThrottlingPolicy"}
    gone = {change.live_key for change in changes if change.renamed_from}
    noticing = {
        key
        for key, mailbox in _mailboxes(desired, live)
        if key not in gone and (mailbox.database in databases or mailbox.throttling_policy in policies)
    }
    changed = {change.key for change in changes if change.key.kind == "Mailbox"}
    return Reach(tuple(sorted(servers | {_server_of(i) for i in impacts})), len(noticing | changed))


def _databases_on(servers: set[str], desired: Desired, live: LiveState) -> set[str]:
    keys = {key for key in (*desired.resources, *live.resources) if key.kind == "MailboxDatabase"}
    return {key.name for key in keys if servers & servers_of(key, desired=desired, live=live)}


def _mailboxes(desired: Desired, live: LiveState) -> Iterator[tuple[Key, Mailbox]]:
    declared = ((key, resource.spec) for key, resource in desired.resources.items())
    observed = ((key, found.spec) for key, found in live.resources.items() if isinstance(found, Present))
    for key, spec in (*declared, *observed):
        if isinstance(spec, Mailbox) and not key.is_probe:
            yield key, spec


def _server_of(impact: ServiceImpact) -> str:
    return impact.service.partition("/")[0]
