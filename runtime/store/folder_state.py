"""The counters of a folder as the event loop knows them: those of the last commit that it heard of.

Every folder of an open mailbox has one, open or not; it answers LIST and STATUS.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.store.changes import FolderRecord, MessagesChanged
from runtime.store.interface import FolderInfo


@dataclass(slots=True)
class FolderState:
    """Changed only by `apply` and by taking \\Recent."""

    id: int
    name: str
    special_use: str | None
    uid_validity: int
    uid_next: int
    recent_from: int
    recent: int
    modseq: int
    messages: int
    unseen: int
    is_gone: bool = False

    def apply(self, change: MessagesChanged) -> None:
        """Take the counters over; \\Recent is counted here, because sessions take it before that is written."""
        self.uid_next, self.modseq = change.uid_next, change.modseq
        self.messages, self.unseen = change.messages, change.unseen
        if change.kind != "flags":
            touched = sum(uid >= self.recent_from for uid in change.uids)
            self.recent += touched if change.kind == "added" else -touched

    def info(self, *, is_subscribed: bool, has_children: bool) -> FolderInfo:
        return FolderInfo(
            id=self.id,
            name=self.name,
            uid_validity=self.uid_validity,
            uid_next=self.uid_next,
            messages=self.messages,
            unseen=self.unseen,
            recent=self.recent,
            highest_modseq=self.modseq,
            is_subscribed=is_subscribed,
            has_children=has_children,
            special_use=self.special_use,
        )


def state_of(record: FolderRecord) -> FolderState:
    return FolderState(
        id=record.id,
        name=record.name,
        special_use=record.special_use,
        uid_validity=record.uid_validity,
        uid_next=record.uid_next,
        recent_from=record.recent_from,
        recent=record.recent,
        modseq=record.modseq,
        messages=record.messages,
        unseen=record.unseen,
    )
