"""Commands about folders: LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

Folder names are text for the store and never paths. Called by `session`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runtime.protocols.imap4 import events, writer
from runtime.protocols.imap4.values import canonical_inbox
from runtime.services.imap4_backend.patterns import Pattern
from runtime.services.imap4_backend.reply import Answer, Reply
from runtime.store.interface import FolderInfo

if TYPE_CHECKING:
    from runtime.services.imap4_backend.session import ImapSession


def _matcher(command: events.ListMailboxes) -> Callable[[str], bool]:
    """The reference is put before the pattern; INBOX matches in any case."""
    text = command.reference + command.pattern
    pattern, for_inbox = Pattern.compile(canonical_inbox(text)), Pattern.compile(text.upper())
    return lambda name: pattern.matches(name) or (name == "INBOX" and for_inbox.matches(name))


def _row(verb: bytes, attributes: Iterable[bytes], name: str) -> bytes:
    return writer.untagged(b'%b (%b) "/" %b' % (verb, b" ".join(attributes), writer.mailbox(name)))


def _list(session: ImapSession, command: events.ListMailboxes) -> Reply:
    if not command.pattern:
        return Reply("LIST completed.", writer.untagged(b'LIST (\\Noselect) "/" ""'))
    matches = _matcher(command)
    rows = (
        _row(b"LIST", _attributes(folder), folder.name)
        for folder in session.mailbox.folders()
        if matches(folder.name)
    )
    return Reply("LIST completed.", b"".join(rows))


def _attributes(folder: FolderInfo) -> Iterator[bytes]:
    """RFC 3348's, and RFC 6154's, which a plain LIST may tell too."""
    yield b"\\HasChildren" if folder.has_children else b"\\HasNoChildren"
    if folder.special_use:
        yield folder.special_use.encode("ascii")


def _lsub(session: ImapSession, command: events.ListMailboxes) -> Reply:
    """With "%", a parent that is not subscribed is told as \\Noselect when a child is (RFC 3501 section 6.3.9)."""
    if not command.pattern:
        return Reply("LSUB completed.", writer.untagged(b'LSUB (\\Noselect) "/" ""'))
    matches = _matcher(command)
    subscribed = session.mailbox.subscriptions()
    parents = {parent for name in subscribed for parent in _parents(name)} - set(subscribed)
    rows = [_row(b"LSUB", (), name) for name in subscribed if matches(name)]
    if "%" in command.pattern:
        shown = {parent for parent in parents if matches(parent)}
        rows += [_row(b"LSUB", (b"\\Noselect",), name) for name in sorted(shown)]
    return Reply("LSUB completed.", b"".join(rows))


def _parents(name: str) -> Iterator[str]:
    parent, slash, _ = name.rpartition("/")
    while slash:
        yield parent
        parent, slash, _ = parent.rpartition("/")


_STATUS: Mapping[str, Callable[[FolderInfo], int]] = {
    "MESSAGES": lambda folder: folder.messages,
    "RECENT": lambda folder: folder.recent,
    "UIDNEXT": lambda folder: folder.uid_next,
    "UIDVALIDITY": lambda folder: folder.uid_validity,
    "UNSEEN": lambda folder: folder.unseen,
}


def _status(session: ImapSession, command: events.Status) -> Reply:
    folder = session.mailbox.folder_info(command.mailbox.text)
    items = b" ".join(b"%b %d" % (item.encode("ascii"), _STATUS[item](folder)) for item in command.items)
    data = writer.untagged(b"STATUS %b (%b)" % (writer.mailbox(folder.name), items))
    return Reply("STATUS completed.", data)


async def _create(session: ImapSession, command: events.OnMailbox) -> Reply:
    await session.mailbox.create(command.mailbox.text)
    return Reply("CREATE completed.")


async def _delete(session: ImapSession, command: events.OnMailbox) -> Reply:
    await session.mailbox.delete(command.mailbox.text)
    return Reply("DELETE completed.")


async def _rename(session: ImapSession, command: events.Rename) -> Reply:
    await session.mailbox.rename(command.old.text, command.new.text)
    return Reply("RENAME completed.")


async def _subscribe(session: ImapSession, command: events.OnMailbox) -> Reply:
    await session.mailbox.subscribe(command.mailbox.text, on=command.name == "SUBSCRIBE")
    return Reply(f"{command.name} completed.")


HANDLERS: Mapping[str, Callable[[ImapSession, Any], Answer]] = {
    "LIST": _list,
    "LSUB": _lsub,
    "STATUS": _status,
    "CREATE": _create,
    "DELETE": _delete,
    "RENAME": _rename,
    "SUBSCRIBE": _subscribe,
    "UNSUBSCRIBE": _subscribe,
}
