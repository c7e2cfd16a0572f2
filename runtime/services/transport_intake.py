"""The internal hop, the side that receives: messages from our own front ends and from other servers'
transports.

A peer introduces itself with a token of the backend key before it may say anything else; then each message
comes as origin, envelope and counted chunks, usually in one read. Permissions and limits were the front
end's: nothing is judged here a second time. It speaks to nobody who does not hold the key.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from runtime.net.session import Connection
from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.connection import NEED_DATA, Limits, Options, ServerConnection
from runtime.protocols.smtp.content import ContentLimits, LineEndings
from runtime.protocols.smtp.replies import Reply, reply
from runtime.protocols.smtp.state import BETWEEN_MESSAGES, State
from runtime.services.backend_hop import HopError, Nonces
from runtime.services.queue_sink import QueueSink
from runtime.services.smtp_service import SmtpService
from runtime.services.transport_token import VERB, sender_of
from runtime.transport.engine import TransportEngine
from runtime.transport.envelope import Envelope, EnvelopeError, Origin, is_submission
from runtime.transport.hop import ORIGIN_VERB

log = logging.getLogger("runtime.services")

#: Seconds that a peer has to introduce itself, and that it may be silent afterwards (front ends close after 30).
INTRODUCTION_TIMEOUT = 10.0
IDLE_TIMEOUT = 300.0

#: Sizes were limited where the client was; only a loop between servers is looked for here.
_LIMITS = Limits(
    ContentLimits(message=2**62, header=2**62, hops=100, local_hops=0, local_name=""), command_line=8002
)
_OPTIONS = Options(
    line_endings=LineEndings.TRUST, has_chunking=True, private_verbs=frozenset({VERB, ORIGIN_VERB})
)
_NOT_INTRODUCED = reply("530 5.7.0 Introduce yourself first")
_BAD_TOKEN = reply("535 5.7.3 Authentication unsuccessful")
_BAD_ORIGIN = reply("501 5.5.4 Invalid origin")


def _always(answer: Reply) -> Callable[[InternalSession, Any], Reply | None]:
    return lambda _session, _event: answer


def _refused(_session: InternalSession, event: ev.Refused) -> Reply:
    return event.reply


@dataclass(frozen=True, slots=True)
class Door:
    """What the internal listener of a generation is: this server's names, the backend key, the nonces seen."""

    server: str
    fqdn: str
    key: bytes
    nonces: Nonces


