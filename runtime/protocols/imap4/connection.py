"""The server's side of one IMAP connection: bytes in, events out, no I/O.

The essay. A command is a line, or several with literals between them. The core is always waiting for exactly one
thing, held in `_read`: the first line of a command, a literal, the line behind a literal, the message of an APPEND,
a line that the service asked for (AUTHENTICATE, IDLE), the service's word on an APPEND, or the end of something it
throws away. Each is one method that either needs more octets, has made a step, or returns an event. What has been
read is kept as tokens in `_Pending`; a later piece only adds to it.

After a command that cannot be used the stream is still followed: a client that waits for "+" sends nothing more;
one that does not wait (LITERAL+) sends its literal all the same, which is dropped without being stored. When that
is impossible because a literal is beyond its limit, the last event is `Fatal`.

A line ends with CRLF. A bare LF ends a line too, but only to call it bad: a front end and a back end can then never
disagree about where a command ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from runtime.protocols.imap4.commands import SIMPLE, parse_append, parse_command
from runtime.protocols.imap4.events import (
    Append,
    Bad,
    ContinuationNeeded,
    Event,
    Failure,
    Fatal,
    Line,
    MessageData,
    MessageEnd,
    Simple,
    TooBig,
    UnknownCharset,
    WrongState,
)
from runtime.protocols.imap4.grammar import LITERAL_HEADER, TAG, GrammarError, Limits
from runtime.protocols.imap4.reader import LineTooLongError, ReceiveBuffer
from runtime.protocols.imap4.search_keys import UnknownCharsetError
from runtime.protocols.imap4.state import VALID_IN, State
from runtime.protocols.imap4.tokens import Arguments, Kind, Token, tokenize
from runtime.protocols.imap4.values import Secret


class _Step(Enum):
    NEED_DATA = auto()
    AGAIN = auto()


_Result: TypeAlias = Event | _Step
#: How much of a line that is too long is skipped before the client is given up.
_LONGEST_SKIPPED = 64 * 1024
_TAIL = 16


@dataclass(frozen=True, slots=True)
class _Announced:
    """{size} or {size+} at the end of a line."""

    size: int
    is_waiting: bool


@dataclass(slots=True)
class _Pending:
    """A command of which a part has come."""

    tag: bytes
    name: str
    tokens: list[Token] = field(default_factory=list)
    text_size: int = 0
    literals: int = 0
    literals_size: int = 0


class ServerConnection:
    """One session's stream of commands.

    `state` is the service's to change; `limits` bound every command. Feed octets with `receive_data`, then take
    events until `next_event` says None.
    """

    __slots__ = ("_buffer", "_is_waiting", "_pending", "_read", "_remaining", "_tail", "limits", "state")

    def __init__(self, *, limits: Limits, state: State = State.NOT_AUTHENTICATED) -> None:
        self.state = state
        self.limits = limits
        self._buffer = ReceiveBuffer()
        self._read: Callable[[], _Result] = self._read_command
        self._pending = _Pending(b"*", "")
        self._remaining = 0
        self._is_waiting = False
        self._tail = b""

    def receive_data(self, data: bytes) -> None:
        """Octets from the client, in any pieces."""
        self._buffer.append(data)

    @property
    def unread(self) -> int:
        """Octets that have come and are in no event yet. After STARTTLS there must be none."""
        return len(self._buffer)

    def take_unread(self) -> bytes:
        """Hand the unread octets over to somebody else: a front end gives them to the back end after a logon."""
        return self._buffer.take(len(self._buffer))

    def next_event(self) -> Event | None:
        """The next event, or None when more octets (or the service's word on an APPEND) are needed."""
        while True:
            result = self._read()
            if result is _Step.NEED_DATA:
                return None
            if not isinstance(result, _Step):
                return result

    def expect_line(self) -> None:
        """The next line is no command but an answer: it comes as `Line`."""
        self._read = self._read_expected_line

    def accept_message(self) -> None:
        """After `Append`: the message may come. A client that waits needs a "+" from the service."""
        self._read = self._read_message

    def refuse_message(self) -> None:
        """After `Append`: the message is not wanted. One that comes all the same is dropped."""
        if self._is_waiting:
            self._read = self._read_command
        else:
            self._read = self._read_dropped_literal

    # --- the first line ---------------------------------------------------------------------------------------------

    def _read_command(self) -> _Result:
        try:
            line = self._buffer.take_line(self.limits.command_line)
        except LineTooLongError:
            return self._begin_skipping(self._buffer.first(self.limits.command_line))
        if line is None:
            return _Step.NEED_DATA
        return self._first_line(line)

    def _first_line(self, line: bytes) -> _Result:
        tag, _, rest = line[:-2].partition(b" ")
        word, _, arguments = rest.partition(b" ")
        name = word.upper().decode("latin-1")
        if (
            not arguments
            and name in SIMPLE
            and self.state & VALID_IN[name]
            and rest == word
            and TAG.fullmatch(tag)
        ):
            return Simple(tag, name) if line.endswith(b"\r\n") else Bad(tag, "line does not end with CRLF")
        text, announced = _announcement(line)
        failure = self._failure(tag, name, line)
        if failure is not None:
            return self._fail(failure, announced)
        self._pending = _Pending(tag, name)
        return self._more(text[len(tag) + 1 + len(word) :], announced)

    def _failure(self, tag: bytes, name: str, line: bytes) -> Failure | None:
        """Why a command is refused before its arguments are looked at."""
        if not TAG.fullmatch(tag):
            return Bad(b"*", "expected a tag")
        if not line.endswith(b"\r\n"):
            return Bad(tag, "line does not end with CRLF")
        if name not in VALID_IN:
            return Bad(tag, "unknown command")
        return None if self.state & VALID_IN[name] else WrongState(tag, name)

    # --- the pieces behind it ---------------------------------------------------------------------------------------

    def _more(self, text: bytes, announced: _Announced | None) -> _Result:
        """One more line of the pending command."""
        pending = self._pending
        pending.text_size += len(text)
        try:
            pending.tokens += tokenize(text, limits=self.limits, already=len(pending.tokens))
            if announced is None:
                return self._complete()
            if pending.name == "APPEND" and len(pending.tokens) > 1:
                return self._announce_message(announced)
        except UnknownCharsetError:
            return self._fail(UnknownCharset(pending.tag), announced)
        except GrammarError as error:
            return self._fail(Bad(pending.tag, str(error)), announced)
        return self._announce_literal(announced)

    def _complete(self) -> _Result:
        self._read = self._read_command
        pending, self._pending = self._pending, _Pending(b"*", "")
        if pending.name == "APPEND":
            raise GrammarError("expected a message as a literal")
        return parse_command(pending.tag, pending.name, Arguments(pending.tokens, self.limits))

    def _announce_literal(self, announced: _Announced) -> _Result:
        pending, limits = self._pending, self.limits
        pending.literals += 1
        pending.literals_size += announced.size
        if (
            announced.size > limits.literal
            or pending.literals_size > limits.literals_total
            or pending.literals > limits.literal_count
        ):
            return self._too_big(announced)
        self._remaining = announced.size
        self._read = self._read_literal
        return ContinuationNeeded() if announced.is_waiting else _Step.AGAIN

    def _too_big(self, announced: _Announced) -> _Result:
        """One that waits can be told NO; one that does not wait is already sending."""
        if not announced.is_waiting:
            return self._fatal("literal is too big")
        self._read = self._read_command
        return TooBig(self._pending.tag)

    def _read_literal(self) -> _Result:
        if len(self._buffer) < self._remaining:
            return _Step.NEED_DATA
        self._pending.tokens.append(Token(Kind.LITERAL, self._buffer.take(self._remaining)))
        self._read = self._read_rest
        return _Step.AGAIN

    def _read_rest(self) -> _Result:
        """The line behind a literal."""
        line = self._take_following_line(self.limits.command_line - self._pending.text_size)
        if line is None or isinstance(line, _Step):
            return _Step.NEED_DATA if line is None else line
        text, announced = _announcement(line)
        if not line.endswith(b"\r\n"):
            return self._fail(Bad(self._pending.tag, "line does not end with CRLF"), announced)
        return self._more(text, announced)

    def _take_following_line(self, longest: int) -> bytes | _Step | None:
        try:
            return self._buffer.take_line(longest)
        except LineTooLongError:
            return self._begin_skipping(self._pending.tag)

    # --- the message of an APPEND -----------------------------------------------------------------------------------

    def _announce_message(self, announced: _Announced) -> _Result:
        pending = self._pending
        arguments = Arguments(pending.tokens, self.limits)
        event: Append = parse_append(
            pending.tag, arguments, size=announced.size, is_waiting=announced.is_waiting
        )
        if announced.size > self.limits.message:
            return self._too_big(announced)
        pending.tokens.clear()
        self._remaining = announced.size
        self._is_waiting = announced.is_waiting
        self._read = self._await_decision
        return event

    @staticmethod
    def _await_decision() -> _Result:
        return _Step.NEED_DATA

    def _read_message(self) -> _Result:
        if not self._remaining:
            self._read = self._read_message_end
            return _Step.AGAIN
        data = self._buffer.take(self._remaining)
        self._remaining -= len(data)
        return MessageData(data) if data else _Step.NEED_DATA

    def _read_message_end(self) -> _Result:
        line = self._take_following_line(self.limits.command_line)
        if line is None or isinstance(line, _Step):
            return _Step.NEED_DATA if line is None else line
        self._read = self._read_command
        if line == b"\r\n":
            return MessageEnd(self._pending.tag)
        return self._fail(Bad(self._pending.tag, "unexpected text after the message"), _announcement(line)[1])

    # --- a line that the service asked for ---------------------------------------------------------------------------

    def _read_expected_line(self) -> _Result:
        try:
            line = self._buffer.take_line(self.limits.command_line)
        except LineTooLongError:
            return self._fatal("line is too long")
        if line is None:
            return _Step.NEED_DATA
        self._read = self._read_command
        return Line(Secret(line.removesuffix(b"\n").removesuffix(b"\r")))

    # --- what cannot be used ----------------------------------------------------------------------------------------

    def _fail(self, failure: Failure, announced: _Announced | None) -> _Result:
        """Report the failure, and drop the literal of a client that does not wait."""
        self._read = self._read_command
        if announced is not None and not announced.is_waiting:
            if announced.size > max(self.limits.literal, self.limits.message):
                return self._fatal("literal is too big")
            self._remaining = announced.size
            self._read = self._read_dropped_literal
        return failure

    def _read_dropped_literal(self) -> _Result:
        self._remaining -= len(self._buffer.take(self._remaining))
        if self._remaining:
            return _Step.NEED_DATA
        self._read = self._read_dropped_line
        return _Step.AGAIN

    def _read_dropped_line(self) -> _Result:
        try:
            line = self._buffer.take_line(self.limits.command_line)
        except LineTooLongError:
            return self._fatal("line is too long")
        if line is None:
            return _Step.NEED_DATA
        self._read = self._read_command
        announced = _announcement(line)[1]
        if announced is None or announced.is_waiting:
            return _Step.AGAIN
        if announced.size > max(self.limits.literal, self.limits.message):
            return self._fatal("literal is too big")
        self._remaining = announced.size
        self._read = self._read_dropped_literal
        return _Step.AGAIN

    def _begin_skipping(self, start: bytes) -> _Step:
        """A line is too long: find its end without keeping it. `start` begins with the tag."""
        tag = start.partition(b" ")[0]
        self._pending = _Pending(tag if TAG.fullmatch(tag) else b"*", "")
        self._remaining = _LONGEST_SKIPPED
        self._tail = b""
        self._read = self._skip_line
        return _Step.AGAIN

    def _skip_line(self) -> _Result:
        piece, is_complete = self._buffer.skip_to_line_end()
        self._remaining -= len(piece)
        self._tail = (self._tail + piece[-_TAIL:])[-_TAIL:]
        if not is_complete:
            return _Step.NEED_DATA if self._remaining > 0 else self._fatal("line is too long")
        announced = _announcement(self._tail)[1]
        return self._fail(Bad(self._pending.tag, "command line is too long"), announced)

    def _fatal(self, reason: str) -> Fatal:
        self._buffer.take(len(self._buffer))
        self._read = self._drop_everything
        return Fatal(reason)

    def _drop_everything(self) -> _Result:
        self._buffer.take(len(self._buffer))
        return _Step.NEED_DATA


def _announcement(line: bytes) -> tuple[bytes, _Announced | None]:
    """The text of a line, and the literal that its end announces."""
    text = line.removesuffix(b"\n").removesuffix(b"\r")
    match = LITERAL_HEADER.search(text[-_TAIL:])
    if match is None:
        return text, None
    return text[: -len(match[0])], _Announced(int(match[1]), is_waiting=not match[2])
