"""What a committed operation changed, told by the writer thread to the event loop.

Values only: the event loop brings its open mailboxes up to date with them, in commit order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """A row of `folders` as it was read."""

    id: int
    mailbox_id: int
    name: str
    special_use: str | None
    uid_validity: int
    uid_next: int
    recent_from: int
    modseq: int
    messages: int
    unseen: int
    recent: int


@dataclass(slots=True)
class MessagesChanged:
    """Messages of one folder were added, removed or flagged.

    `flags` (canonical texts) pairs with `uids`; it is empty for removals. The counters are those after the change.
    """

    kind: Literal["added", "removed", "flags"]
    mailbox_id: int
    folder_id: int
    uids: tuple[int, ...]
    flags: tuple[str, ...]
    modseq: int
    uid_next: int
    messages: int
    unseen: int
    origin: object | None


@dataclass(frozen=True, slots=True)
class FoldersChanged:
    """The mailbox has exactly these folders and subscriptions now."""

    mailbox_id: int
    folders: tuple[FolderRecord, ...]
    subscriptions: frozenset[str]


Change = MessagesChanged | FoldersChanged
