"""FETCH's data items (RFC 3501 section 6.4.5), with their macros.

The items are checked completely: part numbers are bounded, field names are what a header can hold. Cutting a
message into sections is the service's matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from runtime.protocols.imap4.grammar import MAX_NUMBER, GrammarError
from runtime.protocols.imap4.tokens import Arguments, Kind
from runtime.protocols.imap4.values import FetchItem, Section
from runtime.protocols.imap4.writer import astring

_PLAIN: Mapping[bytes, FetchItem] = {
    name: FetchItem(name.decode(), name)
    for name in (b"FLAGS", b"UID", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY", b"BODYSTRUCTURE")
} | {
    b"RFC822": FetchItem("BODY[]", b"RFC822", Section(), sets_seen=True),
    b"RFC822.HEADER": FetchItem("BODY[]", b"RFC822.HEADER", Section(text="HEADER")),
    b"RFC822.TEXT": FetchItem("BODY[]", b"RFC822.TEXT", Section(text="TEXT"), sets_seen=True),
}
_MACROS: Mapping[bytes, tuple[bytes, ...]] = {
    b"FAST": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"),
    b"ALL": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"),
    b"FULL": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"),
}
#: BODY[ or BODY.PEEK[, a part number, a section text, and for most sections "]" and a partial at once.
_SECTION = re.compile(
    rb"BODY(?P<peek>\.PEEK)?\[(?P<path>[1-9][0-9]{0,4}(?:\.[1-9][0-9]{0,4}){0,99})?"
    rb"(?P<dot>\.)?(?P<text>HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME)?(?P<end>\].*)?",
    re.IGNORECASE | re.DOTALL,
)
_END = re.compile(rb"\](?:<([0-9]{1,10})\.([1-9][0-9]{0,9})>)?")
_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]{1,200}")


def parse_items(arguments: Arguments) -> tuple[FetchItem, ...]:
    """A macro, one item, or items in parentheses; each item once. Raises `GrammarError`, also for more items than
    `Limits.fetch_items`."""
    if arguments.peek.kind is Kind.OPEN:
        items = arguments.listed(lambda: _item(arguments))
    elif arguments.peek.value.upper() in _MACROS:
        items = [_PLAIN[name] for name in _MACROS[arguments.run().upper()]]
    else:
        items = [_item(arguments)]
    once = tuple(dict.fromkeys(items))
    if len(once) > arguments.limits.fetch_items:
        raise GrammarError("too many data items")
    return once


def _item(arguments: Arguments) -> FetchItem:
    run = arguments.run()
    plain = _PLAIN.get(run.upper())
    return plain or _body_section(run, arguments)


def _body_section(run: bytes, arguments: Arguments) -> FetchItem:
    match = _SECTION.fullmatch(run)
    if match is None:
        raise GrammarError("unknown data item")
    path = tuple(int(number) for number in (match["path"] or b"").split(b".") if number)
    text = (match["text"] or b"").upper().decode()
    _check_shape(path=path, text=text, has_dot=match["dot"] is not None)
    fields: tuple[bytes, ...] = ()
    end = match["end"]
    if text.startswith("HEADER.FIELDS"):
        if end is not None:
            raise GrammarError("expected header field names")
        arguments.space()
        fields = tuple(arguments.listed(lambda: _field_name(arguments)))
        end = arguments.run()
    return _fetch_item(Section(path, text, fields, _partial(end)), sets_seen=match["peek"] is None)


def _check_shape(*, path: tuple[int, ...], text: str, has_dot: bool) -> None:
    if has_dot != bool(path and text):
        raise GrammarError("expected a section such as 1.2.HEADER")
    if text == "MIME" and not path:
        raise GrammarError("MIME needs a part number")


def _field_name(arguments: Arguments) -> bytes:
    name = arguments.astring()
    if not _FIELD_NAME.fullmatch(name):
        raise GrammarError("expected the name of a header field")
    return name


def _partial(end: bytes | None) -> tuple[int, int] | None:
    match = _END.fullmatch(end or b"")
    if match is None:
        raise GrammarError("expected ']' with an optional <start.count>")
    if match[1] is None:
        return None
    start, count = int(match[1]), int(match[2])
    if start > MAX_NUMBER or count > MAX_NUMBER:
        raise GrammarError("number does not fit into 32 bits")
    return start, count


def _fetch_item(section: Section, *, sets_seen: bool) -> FetchItem:
    """The reply names the item as it was asked for, without .PEEK and without the length of a partial."""
    names = b".".join(
        [*(b"%d" % number for number in section.path), *([section.text.encode()] if section.text else [])]
    )
    fields = b" (%b)" % b" ".join(astring(name) for name in section.fields) if section.fields else b""
    partial = b"<%d>" % section.partial[0] if section.partial else b""
    return FetchItem("BODY[]", b"BODY[%b%b]%b" % (names, fields, partial), section, sets_seen)
