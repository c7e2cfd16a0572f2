"""SEARCH's keys: frozen values, and a parser that holds open parentheses on a list of its own instead of the call
stack.

Nesting (parentheses, NOT, OR) is bounded by `Limits.depth`, so whoever walks the result may recurse that far.
Evaluating a key is the service's matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

from runtime.protocols.imap4.grammar import GrammarError
from runtime.protocols.imap4.tokens import Arguments, Kind
from runtime.protocols.imap4.values import SequenceSet, parse_date, parse_flag

When = Literal["before", "on", "since"]


@dataclass(frozen=True, slots=True)
class AllKey:
    """Every message."""


@dataclass(frozen=True, slots=True)
class FlagKey:
    """A flag is set, or is not."""

    flag: str
    is_set: bool


@dataclass(frozen=True, slots=True)
class RecentKey:
    """The session was the first to be told of the message, or was not."""

    is_recent: bool


@dataclass(frozen=True, slots=True)
class HeaderKey:
    """A header field holds a text; an empty text means that the field is there."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class TextKey:
    """The body, or the header too, holds a text."""

    value: str
    is_body_only: bool


@dataclass(frozen=True, slots=True)
class DateKey:
    """The day of arrival, or with `is_sent` that of the Date field, both without time and zone."""

    when: When
    day: date
    is_sent: bool


@dataclass(frozen=True, slots=True)
class SizeKey:
    """RFC822.SIZE above or below so many octets."""

    is_larger: bool
    size: int


@dataclass(frozen=True, slots=True)
class SetKey:
    """Messages by number or by UID."""

    messages: SequenceSet
    is_uid: bool


