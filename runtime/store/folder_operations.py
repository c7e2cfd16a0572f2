"""What the writer does to mailboxes and their folders, one function an operation.

As with messages: check first, write afterwards, in the writer thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.store.changes import FoldersChanged
from runtime.store.folder_names import (
    INBOX,
    SEPARATOR,
    STANDARD_FOLDERS,
    checked_name,
    folder_key,
    parents,
)
from runtime.store.interface import (
    FolderExistsError,
    FolderHasChildrenError,
    FolderProtectedError,
    StoreError,
)
from runtime.store.operations import move_rows
from runtime.store.transaction import FolderCounters, Transaction

MAX_FOLDERS = 10_000
MAX_SUBSCRIPTIONS = 20_000


@dataclass(frozen=True, slots=True)
class OpenedMailbox:
    """A mailbox that exists now, with what it holds."""

    id: int
    name: str
    contents: FoldersChanged


def open_mailbox(transaction: Transaction, name: str) -> OpenedMailbox:
    """Find the mailbox, or make it with its standard folders, all subscribed."""
    find = "SELECT id FROM mailboxes WHERE name = ?"
    mailbox_id = transaction.one(find, (name,))
    if mailbox_id is None:
        transaction.execute("INSERT INTO mailboxes (name) VALUES (?)", (name,))
        mailbox_id = transaction.one(find, (name,))
        for folder, special_use in STANDARD_FOLDERS:
            _insert(transaction, mailbox_id, folder, special_use)
            _subscribe(transaction, mailbox_id, folder)
    return OpenedMailbox(mailbox_id, name, transaction.tell_folders(mailbox_id))


def rename_mailbox(transaction: Transaction, old: str, new: str, *, revision: int) -> None:
    """Once for each revision of the live configuration, whatever it is asked after a crash.

    What has the name `new` belongs to a mailbox that was deleted: it makes way. Its mail is kept, under a name that no
    resource can have, since that has a line end in it.
    """
    done = transaction.one("SELECT value FROM meta WHERE key = 'renamed'")
    if done is not None and done >= revision:
        return
    find = "SELECT id FROM mailboxes WHERE name = ?"
    mailbox_id, taken = transaction.one(find, (old,)), transaction.one(find, (new,))
    if mailbox_id is not None and taken is not None:
        _set_aside(transaction, taken, f"{new}\nset aside at revision {revision}")
    if mailbox_id is not None:
        transaction.execute("UPDATE mailboxes SET name = ? WHERE id = ?", (new, mailbox_id))
    transaction.execute("INSERT OR REPLACE INTO meta VALUES ('renamed', ?)", (revision,))


def _set_aside(transaction: Transaction, mailbox_id: int, name: str) -> None:
    transaction.execute("UPDATE mailboxes SET name = ? WHERE id = ?", (name, mailbox_id))


def create(transaction: Transaction, mailbox_id: int, name: str) -> None:
    """With all missing parents."""
    key = checked_name(name)
    if transaction.find_folder(mailbox_id, key) is not None:
        raise FolderExistsError("The folder exists already.")
    _insert_with_parents(transaction, mailbox_id, key)
    transaction.tell_folders(mailbox_id)


def delete(transaction: Transaction, mailbox_id: int, name: str) -> None:
    """Only a folder without children, and none of the standard ones. Its messages go with it."""
    folder = transaction.folder_named(mailbox_id, folder_key(name))
    _refuse_protected(folder, "deleted")
    if _children(transaction, folder):
        raise FolderHasChildrenError("The folder has children. Delete them first.")
    bodies = transaction.execute("SELECT body_id FROM messages WHERE folder_id = ?", (folder.id,)).fetchall()
    transaction.execute("DELETE FROM messages WHERE folder_id = ?", (folder.id,))
    transaction.count_copies((body for (body,) in bodies), -1)
    transaction.execute("DELETE FROM folders WHERE id = ?", (folder.id,))
    transaction.forget_folder(folder.id)
    transaction.tell_folders(mailbox_id)


def rename(transaction: Transaction, mailbox_id: int, old: str, new: str) -> None:
    """With all children, which keep their UIDs; INBOX stays and its messages move (RFC 3501 6.3.5)."""
    folder = transaction.folder_named(mailbox_id, folder_key(old))
    key = checked_name(new)
    if transaction.find_folder(mailbox_id, key) is not None:
        raise FolderExistsError("The folder exists already.")
    if folder.name == INBOX:
        _move_out_of_inbox(transaction, folder, key)
        return
    _refuse_protected(folder, "renamed")
    if key.startswith(folder.name + SEPARATOR):
        raise StoreError("A folder cannot be moved into itself.")
    renamed = [(folder.id, key)]
    renamed += [(child, key + name[len(folder.name) :]) for child, name in _children(transaction, folder)]
    for _, name in renamed:
        checked_name(name)
    for parent in parents(key):
        _insert_if_missing(transaction, mailbox_id, parent)
    for folder_id, name in renamed:
        transaction.execute("UPDATE folders SET name = ? WHERE id = ?", (name, folder_id))
        transaction.forget_folder(folder_id)
    transaction.tell_folders(mailbox_id)


def subscribe(transaction: Transaction, mailbox_id: int, name: str, *, is_on: bool) -> None:
    """Any proper name may be subscribed to, a folder or not (RFC 3501 6.3.6)."""
    if is_on:
        key = checked_name(name)
        count = transaction.one("SELECT count(*) FROM subscriptions WHERE mailbox_id = ?", (mailbox_id,))
        if count >= MAX_SUBSCRIPTIONS:
            raise StoreError(f"A mailbox has at most {MAX_SUBSCRIPTIONS} subscriptions.")
        _subscribe(transaction, mailbox_id, key)
    else:
        transaction.execute(
            "DELETE FROM subscriptions WHERE mailbox_id = ? AND name = ?", (mailbox_id, folder_key(name))
        )
    transaction.tell_folders(mailbox_id)


def _move_out_of_inbox(transaction: Transaction, inbox: FolderCounters, key: str) -> None:
    _insert_with_parents(transaction, inbox.mailbox_id, key)
    transaction.tell_folders(inbox.mailbox_id)
    uids = [
        uid for (uid,) in transaction.execute("SELECT uid FROM messages WHERE folder_id = ?", (inbox.id,))
    ]
    if uids:
        move_rows(transaction, inbox, transaction.folder_named(inbox.mailbox_id, key), uids, None)


def _children(transaction: Transaction, folder: FolderCounters) -> list[tuple[int, str]]:
    """(id, name) of all folders below this one. The range holds exactly the names that begin with its name and "/"."""
    return transaction.execute(
        "SELECT id, name FROM folders WHERE mailbox_id = ? AND name > ? AND name < ?",
        (folder.mailbox_id, folder.name + SEPARATOR, folder.name + chr(ord(SEPARATOR) + 1)),
    ).fetchall()


def _refuse_protected(folder: FolderCounters, what: str) -> None:
    if folder.name == INBOX or folder.special_use is not None:
        raise FolderProtectedError(f"This folder belongs to every mailbox and cannot be {what}.")


def _insert_with_parents(transaction: Transaction, mailbox_id: int, key: str) -> None:
    count = transaction.one("SELECT count(*) FROM folders WHERE mailbox_id = ?", (mailbox_id,))
    if count + len(parents(key)) >= MAX_FOLDERS:
        raise StoreError(f"A mailbox has at most {MAX_FOLDERS} folders.")
    for name in (*parents(key), key):
        _insert_if_missing(transaction, mailbox_id, name)


def _insert_if_missing(transaction: Transaction, mailbox_id: int, name: str) -> None:
    if transaction.find_folder(mailbox_id, name) is None:
        _insert(transaction, mailbox_id, name, None)


def _insert(transaction: Transaction, mailbox_id: int, name: str, special_use: str | None) -> None:
    transaction.execute(
        "INSERT INTO folders (mailbox_id, name, special_use, uid_validity) VALUES (?, ?, ?, ?)",
        (mailbox_id, name, special_use, transaction.next_uid_validity()),
    )


def _subscribe(transaction: Transaction, mailbox_id: int, name: str) -> None:
    transaction.execute("INSERT OR IGNORE INTO subscriptions VALUES (?, ?)", (mailbox_id, name))
