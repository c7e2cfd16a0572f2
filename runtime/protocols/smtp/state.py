"""The states of the server's side of SMTP, and which command may come in which.

An SMTP session looks like a straight line (hello, sender, recipients, content) but three things bend it, and each bend
has bitten somebody:

* STARTTLS takes the session back to its beginning. Whatever was said in clear, the greeting too, must be said again, so
  the state behind the handshake is HELLO_NEEDED, not READY (RFC 3207 4.2). The state TLS_HANDSHAKE accepts nothing at
  all: a byte that arrives in it was sent in clear behind the command.
* The answer decides, not the question. MAIL moves the session on only when the service accepts it, so the core follows
  the replies as well as the commands: `after` is keyed by what was asked and tells where a positive answer leads.
* Content is not commands. In CONTENT and CHUNK no line is read at all; only the verdict that the message ended
  leads out. Between BDAT chunks (CHUNKING) only BDAT, RSET and the harmless verbs may come (RFC 3030 2).

HELO, EHLO, RSET, NOOP, HELP, VRFY and QUIT may come at any time commands are read (RFC 5321 4.1.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, auto

from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp.replies import Reply


class State(IntEnum):
    """Where a session stands."""

    HELLO_NEEDED = auto()
    READY = auto()
    SENDER_GIVEN = auto()
    RECIPIENTS_GIVEN = auto()
    CONTENT = auto()
    CHUNK = auto()
    CHUNKING = auto()
    AUTHENTICATING = auto()
    TLS_HANDSHAKE = auto()
    CLOSED = auto()


#: States in which a client may come or go without losing a message that it has begun to hand over.
BETWEEN_MESSAGES = frozenset({State.HELLO_NEEDED, State.READY})

#: Verb → the states in which it may come. A verb that is not here may come in any.
ALLOWED: Mapping[str, frozenset[State]] = {
    "MAIL": frozenset({State.READY}),
    "RCPT": frozenset({State.SENDER_GIVEN, State.RECIPIENTS_GIVEN}),
    "DATA": frozenset({State.RECIPIENTS_GIVEN}),
    "BDAT": frozenset({State.RECIPIENTS_GIVEN, State.CHUNKING}),
    "AUTH": frozenset({State.READY}),
    "STARTTLS": frozenset({State.READY}),
}

#: Verbs behind which a client has to wait for the answer (RFC 2920 3.1, RFC 3207 4, RFC 4954 4): bytes that are there
#: already were sent by somebody who does not talk to us but through us.
LAST_IN_GROUP = frozenset({"EHLO", "HELO", "DATA", "STARTTLS", "AUTH"})

#: Event → where a positive answer leads. What is not here leads nowhere.
_ACCEPTED: Mapping[type[ev.Event], State] = {
    ev.Hello: State.READY,
    ev.Mail: State.SENDER_GIVEN,
    ev.Recipient: State.RECIPIENTS_GIVEN,
    ev.Data: State.CONTENT,
    ev.EndOfChunk: State.CHUNKING,
    ev.StartTls: State.TLS_HANDSHAKE,
    ev.Quit: State.CLOSED,
}
#: Whatever the answer, the transaction is over.
_ENDS_TRANSACTION = frozenset({ev.Reset, ev.EndOfMessage})


def after(event: ev.Event, reply: Reply, state: State, *, is_greeted: bool) -> State:
    """The state that follows when `event`, met in `state`, is answered with `reply`."""
    if reply.code == 421:
        return State.CLOSED
    kind = type(event)
    if kind in _ENDS_TRANSACTION:
        return State.READY if is_greeted else State.HELLO_NEEDED
    if reply.code < 400 and kind in _ACCEPTED:
        return _ACCEPTED[kind]
    return _after_others(event, reply, state)


def _after_others(event: ev.Event, reply: Reply, state: State) -> State:
    match event:
        case ev.Auth() | ev.AuthResponse():
            return State.AUTHENTICATING if reply.code == 334 else State.READY
        case ev.Refused(is_final=True):
            return State.CLOSED
        case ev.Refused() if state is State.AUTHENTICATING:
            return State.READY
        case ev.EndOfChunk():
            return State.READY
        case ev.Private() if state is State.HELLO_NEEDED and reply.is_positive:
            # Our own services introduce themselves with one; it stands for the greeting.
            return State.READY
    return state