@dataclass(frozen=True, slots=True)
class NotKey:
    """What another key does not match."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class OrKey:
    """What either key matches."""

    left: SearchKey
    right: SearchKey


@dataclass(frozen=True, slots=True)
class AndKey:
    """What every key matches."""

    keys: tuple[SearchKey, ...]


SearchKey: TypeAlias = (
    AllKey | FlagKey | RecentKey | HeaderKey | TextKey | DateKey | SizeKey | SetKey | NotKey | OrKey | AndKey
)

_FLAGS = ("Answered", "Deleted", "Draft", "Flagged", "Seen")
_PLAIN: Mapping[bytes, SearchKey] = {
    b"ALL": AllKey(),
    b"RECENT": RecentKey(is_recent=True),
    b"OLD": RecentKey(is_recent=False),
    b"NEW": AndKey((RecentKey(is_recent=True), FlagKey("\\Seen", is_set=False))),
    **{flag.upper().encode(): FlagKey(f"\\{flag}", is_set=True) for flag in _FLAGS},
    **{b"UN" + flag.upper().encode(): FlagKey(f"\\{flag}", is_set=False) for flag in _FLAGS},
}
_CHARSETS = {b"US-ASCII": "ascii", b"UTF-8": "utf-8"}
_SET_START = re.compile(rb"[0-9*]")


class UnknownCharsetError(GrammarError):
    """SEARCH names a charset that is not supported."""


@dataclass(slots=True)
class _Open:
    """A list, NOT or OR that waits for more keys. `wants` is how many; None is until the closing parenthesis."""

    build: Callable[[list[SearchKey]], SearchKey]
    wants: int | None
    keys: list[SearchKey] = field(default_factory=list)


def parse_search(arguments: Arguments) -> SearchKey:
    """All arguments of SEARCH behind the space: [CHARSET name] key *(SP key).

    Raises `GrammarError`, and `UnknownCharsetError` for a charset other than US-ASCII and UTF-8.
    """
    charset = _charset(arguments)
    open_keys = [_Open(_all_of, None)]
    while True:
        _read_key(arguments, open_keys, charset)
        while len(open_keys) > 1 and arguments.skip(Kind.CLOSE):
            _close_list(open_keys)
        if arguments.is_at_end:
            break
        arguments.space()
    if len(open_keys) > 1:
        raise GrammarError("a search key is missing")
    return _all_of(open_keys[0].keys)


def _charset(arguments: Arguments) -> str:
    if arguments.peek.kind is not Kind.ATOM or arguments.peek.value.upper() != b"CHARSET":
        return "ascii"
    arguments.next()
    arguments.space()
    name = arguments.astring().upper()
    arguments.space()
    if name not in _CHARSETS:
        raise UnknownCharsetError("unknown charset")
    return _CHARSETS[name]


def _all_of(keys: list[SearchKey]) -> SearchKey:
    return keys[0] if len(keys) == 1 else AndKey(tuple(keys))


def _read_key(arguments: Arguments, open_keys: list[_Open], charset: str) -> None:
    """One step: open something that waits for keys, or add a finished key."""
    while arguments.skip(Kind.OPEN):
        _push(open_keys, _Open(_all_of, None), arguments.limits.depth)
    word = arguments.run().upper()
    if word == b"NOT":
        _push(open_keys, _Open(lambda keys: NotKey(keys[0]), 1), arguments.limits.depth)
    elif word == b"OR":
        _push(open_keys, _Open(lambda keys: OrKey(*keys), 2), arguments.limits.depth)
    else:
        _add(open_keys, _leaf(word, arguments, charset))


def _push(open_keys: list[_Open], waiting: _Open, depth: int) -> None:
    if len(open_keys) > depth:
        raise GrammarError("search keys are nested too deeply")
    open_keys.append(waiting)


def _add(open_keys: list[_Open], key: SearchKey) -> None:
    """Give a finished key to what waits for it, and that, if it is complete now, to what waits for that."""
    while True:
        waiting = open_keys[-1]
        waiting.keys.append(key)
        if waiting.wants is None or len(waiting.keys) < waiting.wants:
            return
        open_keys.pop()
        key = waiting.build(waiting.keys)


def _close_list(open_keys: list[_Open]) -> None:
    waiting = open_keys.pop()
    if waiting.wants is not None or not waiting.keys:
        raise GrammarError("a search key is missing before ')'")
    _add(open_keys, waiting.build(waiting.keys))


def _leaf(word: bytes, arguments: Arguments, charset: str) -> SearchKey:
    if word in _PLAIN:
        return _PLAIN[word]
    if _SET_START.match(word):
        return SetKey(SequenceSet.parse(word), is_uid=False)
    if word not in _WITH_ARGUMENT:
        raise GrammarError("unknown search key")
    arguments.space()
    return _WITH_ARGUMENT[word](arguments, charset)


def _text(arguments: Arguments, charset: str) -> str:
    value = arguments.astring()
    try:
        return value.decode(charset)
    except UnicodeDecodeError as error:
        raise GrammarError("the text is not in the charset of the search") from error


def _header(arguments: Arguments, charset: str) -> SearchKey:
    name = arguments.astring().decode("ascii", "replace")
    arguments.space()
    return HeaderKey(name.upper(), _text(arguments, charset))


def _field(name: str) -> _Leaf:
    return lambda arguments, charset: HeaderKey(name, _text(arguments, charset))


def _date(when: When, *, is_sent: bool) -> _Leaf:
    return lambda arguments, _: DateKey(when, parse_date(_date_text(arguments)), is_sent)


def _date_text(arguments: Arguments) -> bytes:
    return arguments.quoted() if arguments.peek.kind is Kind.QUOTED else arguments.run()


def _keyword(*, is_set: bool) -> _Leaf:
    return lambda arguments, _: FlagKey(parse_flag(arguments.atom()), is_set)


_Leaf: TypeAlias = Callable[[Arguments, str], SearchKey]
_WHENS: tuple[When, ...] = ("before", "on", "since")
_WITH_ARGUMENT: Mapping[bytes, _Leaf] = {
    b"HEADER": _header,
    **{name.encode(): _field(name) for name in ("FROM", "TO", "CC", "BCC", "SUBJECT")},
    b"BODY": lambda arguments, charset: TextKey(_text(arguments, charset), is_body_only=True),
    b"TEXT": lambda arguments, charset: TextKey(_text(arguments, charset), is_body_only=False),
    **{when.upper().encode(): _date(when, is_sent=False) for when in _WHENS},
    **{b"SENT" + when.upper().encode(): _date(when, is_sent=True) for when in _WHENS},
    b"LARGER": lambda arguments, _: SizeKey(is_larger=True, size=arguments.number()),
    b"SMALLER": lambda arguments, _: SizeKey(is_larger=False, size=arguments.number()),
    b"KEYWORD": _keyword(is_set=True),
    b"UNKEYWORD": _keyword(is_set=False),
    b"UID": lambda arguments, _: SetKey(arguments.sequence_set(), is_uid=True),
}
