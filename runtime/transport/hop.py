"""The internal hop, the side that sends: messages into a transport service, over SMTP with BDAT.

A `HopPool` keeps connections to one transport, each introduced once with a token of the backend key; a
`HopMessage` takes one message, waits for a free connection and ends in exactly one reply. Content is parsed,
un-stuffed and sent in counted chunks, so no octet of it is ever read as a command or as an end. A message of
up to 64 KiB goes out in one write with its envelope. The front end and transport's hand-over call this; the
other side is `services.transport_intake`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from enum import IntEnum, auto

from runtime.net.connection import connect
from runtime.net.session import Connection
from runtime.protocols.smtp import client, replies
from runtime.protocols.smtp.replies import Reply
from runtime.transport.envelope import Envelope

log = logging.getLogger("runtime.transport")

#: The private verb that brings a message's origin and, behind a space, the id of its submission.
ORIGIN_VERB = "XORIGIN"
#: Content is sent in chunks of at least this many octets (but for the last).
CHUNK_SIZE = 64 * 1024
#: Seconds without an answer after which a connection is given up.
ANSWER_TIMEOUT = 60.0
#: Seconds that an unused connection is kept; transport keeps its side longer.
IDLE_TIMEOUT = 30.0
#: Connections to one transport at a time; further messages wait for one.
MAX_CONNECTIONS = 64


class _Tag(IntEnum):
    """What a reply on the hop answers."""

    BANNER = auto()
    TOKEN = auto()
    CHUNK = auto()
    END = auto()
    RESET = auto()


Done = Callable[[Reply], None]


class HopMessage:
    """One message on its way. `write` content, then `finish` or `abort`; `done` is called once, after `finish`."""

    def __init__(self, pool: HopPool, envelope: Envelope, flow: Callable[[bool], None]) -> None:
        self.envelope = envelope
        self._pool = pool
        self._flow = flow
        self._parts: list[bytes] = []
        self._size = 0
        self._hop: _Hop | None = None
        self._is_waiting = False
        self._is_streaming = False
        self._is_finished = False
        self._done: Done | None = None
        self._failure: Reply | None = None
        self._attempts = 0
        self.is_answered = False

    def write(self, data: bytes) -> None:
        """More content. `flow(False)` asks the caller to stop for a while, `flow(True)` to go on."""
        if self._failure is not None:
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size >= CHUNK_SIZE:
            self._is_streaming = True
            self._send()

    def finish(self, done: Done) -> None:
        """The content is complete."""
        self._done = done
        self._is_finished = True
        if self._failure is not None:
            self._end(self._failure)
        else:
            self._send()

    def abort(self) -> None:
        """The message is not to be queued: nothing of it will be."""
        self._done = None
        self._failure = replies.TRANSPORT_LOST
        self._parts.clear()
        self._pool.forget(self)
        if self._hop is not None:
            self._hop.reset()
            self._hop = None

    # Called by the pool and the hop

    def begin(self, hop: _Hop) -> None:
        """A connection is free."""
        self._is_waiting = False
        self._hop = hop
        self._attempts += 1
        self.is_answered = False
        hop.introduce(self.envelope)
        if self._is_streaming:
            self._flow(True)
        self._send()

    def refuse(self, reply: Reply) -> None:
        """The transport refused something before the end; what is still to come is not sent."""
        self._failure = self._failure or reply

    def answer(self, reply: Reply) -> None:
        """The transport answered the end."""
        self._hop = None
        self._end(self._failure or reply)

    def lose(self, *, was_reached: bool) -> None:
        """The connection ended first. A message that can be sent again whole, and of which the transport had said
        nothing yet, is tried once more: the connection may have belonged to a generation that ended. It may have been
        taken all the same; the queue knows it by the id of its submission."""
        self._hop = None
        self._is_waiting = False
        if (
            was_reached
            and not self._is_streaming
            and not self.is_answered
            and self.envelope.submission
            and self._attempts < 2
            and self._is_finished
        ):
            self._send()
            return
        self._failure = self._failure or (
            replies.TRANSPORT_LOST if was_reached else replies.TRANSPORT_UNAVAILABLE
        )
        self._flow(True)
        if self._is_finished:
            self._end(self._failure)

    def _send(self) -> None:
        if self._hop is None:
            if not self._is_waiting:
                self._is_waiting = True
                if self._is_streaming:
                    self._flow(False)
                self._pool.acquire(self)
            return
        if self._is_streaming:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._hop.send_chunk(data, is_last=self._is_finished)
        elif self._is_finished:
            # Kept until it is answered, to be sent again if this connection turns out to be a dead one.
            self._hop.send_chunk(b"".join(self._parts), is_last=True)

    def set_flow(self, *, may_write: bool) -> None:
        """The connection is full, or has room again."""
        if self._is_streaming and not self._is_finished:
            self._flow(may_write)

    def _end(self, reply: Reply) -> None:
        done, self._done = self._done, None
        self._parts.clear()
        if done is not None:
            done(reply)


class _Hop:
    """One connection to a transport (`runtime.net.session.Session`)."""

    def __init__(self, pool: HopPool) -> None:
        self._pool = pool
        self._core = client.ClientConnection()
        self._message: HopMessage | None = None
        self._waiting: list[bytes] = []
        self._is_open = False
        self._connection: Connection = connect(pool.host, pool.port, self)
        self._core.expect(_Tag.BANNER, _Tag.TOKEN)

    def carry(self, message: HopMessage) -> None:
        """Take a message; only while there is none."""
        self._message = message
        message.begin(self)

    def introduce(self, envelope: Envelope) -> None:
        """The envelope, in front of the content. It has no answer of its own: a refusal answers the first chunk."""
        lines = [
            client.command(ORIGIN_VERB, f"{envelope.origin.encode()} {envelope.submission}".rstrip()),
            client.mail(envelope.sender, is_eight_bit=True),
            *(client.recipient(address) for address in envelope.recipients),
        ]
        self._write(b"".join(lines))

    def send_chunk(self, data: bytes, *, is_last: bool) -> None:
        self._core.expect(_Tag.END if is_last else _Tag.CHUNK)
        self._write(client.chunk(len(data), is_last=is_last) + data)

    def reset(self) -> None:
        """Give the message up. Chunks are always sent whole, so a command may follow at any time."""
        self._message = None
        self._core.expect(_Tag.RESET)
        self._write(client.command("RSET"))

    def close(self) -> None:
        self._connection.close()

    def _write(self, data: bytes) -> None:
        if self._is_open:
            self._connection.set_timeout(ANSWER_TIMEOUT)
            self._connection.write(data)
        else:
            self._waiting.append(data)

    def _read_answers(self) -> None:
        while (answer := self._core.next_answer()) is not None:
            if answer.tag is None or (answer.tag in {_Tag.BANNER, _Tag.TOKEN} and answer.reply.is_error):
                log.warning("transport at %s:%d: %s", self._pool.host, self._pool.port, answer.reply.text)
                self._connection.abort()
                return
            self._take(answer.tag, answer.reply)

    def _take(self, tag: object, reply: Reply) -> None:
        message = self._message
        if tag is _Tag.RESET:
            self._rest()
        elif message is None or tag in {_Tag.BANNER, _Tag.TOKEN}:
            return
        elif reply.code == 421 and not message.is_answered:
            # The service stops: the connection's end follows, and with it the second try.
            self._connection.abort()
        elif tag is _Tag.END:
            self._message = None
            if reply.is_error:
                self.reset()
            else:
                self._rest()
            message.answer(reply)
        else:
            message.is_answered = True
            if reply.is_error:
                message.refuse(reply)

    def _rest(self) -> None:
        if not self._core.outstanding:
            self._connection.set_timeout(IDLE_TIMEOUT)
            self._pool.release(self)

    # runtime.net.session.Session

    def on_connect(self, connection: Connection) -> None:
        self._connection = connection
        self._is_open = True
        connection.set_timeout(ANSWER_TIMEOUT)
        connection.write(self._pool.introduction() + b"".join(self._waiting))
        self._waiting.clear()

    def on_data(self, data: bytes) -> None:
        self._core.receive(data)
        try:
            self._read_answers()
        except client.ReplyError as error:
            log.warning("transport at %s:%d: %s", self._pool.host, self._pool.port, error)
            self._connection.abort()

    def on_tls(self) -> None:
        """The hop stays on loopback and has no TLS."""

    def on_eof(self) -> None:
        self._connection.abort()

    def on_disconnect(self, error: Exception | None) -> None:
        if error is not None and not self._is_open:
            log.warning("transport at %s:%d cannot be reached: %s", self._pool.host, self._pool.port, error)
        self._pool.remove(self)
        message, self._message = self._message, None
        if message is not None:
            message.lose(was_reached=self._is_open)

    def on_write_paused(self) -> None:
        if self._message is not None:
            self._message.set_flow(may_write=False)

    def on_write_resumed(self) -> None:
        if self._message is not None:
            self._message.set_flow(may_write=True)

    def on_timeout(self) -> None:
        self._connection.abort()


class HopPool:
    """Connections to one transport. `introduction` makes the first line of each: a fresh token of the backend key."""

    def __init__(self, host: str, port: int, introduction: Callable[[], bytes]) -> None:
        self.host = host
        self.port = port
        self.introduction = introduction
        self._idle: list[_Hop] = []
        self._all: set[_Hop] = set()
        self._queue: deque[HopMessage] = deque()
        self._is_closed = False

    def message(self, envelope: Envelope, flow: Callable[[bool], None]) -> HopMessage:
        """Begin a message. `flow` as in `HopMessage.write`."""
        return HopMessage(self, envelope, flow)

    def acquire(self, message: HopMessage) -> None:
        """Give the message a connection as soon as there is one."""
        if self._idle:
            self._idle.pop().carry(message)
        elif len(self._all) < MAX_CONNECTIONS:
            hop = _Hop(self)
            self._all.add(hop)
            hop.carry(message)
        else:
            self._queue.append(message)

    def forget(self, message: HopMessage) -> None:
        if message in self._queue:
            self._queue.remove(message)

    def release(self, hop: _Hop) -> None:
        """The hop is free."""
        if self._is_closed:
            hop.close()
        elif self._queue:
            hop.carry(self._queue.popleft())
        else:
            self._idle.append(hop)

    def remove(self, hop: _Hop) -> None:
        """The hop is gone; a message that waited for it gets a new one."""
        self._all.discard(hop)
        if hop in self._idle:
            self._idle.remove(hop)
        if self._queue:
            self.acquire(self._queue.popleft())

    def close(self) -> None:
        """Close what is unused now, and the rest when its message is answered."""
        self._is_closed = True
        for hop in list(self._idle):
            hop.close()
        self._idle.clear()
