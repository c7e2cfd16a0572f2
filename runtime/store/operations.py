"""What the writer does to messages, one function an operation.

Each is given the transaction and plain values, checks before it writes, and returns what its caller awaits. They run in
the writer thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runtime.store.flags import changed_text, is_unseen
from runtime.store.interface import Appended, Copied, FlagChange
from runtime.store.transaction import FolderCounters, Transaction


class NewMessage(NamedTuple):
    """A message ready for its rows: described, and its content either here or already in a blob."""

    content: bytes | None
    blob: str | None
    size: int
    envelope: bytes
    body: bytes
    body_structure: bytes


class Delivery(NamedTuple):
    """How a message enters a folder: canonical flags, INTERNALDATE in seconds and its zone in minutes."""

    flags: str
    date: int
    zone: int
    origin: object | None


def append(transaction: Transaction, folder_id: int, *, message: NewMessage, delivery: Delivery) -> Appended:
    """A new message, first of its copies."""
    folder = transaction.folder(folder_id)
    body_id = transaction.next_body()
    uid = folder.uid_next
    folder.uid_next += 1
    folder.modseq += 1
    folder.messages += 1
    folder.unseen += is_unseen(delivery.flags)
    folder.is_dirty = True
    transaction.add_body(
        (
            body_id,
            1,
            message.size,
            message.blob,
            message.envelope,
            message.body,
            message.body_structure,
            message.content,
        )
    )
    transaction.add_message(
        (folder_id, uid, body_id, delivery.flags, folder.modseq, delivery.date, delivery.zone)
    )
    transaction.tell_messages("added", folder, (uid,), (delivery.flags,), delivery.origin)
    return Appended(folder.uid_validity, uid)


@dataclass(frozen=True, slots=True)
class FlagEdit:
    """What is done to the flags of messages; `flags` is canonical."""

    change: FlagChange
    flags: str


def change_flags(
    transaction: Transaction, folder_id: int, *, uids: Collection[int], edit: FlagEdit, origin: object | None
) -> tuple[int, ...]:
    """Returns the UIDs whose flags differ from before, ascending."""
    folder = transaction.folder(folder_id)
    changed: dict[int, str] = {}
    groups: defaultdict[str, list[int]] = defaultdict(list)
    known: dict[str, str] = {}
    unseen = 0
    for uid, _, before, _, _ in transaction.messages(folder_id, uids):
        after = known.get(before)
        if after is None:
            after = known[before] = changed_text(before, edit.change, edit.flags)
        if after != before:
            changed[uid] = after
            groups[after].append(uid)
            unseen += is_unseen(after) - is_unseen(before)
    if not changed:
        return ()
    folder.modseq += 1
    folder.unseen += unseen
    folder.is_dirty = True
    for after, group in groups.items():
        transaction.set_flags(folder_id, group, after, folder.modseq)
    transaction.tell_messages("flags", folder, tuple(changed), tuple(changed.values()), origin)
    return tuple(changed)


def expunge(
    transaction: Transaction, folder_id: int, *, uids: Collection[int], origin: object | None
) -> tuple[int, ...]:
    """Remove messages for good; a body goes with its last copy."""
    folder = transaction.folder(folder_id)
    rows = transaction.messages(folder_id, uids)
    if not rows:
        return ()
    removed = _take_out(transaction, folder, rows, origin)
    transaction.count_copies((row[1] for row in rows), -1)
    return removed


def copy(transaction: Transaction, folder_id: int, *, uids: Collection[int], destination: str) -> Copied:
    """Copies share the body; flags and INTERNALDATE stay (RFC 3501 6.4.7)."""
    folder = transaction.folder(folder_id)
    target = transaction.folder_named(folder.mailbox_id, destination)
    rows = transaction.messages(folder_id, uids)
    new = _put_in(transaction, target, rows)
    transaction.count_copies((row[1] for row in rows), 1)
    return Copied(target.uid_validity, tuple(row[0] for row in rows), new)


def move(
    transaction: Transaction,
    folder_id: int,
    *,
    uids: Collection[int],
    destination: str,
    origin: object | None,
) -> Copied:
    """Copy and remove as one (RFC 6851)."""
    folder = transaction.folder(folder_id)
    target = transaction.folder_named(folder.mailbox_id, destination)
    return move_rows(transaction, folder, target, uids, origin)


def move_rows(
    transaction: Transaction,
    folder: FolderCounters,
    target: FolderCounters,
    uids: Collection[int],
    origin: object | None,
) -> Copied:
    """Move between two folders that exist, which may be the same: messages get new UIDs then as well."""
    rows = transaction.messages(folder.id, uids)
    if not rows:
        return Copied(target.uid_validity, (), ())
    new = _put_in(transaction, target, rows)
    return Copied(target.uid_validity, _take_out(transaction, folder, rows, origin), new)


def keep_recent_from(transaction: Transaction, folder_id: int, uid: int) -> None:
    """Messages below `uid` are no longer \\Recent."""
    transaction.execute("UPDATE folders SET recent_from = max(recent_from, ?) WHERE id = ?", (uid, folder_id))


Row = tuple[int, int, str, int, int]


def _put_in(transaction: Transaction, target: FolderCounters, rows: Sequence[Row]) -> tuple[int, ...]:
    if not rows:
        return ()
    first = target.uid_next
    target.uid_next += len(rows)
    target.modseq += 1
    target.messages += len(rows)
    target.unseen += sum(is_unseen(row[2]) for row in rows)
    target.is_dirty = True
    for uid, (_, body, flags, date, zone) in enumerate(rows, first):
        transaction.add_message((target.id, uid, body, flags, target.modseq, date, zone))
    new = tuple(range(first, target.uid_next))
    transaction.tell_messages("added", target, new, [row[2] for row in rows], None)
    return new


def _take_out(
    transaction: Transaction, folder: FolderCounters, rows: Sequence[Row], origin: object | None
) -> tuple[int, ...]:
    gone = tuple(row[0] for row in rows)
    transaction.delete_messages(folder.id, gone)
    folder.modseq += 1
    folder.messages -= len(gone)
    folder.unseen -= sum(is_unseen(row[2]) for row in rows)
    folder.is_dirty = True
    transaction.tell_messages("removed", folder, gone, (), origin)
    return gone
