"""The server's side of one SMTP session, without a socket, a clock or a thread.

Bytes go in with `receive`, events come out of `next_event`, and each event but `Header` and `Content` waits for one
`reply`, which moves the state. The core owns the receive buffer and every limit on what a client may say. It does not
know who the client is, what it may do or where mail goes: the services do.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.buffer import ReceiveBuffer, TooLong
from runtime.protocols.smtp.content import ChunkDecoder, ContentLimits, DotDecoder, LineEndings, MessageReader
from runtime.protocols.smtp.grammar import parse_command
from runtime.protocols.smtp.reader import read_auth_response, read_chunk_size, read_command
from runtime.protocols.smtp.replies import Reply, render_reply
from runtime.protocols.smtp.state import ALLOWED, LAST_IN_GROUP, State, after

#: RFC 4954 4: a base64 line of a SASL exchange may have up to 12,288 octets.
MAX_AUTH_LINE = 12_288


class NeedData(Enum):
    """Nothing to do until the client says more."""

    NEED_DATA = "need data"


NEED_DATA: Final = NeedData.NEED_DATA


class SequenceError(RuntimeError):
    """The service used the core wrongly: a reply without an event, or an event asked for while one waits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may send. `command_line` counts octets with CRLF; RFC 5321 4.5.3.1.4 asks for at least 512."""

    content: ContentLimits
    command_line: int = 2048
    auth_line: int = MAX_AUTH_LINE


@dataclass(frozen=True, slots=True)
class Options:
    """What this core takes beside the base commands."""

    line_endings: LineEndings = LineEndings.REJECT
    has_chunking: bool = False
    is_enhanced: bool = True
    private_verbs: frozenset[str] = frozenset()


class ServerConnection:
    """One session. Not for two threads. `limits` may be replaced between messages."""

    def __init__(self, limits: Limits, options: Options) -> None:
        self.limits = limits
        self._options = options
        self._buffer = ReceiveBuffer()
        self._ready: deque[ev.Event] = deque()
        self._waiting: ev.Event | None = None
        self._is_greeted = False
        self._decoder: DotDecoder | ChunkDecoder | None = None
        self._message: MessageReader | None = None
        self._refused_chunk: Reply | None = None
        self.state = State.HELLO_NEEDED

    @property
    def buffered(self) -> int:
        """Octets received and not yet read."""
        return len(self._buffer)

    @property
    def is_awaiting_reply(self) -> bool:
        return self._waiting is not None

    def receive(self, data: bytes) -> None:
        """Take what the client sent. It is not looked at before `next_event`."""
        if self.state is not State.CLOSED:
            self._buffer.add(data)

    def next_event(self) -> ev.Event | NeedData:
        """What the client said next. Raises SequenceError while the last event has no reply."""
        if self._waiting is not None:
            raise SequenceError(f"{type(self._waiting).__name__} has not been answered")
        event = self._ready.popleft() if self._ready else self._read()
        if event is not NEED_DATA and not isinstance(event, ev.Header | ev.Content):
            self._waiting = event
        return event

    def reply(self, reply: Reply) -> bytes:
        """Answer the event that waits; returns the bytes to send."""
        event = self._waiting
        if event is None:
            raise SequenceError("there is no event to answer")
        self._waiting = None
        if isinstance(event, ev.Hello | ev.Private) and reply.is_positive:
            self._is_greeted = True
        state = after(event, reply, self.state, is_greeted=self._is_greeted)
        if state is not self.state:
            self._move(state)
        return render_reply(reply, is_enhanced=self._options.is_enhanced)

    def close(self, reply: Reply) -> bytes:
        """Say a last word that no command asked for (421, or the refusal instead of a banner)."""
        self._waiting = None
        self._move(State.CLOSED)
        return render_reply(reply, is_enhanced=self._options.is_enhanced)

    def tls_started(self) -> None:
        """The handshake is done: forget everything that was said in clear (RFC 3207 4.2)."""
        if self.state is not State.TLS_HANDSHAKE:
            raise SequenceError("no STARTTLS was answered with 220")
        self._buffer = ReceiveBuffer()
        self._is_greeted = False
        self.state = State.HELLO_NEEDED

    def _move(self, state: State) -> None:
        self.state = state
        if state is State.CONTENT:
            self._decoder = DotDecoder()
            self._message = self._new_message()
        elif state is State.CLOSED:
            self._buffer.take_all()
            self._ready.clear()
        if state not in {State.CONTENT, State.CHUNK, State.CHUNKING}:
            self._decoder = self._message = None

    def _new_message(self) -> MessageReader:
        return MessageReader(self.limits.content, self._options.line_endings)

    def _read(self) -> ev.Event | NeedData:
        if self.state in {State.CLOSED, State.TLS_HANDSHAKE}:
            return NEED_DATA
        if self._decoder is not None:
            return self._read_content(self._decoder)
        is_response = self.state is State.AUTHENTICATING
        line = self._buffer.next_line(self._line_limit())
        if line is None:
            return NEED_DATA
        if isinstance(line, TooLong):
            return ev.Refused(replies.LINE_TOO_LONG)
        text = _text(line)
        if text is None:
            return ev.Refused(replies.BAD_LINE)
        return read_auth_response(text) if is_response else self._read_line(text)

    def _line_limit(self) -> int:
        """AUTH may carry its initial response in the command line, so the longer limit is its command's too."""
        if len(self._buffer) < self.limits.command_line:
            return (
                self.limits.command_line if self.state is not State.AUTHENTICATING else self.limits.auth_line
            )
        is_auth = self.state is State.AUTHENTICATING or self._buffer.begins_with(b"AUTH ")
        return self.limits.auth_line if is_auth else self.limits.command_line

    def _read_line(self, text: str) -> ev.Event | NeedData:
        command = parse_command(text)
        if command is None:
            return ev.Refused(replies.UNRECOGNIZED_COMMAND)
        verb, argument = command
        if verb in self._options.private_verbs:
            return ev.Private(verb, argument)
        if verb in LAST_IN_GROUP and len(self._buffer):
            return ev.Refused(replies.EARLY_PIPELINING, is_final=True)
        if verb == "BDAT" and self._options.has_chunking:
            return self._begin_chunk(argument)
        allowed = ALLOWED.get(verb)
        if allowed is not None and self.state not in allowed:
            return ev.Refused(self._out_of_order())
        return read_command(verb, argument)

    def _out_of_order(self) -> Reply:
        return replies.BAD_SEQUENCE if self._is_greeted else replies.SEND_HELLO_FIRST

    def _begin_chunk(self, argument: str) -> ev.Event | NeedData:
        size = read_chunk_size(argument)
        if size is None:
            # Without its size the chunk's end is unknown, so nothing behind this line can be told from content.
            return ev.Refused(replies.BAD_ARGUMENTS, is_final=True)
        is_allowed = self.state in ALLOWED["BDAT"]
        self._refused_chunk = None if is_allowed else self._out_of_order()
        self._decoder = ChunkDecoder(size[0], is_last=size[1])
        if is_allowed:
            self.state = State.CHUNK
            self._message = self._message or self._new_message()
        return self._read_content(self._decoder)

    def _read_content(self, decoder: DotDecoder | ChunkDecoder) -> ev.Event | NeedData:
        content, rest = decoder.feed(self._buffer.take_all())
        if self._message is not None:
            self._ready += self._message.feed(content)
        if rest is not None:
            self._buffer.put_back(rest)
            self._end_content(decoder)
        return self._ready.popleft() if self._ready else NEED_DATA

    def _end_content(self, decoder: DotDecoder | ChunkDecoder) -> None:
        self._decoder = None
        if self._refused_chunk is not None:
            self._ready.append(ev.Refused(self._refused_chunk, is_chunk=True))
            self._refused_chunk = None
        elif isinstance(decoder, ChunkDecoder) and not decoder.is_last:
            self._ready.append(ev.EndOfChunk(decoder.size))
        elif self._message is not None:
            self._ready += self._message.finish()
            self._message = None


def _text(line: bytes) -> str | None:
    """The line without CRLF; None when it has a bare CR or LF, a NUL or anything but ASCII."""
    end = len(line) - 2
    if line.find(b"\r") != end or b"\0" in line or not line.isascii():
        return None
    return line[:end].decode("ascii")
