"""In which order changes are made: a rank a kind, not a graph.

    0  Server                                                         created and updated from the top down,
    1  Certificate  AcceptedDomain  ThrottlingPolicy  MailboxDatabase    deleted from the bottom up;
    2  ImapSettings  PopSettings                                      within a rank by kind and name
    3  ReceiveConnector  Mailbox

Every reference points to a lower rank, so what is named exists before whatever names it, and goes after it.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import Action, Change
from schemas.v1.kinds import KINDS


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Creates and updates climb the ranks, then deletes descend them."""
    return tuple(sorted(changes, key=_place))


def _place(change: Change) -> tuple[bool, int, str, str]:
    rank = KINDS[change.key.kind].rank
    is_delete = change.action is Action.DELETE
    return is_delete, -rank if is_delete else rank, change.key.kind, change.key.name
