"""The end of every way into transport: a message becomes an entry of the durable queue, and then gets its
250.

The first piece that is written is the header section; transport's own trace field, with the marker that names
the message for ever, goes in front of it. Nothing is acknowledged before the queue says that it is on disk.
Made by transport's sessions, for clients and for the internal hop.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.protocols.smtp import replies
from runtime.protocols.smtp.replies import Reply
from runtime.transport import headers
from runtime.transport.engine import TransportEngine
from runtime.transport.envelope import Envelope
from runtime.transport.queue import QueuedMessage, Submission


class QueueSink:
    """One message on its way into the queue. `sender` is the host that handed it in, `fqdn` this server."""

    def __init__(self, engine: TransportEngine, envelope: Envelope, *, sender: str, fqdn: str) -> None:
        self._engine = engine
        self._envelope = envelope
        self._sender = sender
        self._fqdn = fqdn
        self._submission: Submission | None = None
        self._message_id = ""
        self._is_full = False

    def write(self, data: bytes) -> None:
        """The header section, then the body in pieces."""
        if self._is_full:
            return
        try:
            (self._submission or self._begin(data)).write(data)
        except OSError:
            self._is_full = True

    def _begin(self, header: bytes) -> Submission:
        self._submission = submission = self._engine.submission()
        added, self._message_id = headers.missing_fields(header, fqdn=self._fqdn, is_submission=False)
        trace = headers.received_in_transport(sender=self._sender, fqdn=self._fqdn, marker=submission.marker)
        submission.write(trace + added)
        return submission

    def finish(self, done: Callable[[Reply], None]) -> None:
        """`done` gets 250 when the message is on disk, 452 when it could not be written."""
        submission = self._submission
        if submission is None or self._is_full:
            self.abort()
            done(replies.INSUFFICIENT_RESOURCES)
            return
        self._submission = None

        def taken(message: QueuedMessage | None, error: OSError | None) -> None:
            if error is not None:
                done(replies.INSUFFICIENT_RESOURCES)
                return
            if message is not None:
                self._engine.take(message)
            number = message.id if message is not None else self._engine.held(self._envelope.submission)
            done(_queued(self._message_id, number, self._fqdn))

        submission.finish(self._envelope, taken)

    def abort(self) -> None:
        """Forget a message that was not finished."""
        if self._submission is not None:
            self._submission.discard()
            self._submission = None


def _queued(message_id: str, number: int | None, fqdn: str) -> Reply:
    text = f"{message_id} [InternalId={number}, Hostname={fqdn}] Queued mail for delivery"
    return Reply(250, "2.6.0", (text,))