class InternalSession:
    """`runtime.net.session.Session` of one peer of the internal hop."""

    def __init__(self, engine: TransportEngine, service: SmtpService, door: Door) -> None:
        self._engine = engine
        self._service = service
        self._fqdn = door.fqdn
        self._door = door
        self._core = ServerConnection(_LIMITS, _OPTIONS)
        self._peer = ""
        self._origin: Origin | None = None
        self._submission = ""
        self._sender = ""
        self._recipients: list[str] = []
        self._sink: QueueSink | None = None
        self._refusal: Reply | None = None
        self._is_waiting = False
        self._is_ending = False
        self._is_over = False

    # runtime.net.session.Session

    def on_connect(self, connection: Connection) -> None:
        self._connection = connection
        self._service.joined(self)
        connection.set_timeout(INTRODUCTION_TIMEOUT)
        connection.write(replies.render_reply(Reply(220, None, (f"{self._fqdn} transport",))))

    def on_data(self, data: bytes) -> None:
        if self._is_over:
            return
        self._core.receive(data)
        self._run()

    def on_tls(self) -> None:
        """The hop stays on loopback and has no TLS."""

    def on_eof(self) -> None:
        if not self._is_waiting:
            self._close()

    def on_disconnect(self, error: Exception | None) -> None:
        self._is_over = True
        self._drop_message()
        self._service.left(self)

    def on_write_paused(self) -> None:
        self._connection.pause_reading()

    def on_write_resumed(self) -> None:
        self._connection.resume_reading()

    def on_timeout(self) -> None:
        self._end(replies.TIMED_OUT)

    # What the service calls

    def drain(self) -> None:
        """End when the message under way, if any, is answered."""
        self._is_ending = True
        self._run_ending()

    def shut_down(self) -> None:
        if not self._is_over:
            self._end(replies.SERVICE_STOPPING)

    # Events and replies

    def _run(self) -> None:
        while not self._is_waiting and not self._is_over:
            event = self._core.next_event()
            if event is NEED_DATA:
                break
            if isinstance(event, ev.Header | ev.Content):
                self._open_sink().write(event.data)
                continue
            answer = self._judge(event)
            if answer is not None:
                self._answer(event, answer)
        self._run_ending()

    def _judge(self, event: ev.Event) -> Reply | None:
        if not self._peer and not (isinstance(event, ev.Private) and event.verb == VERB):
            self._send(_NOT_INTRODUCED)
            self._end(replies.SERVICE_STOPPING)
            return None
        return self._HANDLERS[type(event)](self, event)

    def _answer(self, event: ev.Event, answer: Reply) -> None:
        """What belongs to the envelope is not answered: a refusal of it is the answer to the chunks that follow."""
        if self._is_quiet(event):
            self._core.reply(answer)
            if answer.is_error and self._refusal is None:
                self._refusal = answer
        elif isinstance(event, ev.Refused) and event.is_chunk and self._refusal is not None:
            self._send(self._refusal)
        else:
            self._send(answer)

    def _is_quiet(self, event: ev.Event) -> bool:
        if isinstance(event, ev.Private):
            return event.verb == ORIGIN_VERB
        return isinstance(event, ev.Mail | ev.Recipient) or (
            isinstance(event, ev.Refused) and not event.is_chunk and not event.is_final
        )

    def _send(self, answer: Reply) -> None:
        self._connection.write(self._core.reply(answer))
        if self._core.state is State.CLOSED:
            self._close()

    def _run_ending(self) -> None:
        is_free = not self._is_waiting and not self._is_over
        if self._is_ending and is_free and self._core.state in BETWEEN_MESSAGES:
            self._end(replies.SERVICE_STOPPING)

    def _end(self, answer: Reply) -> None:
        self._connection.write(self._core.close(answer))
        self._close()

    def _close(self) -> None:
        self._is_over = True
        self._drop_message()
        self._connection.close()

    # Commands

    def _on_private(self, event: ev.Private) -> Reply:
        return self._introduce(event.argument) if event.verb == VERB else self._set_origin(event.argument)

    def _introduce(self, argument: str) -> Reply:
        try:
            door = self._door
            self._peer = sender_of(door.key, argument, door.nonces, receiver=door.server)
        except HopError as error:
            log.warning("transport refused a peer at %s: %s", self._connection.peer[0], error)
            self._is_ending = True
            return _BAD_TOKEN
        self._connection.set_timeout(IDLE_TIMEOUT)
        return replies.OK

    def _set_origin(self, argument: str) -> Reply:
        if self._core.state is not State.READY:
            return replies.BAD_SEQUENCE
        encoded, _, self._submission = argument.partition(" ")
        if self._submission and not is_submission(self._submission):
            return _BAD_ORIGIN
        try:
            self._origin = Origin.decode(encoded)
        except EnvelopeError as error:
            log.warning("an origin from %s: %s", self._peer, error)
            return _BAD_ORIGIN
        self._connection.set_timeout(IDLE_TIMEOUT)
        return replies.OK

    def _on_mail(self, event: ev.Mail) -> Reply:
        if self._origin is None:
            return replies.BAD_SEQUENCE
        self._sender = event.sender
        return replies.SENDER_OK

    def _on_recipient(self, event: ev.Recipient) -> Reply:
        self._recipients.append(event.address)
        return replies.RECIPIENT_OK

    def _on_end_of_message(self, event: ev.EndOfMessage) -> Reply | None:
        if event.fault is not None:
            self._reset()
            return replies.TOO_MANY_HOPS
        sink = self._open_sink()
        self._is_waiting = True
        sink.finish(self._message_taken)
        return None

    def _message_taken(self, answer: Reply) -> None:
        self._sink = None
        self._reset()
        if self._is_over:
            return
        self._is_waiting = False
        self._send(answer)
        self._run()

    def _on_reset(self, _event: ev.Reset) -> Reply:
        self._reset()
        return replies.RESETTING

    # The message

    def _open_sink(self) -> QueueSink:
        if self._sink is None:
            assert self._origin is not None
            envelope = Envelope(
                self._sender, tuple(self._recipients), self._origin, time.time(), self._submission
            )
            self._sink = QueueSink(self._engine, envelope, sender=self._peer, fqdn=self._fqdn)
        return self._sink

    def _reset(self) -> None:
        self._drop_message()
        self._origin = None
        self._submission = ""
        self._refusal = None
        self._sender = ""
        self._recipients = []

    def _drop_message(self) -> None:
        if self._sink is not None:
            self._sink.abort()
            self._sink = None

    #: `Any` is the event of the row. What our own services never say is refused.
    _HANDLERS: ClassVar[Mapping[type[ev.Event], Callable[[InternalSession, Any], Reply | None]]] = {
        ev.Private: _on_private,
        ev.Mail: _on_mail,
        ev.Recipient: _on_recipient,
        ev.EndOfChunk: _always(replies.CHUNK_OK),
        ev.EndOfMessage: _on_end_of_message,
        ev.Reset: _on_reset,
        ev.Refused: _refused,
        ev.Quit: _always(replies.CLOSING),
        ev.Noop: _always(replies.OK),
        ev.Hello: _always(replies.NOT_OFFERED),
        ev.Data: _always(replies.NOT_OFFERED),
        ev.Auth: _always(replies.NOT_OFFERED),
        ev.AuthResponse: _always(replies.NOT_OFFERED),
        ev.StartTls: _always(replies.NOT_OFFERED),
        ev.Help: _always(replies.NOT_OFFERED),
        ev.Verify: _always(replies.NOT_OFFERED),
    }
