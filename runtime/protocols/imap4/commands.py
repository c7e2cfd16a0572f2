"""The arguments of each command: tokens → event, one small function a command, found by name in one table.

A parser takes the tag and a cursor that stands behind the command's name, reads to the end, and raises
`GrammarError` for anything else. Called by `connection`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from runtime.protocols.imap4 import events, utf7
from runtime.protocols.imap4.fetch_items import parse_items
from runtime.protocols.imap4.grammar import GrammarError
from runtime.protocols.imap4.search_keys import parse_search
from runtime.protocols.imap4.tokens import Arguments, Kind
from runtime.protocols.imap4.values import (
    FetchItem,
    MailboxName,
    Secret,
    canonical_inbox,
    parse_date_time,
    parse_flag,
)

Parser: TypeAlias = Callable[[bytes, Arguments], events.Command]

#: Commands that take no argument.
SIMPLE = frozenset(
    ("CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE")
)
_STATUS_ITEMS = frozenset((b"MESSAGES", b"RECENT", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN"))
_CHANGES: Mapping[bytes, events.FlagChange] = {b"FLAGS": "replace", b"+FLAGS": "add", b"-FLAGS": "remove"}
_UID = FetchItem("UID", b"UID")
#: RFC 2971: at most 30 pairs.
_ID_PAIRS = 30


def _login(tag: bytes, arguments: Arguments) -> events.Command:
    arguments.space()
    user = arguments.credential()
    arguments.space()
    return events.Login(tag, user, Secret(arguments.credential()))


def _authenticate(tag: bytes, arguments: Arguments) -> events.Command:
    arguments.space()
    mechanism = arguments.atom().decode("ascii").upper()
    initial = Secret(_initial_response(arguments)) if arguments.skip(Kind.SPACE) else None
    return events.Authenticate(tag, mechanism, initial)


def _initial_response(arguments: Arguments) -> bytes:
    """RFC 4959: base64, or "=" for an empty one."""
    value = arguments.run()
    return b"" if value == b"=" else value


def _id(tag: bytes, arguments: Arguments) -> events.Command:
    arguments.space()
    if arguments.peek.kind is not Kind.OPEN:
        if arguments.atom().upper() != b"NIL":
            raise GrammarError("expected a list or NIL")
        return events.Identify(tag, None)
    values = arguments.listed(arguments.nstring, may_be_empty=True)
    names = [name for name in values[::2] if name is not None]
    if len(values) != 2 * len(names) or len(names) > _ID_PAIRS:
        raise GrammarError("expected pairs of a field and a value")
    return events.Identify(tag, tuple(zip(names, values[1::2], strict=True)))


def _on_mailbox(name: str) -> Parser:
    def parse(tag: bytes, arguments: Arguments) -> events.Command:
        arguments.space()
        return events.OnMailbox(tag, name, arguments.mailbox())

    return parse


def _create(tag: bytes, arguments: Arguments) -> events.Command:
    """A trailing separator only says that children will follow (RFC 3501 section 6.3.3)."""
    arguments.space()
    name = arguments.mailbox().text
    return events.OnMailbox(tag, "CREATE", MailboxName(canonical_inbox(name.removesuffix("/"))))


def _rename(tag: bytes, arguments: Arguments) -> events.Command:
    arguments.space()
    old = arguments.mailbox()
    arguments.space()
    return events.Rename(tag, old, arguments.mailbox())


def _list(name: str) -> Parser:
    def parse(tag: bytes, arguments: Arguments) -> events.Command:
        arguments.space()
        reference = utf7.decode(arguments.astring())
        arguments.space()
        return events.ListMailboxes(tag, name, reference, utf7.decode(arguments.list_pattern()))

    return parse


def _status(tag: bytes, arguments: Arguments) -> events.Command:
    arguments.space()
    mailbox = arguments.mailbox()
    arguments.space()
    return events.Status(
        tag, mailbox, tuple(dict.fromkeys(arguments.listed(lambda: _status_item(arguments))))
    )


def _status_item(arguments: Arguments) -> str:
    item = arguments.atom().upper()
    if item not in _STATUS_ITEMS:
        raise GrammarError("unknown status item")
    return item.decode("ascii")


def _search(tag: bytes, arguments: Arguments, *, is_uid: bool = False) -> events.Command:
    arguments.space()
    return events.Search(tag, is_uid, parse_search(arguments))


def _fetch(tag: bytes, arguments: Arguments, *, is_uid: bool = False) -> events.Command:
    arguments.space()
    messages = arguments.sequence_set()
    arguments.space()
    items = parse_items(arguments)
    if is_uid and _UID not in items:
        items = (_UID, *items)
    return events.Fetch(tag, is_uid, messages, items)


def _store(tag: bytes, arguments: Arguments, *, is_uid: bool = False) -> events.Command:
    arguments.space()
    messages = arguments.sequence_set()
    arguments.space()
    name, dot, suffix = arguments.run().upper().partition(b".")
    if name not in _CHANGES or (dot and suffix != b"SILENT"):
        raise GrammarError("expected FLAGS, +FLAGS or -FLAGS")
    arguments.space()
    return events.Store(tag, is_uid, messages, _CHANGES[name], bool(dot), _store_flags(arguments))


def _store_flags(arguments: Arguments) -> tuple[str, ...]:
    """A flag list, or flags without parentheses."""
    if arguments.peek.kind is Kind.OPEN:
        return arguments.flags()
    flags = [parse_flag(arguments.run())]
    while arguments.skip(Kind.SPACE):
        flags.append(parse_flag(arguments.run()))
    return tuple(dict.fromkeys(flags))


def _transfer(name: str, *, is_uid: bool = False) -> Parser:
    def parse(tag: bytes, arguments: Arguments) -> events.Command:
        arguments.space()
        messages = arguments.sequence_set()
        arguments.space()
        return events.Transfer(tag, name, is_uid, messages, arguments.mailbox())

    return parse


def _uid(tag: bytes, arguments: Arguments) -> events.Command:
    arguments.space()
    name = arguments.atom().upper()
    if name not in _UID_COMMANDS:
        raise GrammarError("expected FETCH, STORE, SEARCH, COPY, MOVE or EXPUNGE")
    return _UID_COMMANDS[name](tag, arguments)


def _uid_expunge(tag: bytes, arguments: Arguments) -> events.Command:
    arguments.space()
    return events.UidExpunge(tag, arguments.sequence_set())


_UID_COMMANDS: Mapping[bytes, Parser] = {
    b"FETCH": lambda tag, arguments: _fetch(tag, arguments, is_uid=True),
    b"STORE": lambda tag, arguments: _store(tag, arguments, is_uid=True),
    b"SEARCH": lambda tag, arguments: _search(tag, arguments, is_uid=True),
    b"COPY": _transfer("COPY", is_uid=True),
    b"MOVE": _transfer("MOVE", is_uid=True),
    b"EXPUNGE": _uid_expunge,
}

PARSERS: Mapping[str, Parser] = {
    "ID": _id,
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
    "SELECT": _on_mailbox("SELECT"),
    "EXAMINE": _on_mailbox("EXAMINE"),
    "CREATE": _create,
    "DELETE": _on_mailbox("DELETE"),
    "SUBSCRIBE": _on_mailbox("SUBSCRIBE"),
    "UNSUBSCRIBE": _on_mailbox("UNSUBSCRIBE"),
    "RENAME": _rename,
    "LIST": _list("LIST"),
    "LSUB": _list("LSUB"),
    "STATUS": _status,
    "SEARCH": _search,
    "FETCH": _fetch,
    "STORE": _store,
    "COPY": _transfer("COPY"),
    "MOVE": _transfer("MOVE"),
    "UID": _uid,
}


def parse_command(tag: bytes, name: str, arguments: Arguments) -> events.Command:
    """The whole command. Raises `GrammarError` (or `UnknownCharsetError`, one of its kinds)."""
    if name in SIMPLE:
        arguments.end()
        return events.Simple(tag, name)
    command = PARSERS[name](tag, arguments)
    arguments.end()
    return command


def parse_append(tag: bytes, arguments: Arguments, *, size: int, is_waiting: bool) -> events.Append:
    """APPEND up to the announcement of its message (RFC 3501 section 6.3.11)."""
    arguments.space()
    mailbox = arguments.mailbox()
    arguments.space()
    flags = _append_flags(arguments)
    moment = None
    if not arguments.is_at_end:
        moment = parse_date_time(arguments.quoted())
        arguments.space()
    arguments.end()
    return events.Append(tag, mailbox, flags, moment, size, is_waiting)


def _append_flags(arguments: Arguments) -> tuple[str, ...]:
    if arguments.peek.kind is not Kind.OPEN:
        return ()
    flags = arguments.flags()
    arguments.space()
    return flags
