"""Which command is allowed in which state (RFC 1939 3), as one table, and which capability in which (RFC 2449
5).

POP3 has three states; the front end carries the first and the back end the second. UPDATE, the third, is not
a state that a client can speak in: QUIT enters it, deletions are committed, and the connection ends. That is
why there is no row for it. A client that pipelines may say USER and PASS at once, so USER does not make a
state of its own: PASS without a USER is the service's to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from runtime.protocols.pop3.events import (
    Auth,
    Capa,
    Command,
    Dele,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
)

#: Exchange's text for a command out of order, and for credentials in clear where LoginType wants TLS.
NOT_NOW = "Command is not valid in this state."


class State(Enum):
    AUTHORIZATION = "AUTHORIZATION"
    TRANSACTION = "TRANSACTION"


ALLOWED: Mapping[State, frozenset[type[Command]]] = {
    State.AUTHORIZATION: frozenset({User, Pass, Auth, Stls, Capa, Quit}),
    State.TRANSACTION: frozenset({Stat, List, Uidl, Top, Retr, Dele, Rset, Noop, Quit, Capa}),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What decides about capabilities. `accepts_plain`: name and password may be sent now."""

    accepts_plain: bool
    starttls: bool
    is_logged_on: bool = False


def capabilities(offer: Offer) -> tuple[str, ...]:
    """Lines of CAPA. Exchange's own, and PIPELINING and RESP-CODES, which are as true here."""
    rows = (
        ("TOP", True),
        ("UIDL", True),
        ("SASL PLAIN", offer.accepts_plain or offer.is_logged_on),
        ("USER", offer.accepts_plain or offer.is_logged_on),
        ("STLS", offer.starttls and not offer.is_logged_on),
        ("PIPELINING", True),
        ("RESP-CODES", True),
    )
    return tuple(line for line, is_offered in rows if is_offered)
