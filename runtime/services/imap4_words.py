"""What both IMAP4 services say: the capability list, which is one table, and Exchange's reply texts.

Texts that Exchange does not document are chosen here. Nothing is decided here but words. Called by the front end
and the back end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from runtime.protocols.imap4 import writer

INVALID_STATE = "Command received in Invalid state."
CONTINUE = "Ready for additional command text."
TOO_BIG = "literal is too big"
SIGN_OFF = "Microsoft Exchange Server IMAP4 server signing off."
NO_CERTIFICATE = "Connection is closed. 14"
TIMED_OUT = "Connection is closed: no command came in time."
TOO_MANY_ERRORS = "Connection is closed: too many invalid commands."
RESTARTING = "Connection is closed: the server is being restarted, connect again."
UNAVAILABLE = "Server Unavailable. 15"
IDENTITY: Mapping[bytes, bytes] = {b"name": b"Microsoft.Exchange.Imap4.Imap4Server", b"version": b"15.20"}


@dataclass(frozen=True, slots=True)
class Situation:
    """What a capability can depend on."""

    is_logged_on: bool = False
    may_log_on: bool = False
    can_start_tls: bool = False


_Condition: TypeAlias = Callable[[Situation], bool]


def _always(_: Situation) -> bool:
    return True


def _to_log_on(situation: Situation) -> bool:
    return situation.may_log_on and not situation.is_logged_on


def _to_be_secured(situation: Situation) -> bool:
    return not situation.may_log_on and not situation.is_logged_on


#: Name and condition, in Exchange's order. NTLM and GSSAPI are offered by Exchange and not by us.
CAPABILITIES: tuple[tuple[str, _Condition], ...] = (
    ("IMAP4", _always),
    ("IMAP4rev1", _always),
    ("AUTH=PLAIN", _to_log_on),
    ("LOGINDISABLED", _to_be_secured),
    ("STARTTLS", lambda situation: situation.can_start_tls and not situation.is_logged_on),
    ("SASL-IR", _always),
    ("UIDPLUS", _always),
    ("MOVE", _always),
    ("ID", _always),
    ("UNSELECT", _always),
    ("CHILDREN", _always),
    ("IDLE", _always),
    ("NAMESPACE", _always),
    ("LITERAL+", _always),
)


def capability(situation: Situation) -> bytes:
    """The untagged CAPABILITY response."""
    return writer.capabilities(name for name, applies in CAPABILITIES if applies(situation))


def identity() -> bytes:
    """The untagged ID response (RFC 2971)."""
    pairs = b" ".join(writer.string(name) + b" " + writer.string(value) for name, value in IDENTITY.items())
    return writer.untagged(b"ID (" + pairs + b")")


def bad(tag: bytes, reason: str) -> bytes:
    """The answer to a command that cannot be understood; Exchange numbers these errors, we say what was expected."""
    return writer.tagged(tag, "BAD", f"Command Argument Error. 11: {reason}")
