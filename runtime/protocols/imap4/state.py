"""Which command is valid when (RFC 3501 section 3), as one table.

A session climbs: a client first has no identity (NOT_AUTHENTICATED), then has a mailbox (AUTHENTICATED), then a folder
(SELECTED), and goes back to AUTHENTICATED by CLOSE, UNSELECT or a failed SELECT. The core only reads the state: what a
logon or a SELECT came to, the service knows and says.

A command that is valid in another state is told apart from one that does not exist, because Exchange answers them
differently, and because its arguments are then never parsed: before logon the parsers of FETCH or SEARCH cannot be
reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class State(IntEnum):
    """Where a session is. The numbers are bits, so that a sum of them says where a command is valid."""

    NOT_AUTHENTICATED = 1
    AUTHENTICATED = 2
    SELECTED = 4


_LOGGED_ON = State.AUTHENTICATED + State.SELECTED
_ANY = State.NOT_AUTHENTICATED + _LOGGED_ON

VALID_IN: Mapping[str, int] = {
    "CAPABILITY": _ANY,
    "NOOP": _ANY,
    "LOGOUT": _ANY,
    "ID": _ANY,
    "STARTTLS": State.NOT_AUTHENTICATED,
    "LOGIN": State.NOT_AUTHENTICATED,
    "AUTHENTICATE": State.NOT_AUTHENTICATED,
    "SELECT": _LOGGED_ON,
    "EXAMINE": _LOGGED_ON,
    "CREATE": _LOGGED_ON,
    "DELETE": _LOGGED_ON,
    "RENAME": _LOGGED_ON,
    "SUBSCRIBE": _LOGGED_ON,
    "UNSUBSCRIBE": _LOGGED_ON,
    "LIST": _LOGGED_ON,
    "LSUB": _LOGGED_ON,
    "STATUS": _LOGGED_ON,
    "APPEND": _LOGGED_ON,
    "NAMESPACE": _LOGGED_ON,
    "IDLE": _LOGGED_ON,
    "CHECK": State.SELECTED,
    "CLOSE": State.SELECTED,
    "UNSELECT": State.SELECTED,
    "EXPUNGE": State.SELECTED,
    "SEARCH": State.SELECTED,
    "FETCH": State.SELECTED,
    "STORE": State.SELECTED,
    "COPY": State.SELECTED,
    "MOVE": State.SELECTED,
    "UID": State.SELECTED,
}
