"""Commands about the messages of the selected folder: FETCH, STORE, SEARCH, COPY, MOVE, EXPUNGE, and their UID forms.

What has to be written is written before the answer is made; what can be answered from memory costs no task. Called by
`session`.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runtime.protocols.imap4 import events, writer
from runtime.services.imap4_backend.fetch import Request, respond
from runtime.services.imap4_backend.reply import Answer, RefusedError, Reply, gone
from runtime.services.imap4_backend.search import search
from runtime.services.imap4_backend.selected import Selected
from runtime.store.interface import Copied, NoSuchFolderError

if TYPE_CHECKING:
    from runtime.services.imap4_backend.session import ImapSession


def _selected(session: ImapSession) -> Selected:
    assert session.selected is not None
    return session.selected


def _writable(session: ImapSession) -> Selected:
    selected = _selected(session)
    if selected.is_read_only:
        raise RefusedError("The mailbox is open for reading only.", code=b"READ-ONLY")
    return selected


# --- FETCH ----------------------------------------------------------------------------------------------------------


def _fetch(session: ImapSession, command: events.Fetch) -> Answer:
    selected = _selected(session)
    numbers = selected.numbers(command.messages, is_uid=command.is_uid)
    uids = selected.existing(numbers)
    if len(uids) != len(numbers):
        numbers = array("I", selected.numbered(uids))
        if not command.is_uid:
            return _fetched(Request(selected, command.items, uids, numbers), command, is_complete=False)
    unseen = _unseen(selected, command, uids)
    request = Request(selected, command.items, uids, numbers, unseen)
    if not unseen:
        return _fetched(request, command)

    async def mark_seen() -> Reply:
        await selected.folder.change_flags(unseen, "add", ("\\Seen",), origin=selected)
        return _fetched(request, command)

    return mark_seen()


def _unseen(selected: Selected, command: events.Fetch, uids: Sequence[int]) -> frozenset[int]:
    """Messages that this FETCH marks \\Seen."""
    if selected.is_read_only or not any(item.sets_seen for item in command.items):
        return frozenset()
    return frozenset(uid for uid in uids if "\\Seen" not in selected.folder.flags(uid))


def _fetched(request: Request, command: events.Fetch, *, is_complete: bool = True) -> Reply:
    if not is_complete:
        return gone(respond(request))
    return Reply("FETCH completed.", respond(request), may_expunge=command.is_uid)


# --- STORE ----------------------------------------------------------------------------------------------------------


async def _store(session: ImapSession, command: events.Store) -> Reply:
    selected = _writable(session)
    uids = selected.existing(selected.numbers(command.messages, is_uid=command.is_uid))
    await selected.folder.change_flags(uids, command.change, command.flags, origin=selected)
    if not command.is_silent:
        selected.tell_flags(uids)
    return Reply("STORE completed.", may_expunge=command.is_uid)


# --- COPY and MOVE (RFC 3501, RFC 4315, RFC 6851) -------------------------------------------------------------------


async def _transfer(session: ImapSession, command: events.Transfer) -> Reply:
    is_move = command.name == "MOVE"
    selected = _writable(session) if is_move else _selected(session)
    uids = selected.existing(selected.numbers(command.messages, is_uid=command.is_uid))
    destination = command.mailbox.text
    try:
        if is_move:
            copied = await selected.folder.move(uids, destination, origin=selected)
        else:
            copied = await selected.folder.copy(uids, destination)
    except NoSuchFolderError as error:
        raise RefusedError(str(error), code=b"TRYCREATE") from error
    return _transferred(command, copied)


def _transferred(command: events.Transfer, copied: Copied) -> Reply:
    """MOVE tells its COPYUID before the EXPUNGEs, COPY in the tagged line."""
    text, code = f"{command.name} completed.", _copy_uid(copied)
    if command.name == "MOVE":
        told = writer.untagged(b"OK [%b] Moved." % code) if code else b""
        return Reply(text, told)
    return Reply(text, code=code, may_expunge=command.is_uid)


def _copy_uid(copied: Copied) -> bytes:
    if not copied.source:
        return b""
    sets = (writer.number_set(copied.source), writer.number_set(copied.destination))
    return b"COPYUID %d %b %b" % (copied.uid_validity, *sets)


# --- EXPUNGE --------------------------------------------------------------------------------------------------------


async def _expunge(session: ImapSession, _: events.Simple) -> Reply:
    selected = _writable(session)
    await _expunge_deleted(selected, selected.alive())
    return Reply("EXPUNGE completed.")


async def _uid_expunge(session: ImapSession, command: events.UidExpunge) -> Reply:
    selected = _writable(session)
    await _expunge_deleted(selected, selected.existing(selected.numbers(command.messages, is_uid=True)))
    return Reply("EXPUNGE completed.")


async def _expunge_deleted(selected: Selected, uids: Collection[int]) -> None:
    deleted = [uid for uid in uids if "\\Deleted" in selected.folder.flags(uid)]
    if deleted:
        await selected.folder.expunge(deleted, origin=selected)


# --- SEARCH ---------------------------------------------------------------------------------------------------------


def _search(session: ImapSession, command: events.Search) -> Answer:
    """One that takes long goes on as a task, a slice of time at a time."""
    selected = _selected(session)
    found = search(selected, command.key)
    try:
        next(found)
    except StopIteration as done:
        return _searched(selected, command, done.value)
    return _search_on(selected, command, found)


async def _search_on(
    selected: Selected, command: events.Search, found: Generator[None, None, list[int]]
) -> Reply:
    while True:
        await asyncio.sleep(0)
        try:
            next(found)
        except StopIteration as done:
            return _searched(selected, command, done.value)


def _searched(selected: Selected, command: events.Search, uids: Sequence[int]) -> Reply:
    numbers = uids if command.is_uid else list(selected.numbered(uids))
    data = b"".join(b" %d" % number for number in numbers)
    return Reply("SEARCH completed.", writer.untagged(b"SEARCH" + data), may_expunge=command.is_uid)


HANDLERS: Mapping[str, Callable[[ImapSession, Any], Answer]] = {
    "FETCH": _fetch,
    "STORE": _store,
    "SEARCH": _search,
    "COPY": _transfer,
    "MOVE": _transfer,
    "EXPUNGE": _expunge,
    "UID EXPUNGE": _uid_expunge,
}
