"""Any octets in any pieces: the core never raises, always comes to an end, and says the same however it was fed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.protocols.imap4 import events
from runtime.protocols.imap4.connection import ServerConnection
from runtime.protocols.imap4.grammar import Limits
from runtime.protocols.imap4.state import State

LIMITS = Limits(
    command_line=200, literal=50, literals_total=80, literal_count=4, message=60, depth=6, list_items=60
)
PIECES = st.sampled_from(
    [
        b"a ", b"\r\n", b"\n", b"\r", b" ", b"(", b")", b'"', b"\\", b"{3}\r\n", b"{3+}\r\n", b"{999999}",
        b"{70+}\r\n", b"abc", b"FETCH 1:* ", b"BODY[", b"]<0.5>", b"HEADER.FIELDS ", b"UID ", b"SEARCH ",
        b"NOT ", b"OR ", b"SUBJECT ", b"STORE 1 ", b"+FLAGS ", b"APPEND INBOX ", b"LOGIN ",
        b"AUTHENTICATE PLAIN", b"IDLE", b"DONE\r\n", b"LIST ", b"&AOk-", b"*", b"%", b"1", b"NOOP\r\n",
        b"ID ", b"NIL", b"\x00", b"\xff",
    ]
)  # fmt: skip
STREAMS = st.lists(PIECES | st.binary(max_size=8), max_size=60).map(b"".join)
STATES = st.sampled_from([State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED])


def said(octets: bytes, state: State, *, step: int) -> list[str]:
    wire = ServerConnection(limits=LIMITS, state=state)
    found: list[str] = []
    for start in range(0, len(octets), step):
        wire.receive_data(octets[start : start + step])
        budget = 4 * len(octets) + 10
        while (event := wire.next_event()) is not None:
            budget -= 1
            assert budget, "the core loops"
            react(wire, event)
            if not isinstance(event, events.MessageData):
                found.append(repr(event))
    return found


def react(wire: ServerConnection, event: events.Event) -> None:
    if isinstance(event, events.Append):
        (wire.accept_message if event.flags else wire.refuse_message)()
    elif isinstance(event, events.Authenticate) or event == events.Simple(b"a", "IDLE"):
        wire.expect_line()


@settings(max_examples=400, deadline=None)
@given(STREAMS, STATES, st.integers(1, 7))
def test_any_octets_in_any_pieces(octets: bytes, state: State, step: int) -> None:
    assert said(octets, state, step=step) == said(octets, state, step=max(1, len(octets)))
