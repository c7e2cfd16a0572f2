"""A core and a service that accepts everything, for tests of the protocol alone."""

from __future__ import annotations

from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.connection import NEED_DATA, Limits, Options, ServerConnection
from runtime.protocols.smtp.content import ContentLimits, LineEndings
from runtime.protocols.smtp.replies import Reply

CONTENT = ContentLimits(
    message=100_000, header=10_000, hops=30, local_hops=8, local_name="ex01.contoso.example"
)


def core(
    *,
    content: ContentLimits = CONTENT,
    command_line: int = 512,
    line_endings: LineEndings = LineEndings.REJECT,
    has_chunking: bool = True,
    private_verbs: frozenset[str] = frozenset(),
) -> ServerConnection:
    options = Options(line_endings=line_endings, has_chunking=has_chunking, private_verbs=private_verbs)
    return ServerConnection(Limits(content, command_line=command_line), options)


def usual_reply(event: ev.Event) -> Reply:
    """What a service that accepts everything says."""
    match event:
        case ev.Refused(reply=reply):
            return reply
        case ev.Data():
            return replies.START_INPUT
        case ev.StartTls():
            return replies.START_TLS
        case ev.Auth(initial=None):
            return replies.AUTH_USERNAME
        case ev.Quit():
            return replies.CLOSING
    return replies.OK


def answer_all(server: ServerConnection) -> list[ev.Event]:
    """Every event that is there, each answered as usual."""
    events: list[ev.Event] = []
    while (event := server.next_event()) is not NEED_DATA:
        events.append(event)
        if server.is_awaiting_reply:
            server.reply(usual_reply(event))
    return events


def converse(server: ServerConnection, *pieces: bytes) -> list[ev.Event]:
    """Feed the pieces one after the other, answering in between; neighbouring pieces of content are joined."""
    events: list[ev.Event] = []
    for piece in pieces:
        server.receive(piece)
        for event in answer_all(server):
            _add(events, event)
    return events


def _add(events: list[ev.Event], event: ev.Event) -> None:
    last = events[-1] if events else None
    if isinstance(event, ev.Content) and isinstance(last, ev.Content):
        events[-1] = ev.Content(last.data + event.data)
    else:
        events.append(event)


def in_transaction(server: ServerConnection | None = None) -> ServerConnection:
    """A core that has a sender and a recipient."""
    server = server or core()
    converse(server, b"EHLO client.example\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
    return server


def refusals(events: list[ev.Event]) -> list[str]:
    """The texts of what the core refused."""
    return [event.reply.text for event in events if isinstance(event, ev.Refused)]


def message(events: list[ev.Event]) -> bytes:
    """The content that was handed out."""
    return b"".join(event.data for event in events if isinstance(event, ev.Header | ev.Content))


def fault(events: list[ev.Event]) -> ev.Fault | None:
    """The fault of the message that ended."""
    (end,) = [event for event in events if isinstance(event, ev.EndOfMessage)]
    return end.fault
