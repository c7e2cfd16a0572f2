"""One client's SMTP session: events of the core in, replies out, with the connector's limits, rights and
delays.

The session runs without a task: it reads events until one has to wait (a password hash, a delayed refusal,
the queue's answer), stops reading, and goes on when that is over. It decides nothing about mail itself:
`smtp_policy` judges, the sink takes. Both SMTP services make one for each client connection.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from runtime.directory.directory import MailboxEntry
from runtime.net.session import Connection
from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.connection import NEED_DATA, ServerConnection
from runtime.protocols.smtp.ehlo import ehlo_reply, helo_reply
from runtime.protocols.smtp.replies import Reply
from runtime.protocols.smtp.state import BETWEEN_MESSAGES, State
from runtime.services.base import Listener
from runtime.services.smtp_connectors import ConnectorView
from runtime.services.smtp_intake import ReadGate, Stamp, Transaction
from runtime.services.smtp_logon import Logon, Verdict
from runtime.services.smtp_policy import Client, complete_address, judge_recipient, judge_sender
from runtime.services.smtp_rights import NO_RIGHTS
from runtime.services.smtp_sasl import MECHANISMS
from runtime.services.smtp_service import SmtpService
from runtime.services.smtp_trace import SessionTrace
from runtime.throttling.connections import ConnectionTicket
from runtime.transport.envelope import Origin
from schemas.v1.extended_rights import Right

#: Octets that a client may send ahead while its session waits; then its connection is not read.
READ_AHEAD = 128 * 1024
#: Why a client's bytes are not read, and its commands not answered: it does not take the answers.
_SLOW_READER = "slow reader"

_FAULTS: Mapping[ev.Fault, Reply] = {
    ev.Fault.TOO_LARGE: replies.MESSAGE_TOO_LARGE,
    ev.Fault.HEADER_TOO_LARGE: replies.HEADER_TOO_LARGE,
    ev.Fault.TOO_MANY_HOPS: replies.TOO_MANY_HOPS,
    ev.Fault.LOCAL_LOOP: replies.TOO_MANY_HOPS,
    ev.Fault.BARE_LINE_ENDING: replies.BARE_LINE_ENDING,
}


def _always(reply: Reply) -> Callable[[SmtpSession, Any], Reply | None]:
    return lambda _session, _event: reply


class SmtpSession:
    """`runtime.net.session.Session` of an SMTP client."""

    def __init__(self, service: SmtpService, listener: Listener) -> None:
        self._service = service
        self._listener = listener
        self._id = secrets.token_hex(8)
        self._client = Client(None, NO_RIGHTS, is_tls=False)
        self._ticket: ConnectionTicket | None = None
        self._hello: ev.Hello | None = None
        self._gate = ReadGate()
        self._message = Transaction(service.new_sink, self._gate.flow)
        self._logon = Logon(
            service.authenticator,
            address=lambda: self._connection.peer[0],
            is_allowed=self._may_log_on,
            finished=self._logon_finished,
        )
        self._errors = 0
        self._logon_failures = 0
        self._is_waiting = False
        self._is_ending = False
        self._is_over = False
        self._is_eof = False
        self._is_last_reply = False
        self._delay: asyncio.TimerHandle | None = None
        self._trace = SessionTrace(None)

    # runtime.net.session.Session

    def on_connect(self, connection: Connection) -> None:
        self._connection = connection
        self._gate.connection = connection
        self._deadline = time.monotonic()
        view = self._service.choose(self._listener, connection.peer[0])
        if view is None:
            # Known to nobody: there is no core, no count and nothing to drain.
            connection.write(replies.render_reply(replies.SERVICE_NOT_ACTIVE))
            connection.close()
            return
        self._begin(view)

    def on_data(self, data: bytes) -> None:
        if self._is_over:
            return
        self._core.receive(data)
        self._arm()
        self._run()
        if self._is_waiting and self._core.buffered > READ_AHEAD:
            self._gate.shut("read ahead")

    def on_tls(self) -> None:
        """Everything said in clear is forgotten, but for the counts of failures."""
        self._core.tls_started()
        self._hello = None
        self._know(Client(None, self._view.rights_before_logon, is_tls=True))
        self._trace.information("TLS handshake completed")
        self._run()

    def on_eof(self) -> None:
        """A client that has asked and left its side gets its answer all the same."""
        self._is_eof = True
        self._close_at_end()

    def on_disconnect(self, error: Exception | None) -> None:
        self._is_over = True
        self._message.reset()
        self._logon.cancel()
        if self._delay is not None:
            self._delay.cancel()
        if self._ticket is not None:
            self._ticket.close()
        self._trace.disconnected(str(error or ""))
        self._service.left(self)

    def on_write_paused(self) -> None:
        self._gate.shut(_SLOW_READER)

    def on_write_resumed(self) -> None:
        """First what was sent already, then what comes."""
        self._gate.open(_SLOW_READER)
        if self._is_over:
            return
        self._arm()
        self._run()
        self._close_at_end()

    def on_timeout(self) -> None:
        """Idle for too long, or connected for too long; a wait of our own is not the client's idling."""
        if self._is_waiting and time.monotonic() < self._deadline:
            self._arm()
        else:
            self._end(replies.TIMED_OUT)

    # What the service calls

    def drain(self) -> None:
        """End politely: now when nothing is under way, else when the message that is, has been answered."""
        self._is_ending = True
        self._run_ending()

    def shut_down(self) -> None:
        """End now."""
        if not self._is_over:
            self._end(replies.SERVICE_STOPPING)

    # Beginning and end

    def _begin(self, view: ConnectorView) -> None:
        self._view = view
        self._core = ServerConnection(view.limits(view.rights_before_logon), view.options())
        self._client = Client(None, view.rights_before_logon, self._connection.is_tls)
        self._deadline += view.settings.connection_timeout.total_seconds()
        self._trace = self._service.trace(view, self._id, self._connection)
        self._service.joined(self)
        ticket = self._service.admit(view, self._connection.peer[0])
        if isinstance(ticket, Reply):
            self._end(ticket)
            return
        self._ticket = ticket
        self._arm()
        self._connection.write(replies.render_reply(self._service.banner(view), is_enhanced=False))

    def _know(self, client: Client) -> None:
        """Somebody else is there now, with rights of his own."""
        self._client = client
        self._core.limits = self._view.limits(client.rights)

    def _end(self, reply: Reply) -> None:
        """The last word."""
        self._trace.sent(reply)
        self._connection.write(self._core.close(reply))
        self._close()

    def _close(self) -> None:
        self._is_over = True
        self._message.reset()
        self._logon.cancel()
        self._connection.close()

    def _arm(self) -> None:
        """Whichever comes first: ConnectionInactivityTimeout, or the end of ConnectionTimeout."""
        idle = self._view.settings.connection_inactivity_timeout.total_seconds()
        self._connection.set_timeout(max(0.001, min(idle, self._deadline - time.monotonic())))

    # Events and replies

    def _run(self) -> None:
        """Answer what can be answered while the client takes the answers."""
        while self._is_free:
            event = self._core.next_event()
            if event is NEED_DATA:
                break
            if isinstance(event, ev.Header):
                self._message.header(event.data, self._stamp())
            elif isinstance(event, ev.Content):
                self._message.content(event.data)
            else:
                self._handle(event)
        self._run_ending()

    @property
    def _is_free(self) -> bool:
        """Nothing is waited for, not even the client."""
        return not (self._is_waiting or self._is_over or self._gate.is_shut(_SLOW_READER))

    def _close_at_end(self) -> None:
        """The client has left its side and has its answers."""
        if self._is_eof and self._is_free:
            self._close()

    def _run_ending(self) -> None:
        is_free = not self._is_waiting and not self._is_over
        if self._is_ending and is_free and self._core.state in BETWEEN_MESSAGES:
            self._end(replies.SERVICE_STOPPING)

    def _handle(self, event: ev.Event) -> None:
        self._trace.received(event)
        if self._is_ending and self._core.state in BETWEEN_MESSAGES:
            self._end(replies.SERVICE_STOPPING)
            return
        reply = self._HANDLERS[type(event)](self, event)
        if reply is not None:
            self._answer(reply)

    def _answer(self, reply: Reply, delay: float | None = None) -> None:
        """Send the reply to the event that waits, or later: an error to a client nobody knows comes slowly."""
        if delay is None:
            delay = self._tarpit(reply)
        if not delay:
            self._send(reply)
            return
        self._is_waiting = True
        self._trace.information(f"Tarpit for {delay:g} seconds", "tarpit")
        self._delay = asyncio.get_running_loop().call_later(delay, self._resume_with, reply)

    def _tarpit(self, reply: Reply) -> float:
        is_anonymous = self._client.user is None and not self._view.is_externally_secured
        is_refusal = reply.code >= 500
        return self._view.settings.tarpit_interval.total_seconds() if is_refusal and is_anonymous else 0.0

    def _send(self, reply: Reply) -> None:
        self._trace.sent(reply)
        self._connection.write(self._core.reply(reply))
        if self._core.state is State.CLOSED or self._is_last_reply:
            self._close()
        elif self._core.state is State.TLS_HANDSHAKE and self._view.tls is not None:
            self._connection.start_tls(self._view.tls)

    def _resume_with(self, reply: Reply) -> None:
        """What was waited for is over."""
        if self._is_over:
            return
        self._is_waiting = False
        self._arm()
        self._send(reply)
        self._run()
        if not self._is_waiting:
            self._gate.open("read ahead")
            self._close_at_end()

    # Commands

    def _on_refused(self, event: ev.Refused) -> Reply:
        self._logon.cancel()
        if event.counts:
            self._errors += 1
            limit = self._view.settings.max_protocol_errors
            if limit != "Unlimited" and self._errors > limit:
                return replies.TOO_MANY_ERRORS
        return event.reply

    def _on_hello(self, event: ev.Hello) -> Reply:
        if not event.domain and self._view.settings.require_ehlo_domain:
            self._is_last_reply = True
            return replies.INVALID_DOMAIN
        self._message.reset()
        self._hello = event
        client = self._connection.peer[0]
        if not event.is_extended:
            return helo_reply(self._view.fqdn, client)
        is_logged_on = self._client.user is not None
        return ehlo_reply(
            self._view.fqdn, client, self._view.offer(is_tls=self._client.is_tls, is_logged_on=is_logged_on)
        )

    def _on_starttls(self, _event: ev.StartTls) -> Reply:
        if self._client.is_tls or not self._view.wants_tls:
            return replies.NOT_OFFERED
        return replies.START_TLS if self._view.tls is not None else replies.TLS_UNAVAILABLE

    def _on_mail(self, event: ev.Mail) -> Reply:
        settings, directory = self._view.settings, self._service.directory
        refusal = judge_sender(event, client=self._client, settings=settings, directory=directory)
        if refusal is not None:
            return refusal
        if not self._service.count_message(self._view, self._connection.peer[0], self._client.user):
            return replies.RATE_EXCEEDED
        self._message.sender = event.sender
        return replies.SENDER_OK

    def _on_recipient(self, event: ev.Recipient) -> Reply:
        address = complete_address(event.address, self._view.settings)
        refusal = judge_recipient(
            address,
            given=len(self._message.recipients),
            client=self._client,
            settings=self._view.settings,
            directory=self._service.directory,
        )
        if refusal is None:
            self._message.recipients.append(address)
        return refusal or replies.RECIPIENT_OK

    def _on_end_of_message(self, event: ev.EndOfMessage) -> Reply | None:
        if event.fault is not None:
            self._is_last_reply = event.fault is ev.Fault.HEADER_TOO_LARGE
            self._message.reset()
            return _FAULTS[event.fault]
        self._is_waiting = True
        self._message.finish(self._message_taken)
        return None

    def _message_taken(self, reply: Reply) -> None:
        self._message.reset()
        self._resume_with(reply)

    def _on_reset(self, _event: ev.Reset) -> Reply:
        self._message.reset()
        return replies.RESETTING

    # Logon

    def _on_auth(self, event: ev.Auth) -> Reply | None:
        if self._client.user is not None:
            return replies.AUTH_ALREADY
        if event.mechanism not in MECHANISMS or not self._view.offers_basic(is_tls=self._client.is_tls):
            return replies.AUTH_UNRECOGNIZED
        return self._logon_step(self._logon.begin(event.mechanism, event.initial))

    def _on_auth_response(self, event: ev.AuthResponse) -> Reply | None:
        return self._logon_step(self._logon.go_on(event.data))

    def _logon_step(self, step: Reply | Verdict | None) -> Reply | None:
        if step is None:
            self._is_waiting = True
        elif isinstance(step, Verdict):
            return self._judge_logon(step)
        return step

    def _may_log_on(self, entry: MailboxEntry) -> bool:
        """Without the right to submit AUTH fails, as with Exchange."""
        return (
            Right.SUBMIT in self._view.rights_of_users and not entry.spec.smtp_client_authentication_disabled
        )

    def _logon_finished(self, verdict: Verdict) -> None:
        """The password hash is done. A refusal comes after AuthTarpitInterval, whoever asks."""
        self._is_waiting = False
        reply = self._judge_logon(verdict)
        is_failure = verdict.entry is None and not verdict.is_busy
        delay = self._view.settings.auth_tarpit_interval.total_seconds() if is_failure else 0.0
        if delay:
            self._answer(reply, delay)
        else:
            self._resume_with(reply)

    def _judge_logon(self, verdict: Verdict) -> Reply:
        if verdict.is_busy:
            return replies.AUTH_BUSY
        if verdict.entry is None:
            return self._count_failure(verdict.name)
        self._know(Client(verdict.entry, self._view.rights_of_users, self._client.is_tls))
        self._trace.information(verdict.entry.name, "authenticated")
        return replies.AUTH_OK

    def _count_failure(self, name: str) -> Reply:
        self._logon_failures += 1
        self._trace.information(name, "logon failed")
        limit = self._view.settings.max_logon_failures
        is_last = bool(limit) and self._logon_failures >= limit
        return replies.TOO_MANY_LOGON_FAILURES if is_last else replies.AUTH_FAILED

    # The message

    def _origin(self) -> Origin:
        return Origin(
            session=self._id,
            client=self._connection.peer[0],
            hello=self._hello.domain if self._hello else "",
            user=self._client.user.name if self._client.user else "",
            connector=self._view.name,
            is_tls=self._client.is_tls,
        )

    def _stamp(self) -> Stamp:
        return Stamp(
            origin=self._origin(),
            rights=self._client.rights,
            fqdn=self._view.fqdn,
            local=self._connection.local[0],
            is_extended=self._hello is not None and self._hello.is_extended,
        )

    #: What answers each event; None from a handler means that the answer comes later. `Any` is the event of the row.
    _HANDLERS: ClassVar[Mapping[type[ev.Event], Callable[[SmtpSession, Any], Reply | None]]] = {
        ev.Hello: _on_hello,
        ev.Mail: _on_mail,
        ev.Recipient: _on_recipient,
        ev.Data: _always(replies.START_INPUT),
        ev.EndOfChunk: _always(replies.CHUNK_OK),
        ev.EndOfMessage: _on_end_of_message,
        ev.Auth: _on_auth,
        ev.AuthResponse: _on_auth_response,
        ev.StartTls: _on_starttls,
        ev.Reset: _on_reset,
        ev.Noop: _always(replies.OK),
        ev.Help: _always(replies.HELP),
        ev.Verify: _always(replies.CANNOT_VERIFY),
        ev.Quit: _always(replies.CLOSING),
        ev.Refused: _on_refused,
    }
