"""Text of a command → tokens, and a cursor over them with one method a piece of the grammar.

A line is tokenised once, when it is complete; a literal that follows becomes one more token, so nothing is ever
parsed twice. Nothing here recurses. Called by `connection` (tokenise) and by the argument parsers (cursor).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, TypeVar

from runtime.protocols.imap4.grammar import (
    ASTRING_ATOM,
    ATOM,
    LIST_ATOM,
    MAX_NUMBER,
    NUMBER,
    GrammarError,
    Limits,
)
from runtime.protocols.imap4.values import MailboxName, SequenceSet, parse_flag

T = TypeVar("T")


class Kind(IntEnum):
    """What a token is. ATOM is any run of characters that no delimiter ends; the cursor checks which it may hold."""

    ATOM = 1
    SPACE = 2
    OPEN = 3
    CLOSE = 4
    QUOTED = 5
    LITERAL = 6


class Token(NamedTuple):
    """One token; the value of a string is already unescaped."""

    kind: Kind
    value: bytes


_TOKEN = re.compile(
    rb'([^\x00-\x20\x7f-\xff"(){]+)|( )|(\()|(\))|"([^"\\\x00\r\n]*(?:\\["\\][^"\\\x00\r\n]*)*)"',
)
#: By the number of the group above that matched.
_KINDS = {int(kind): kind for kind in Kind}
_ESCAPE = re.compile(rb'\\(["\\])')
_END = Token(Kind.SPACE, b"")


def tokenize(text: bytes, *, limits: Limits, already: int = 0) -> list[Token]:
    """The tokens of one line. Raises `GrammarError` where no token can start, or when a command would have more than
    `limits.list_items` (`already` counts those of its earlier lines)."""
    tokens: list[Token] = []
    position, end = 0, len(text)
    room = 2 * limits.list_items - already
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastindex is None:
            raise GrammarError("unexpected character")
        kind = _KINDS[match.lastindex]
        value = match[match.lastindex]
        tokens.append(Token(kind, _ESCAPE.sub(rb"\1", value) if kind is Kind.QUOTED else value))
        if len(tokens) > room:
            raise GrammarError("too many items")
        position = match.end()
    return tokens


class Arguments:
    """A cursor over the tokens behind a command's name. Every method raises `GrammarError` when something else is
    there."""

    __slots__ = ("_position", "_tokens", "limits")

    def __init__(self, tokens: list[Token], limits: Limits) -> None:
        self._tokens = tokens
        self._position = 0
        self.limits = limits

    @property
    def peek(self) -> Token:
        """The next token; an empty one at the end."""
        return self._tokens[self._position] if self._position < len(self._tokens) else _END

    @property
    def is_at_end(self) -> bool:
        return self._position >= len(self._tokens)

    def next(self) -> Token:
        token = self.peek
        self._position += 1
        return token

    def _take(self, kind: Kind, expected: str) -> bytes:
        if self.is_at_end or self._tokens[self._position].kind is not kind:
            raise GrammarError(f"expected {expected}")
        self._position += 1
        return self._tokens[self._position - 1].value

    def space(self) -> None:
        self._take(Kind.SPACE, "a space")

    def open(self) -> None:
        self._take(Kind.OPEN, "'('")

    def end(self) -> None:
        if not self.is_at_end:
            raise GrammarError("unexpected text after the arguments")

    def skip(self, kind: Kind) -> bool:
        """Step over a token of this kind if it is next."""
        if self.is_at_end or self.peek.kind is not kind:
            return False
        self._position += 1
        return True

    def run(self) -> bytes:
        """Any run of characters without a delimiter: the caller checks it."""
        return self._take(Kind.ATOM, "an atom")

    def atom(self) -> bytes:
        value = self.run()
        if not ATOM.fullmatch(value):
            raise GrammarError("expected an atom")
        return value

    def astring(self) -> bytes:
        """An atom (with "]" allowed), a quoted string or a literal, without NUL."""
        return self._string_or(ASTRING_ATOM, "a string")

    def credential(self) -> bytes:
        """An astring, or any run of characters: people and libraries send DOMAIN\\user unquoted."""
        return self.run() if self.peek.kind is Kind.ATOM else self.astring()

    def list_pattern(self) -> bytes:
        """A mailbox name with wildcards (list-mailbox)."""
        return self._string_or(LIST_ATOM, "a mailbox pattern")

    def _string_or(self, atom: re.Pattern[bytes], expected: str) -> bytes:
        token = self.next()
        if token.kind in (Kind.QUOTED, Kind.LITERAL):
            return without_nul(token.value)
        if token.kind is not Kind.ATOM or not atom.fullmatch(token.value):
            raise GrammarError(f"expected {expected}")
        return token.value

    def nstring(self) -> bytes | None:
        """A quoted string or a literal, or NIL."""
        token = self.next()
        if token.kind is Kind.ATOM and token.value.upper() == b"NIL":
            return None
        if token.kind not in (Kind.QUOTED, Kind.LITERAL):
            raise GrammarError("expected a string or NIL")
        return without_nul(token.value)

    def quoted(self) -> bytes:
        return self._take(Kind.QUOTED, "a quoted string")

    def number(self) -> int:
        return parse_number(self.run())

    def sequence_set(self) -> SequenceSet:
        return SequenceSet.parse(self.run())

    def mailbox(self) -> MailboxName:
        return MailboxName.parse(self.astring())

    def flags(self) -> tuple[str, ...]:
        """flag-list: in parentheses, may be empty."""
        return tuple(dict.fromkeys(self.listed(lambda: parse_flag(self.run()), may_be_empty=True)))

    def listed(self, item: Callable[[], T], *, may_be_empty: bool = False) -> list[T]:
        """One or more items in parentheses, one space between them."""
        self.open()
        if self.skip(Kind.CLOSE):
            if not may_be_empty:
                raise GrammarError("expected at least one item in the parentheses")
            return []
        items = [item()]
        while not self.skip(Kind.CLOSE):
            self.space()
            items.append(item())
        return items


def parse_number(text: bytes) -> int:
    """`number`: 32 bits. Raises `GrammarError`."""
    if not NUMBER.fullmatch(text) or int(text) > MAX_NUMBER:
        raise GrammarError("expected a number")
    return int(text)


def without_nul(value: bytes) -> bytes:
    """Strings hold CHAR8, which excludes NUL. Raises `GrammarError`."""
    if b"\x00" in value:
        raise GrammarError("a string must not hold NUL")
    return value
