"""One small reader a verb: from an argument to an event, or to the reply that refuses it.

A reader sees one line's argument as ASCII text; that the verb may come now has been checked before. The core calls
`read_command`; to take a new verb, write its reader and add a row to `READERS`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping

from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp import grammar, replies

Reader = Callable[[str], ev.Event]

_BODY_TYPES = frozenset({"7BIT", "8BITMIME"})
_MAX_DIGITS = 20


def _hello(argument: str, *, is_extended: bool) -> ev.Event:
    domain = argument.strip()
    if domain and not grammar.is_hello_domain(domain):
        return ev.Refused(replies.INVALID_DOMAIN)
    return ev.Hello(domain, is_extended)


def _mail(argument: str) -> ev.Event:
    path = grammar.parse_path(argument, "FROM:")
    if path is None:
        return ev.Refused(replies.INVALID_SENDER)
    parameters = grammar.parse_parameters(path.rest)
    if parameters is None:
        return ev.Refused(replies.BAD_ARGUMENTS)
    return _mail_with(path.address, parameters)


def _mail_with(sender: str, parameters: dict[str, str | None]) -> ev.Event:
    size = parameters.pop("SIZE", "")
    body = (parameters.pop("BODY", "7BIT") or "").upper()
    # AUTH= (RFC 4954 5) is syntax that we take and, trusting nobody with it, treat as AUTH=<>.
    parameters.pop("AUTH", None)
    if parameters:
        return ev.Refused(replies.UNKNOWN_PARAMETER)
    if body not in _BODY_TYPES or size is None or (size and not _is_number(size)):
        return ev.Refused(replies.BAD_ARGUMENTS)
    return ev.Mail(sender, int(size) if size else None, is_eight_bit=body == "8BITMIME")


def _recipient(argument: str) -> ev.Event:
    path = grammar.parse_path(argument, "TO:")
    if path is None or not path.address:
        return ev.Refused(replies.INVALID_RECIPIENT)
    if path.rest.strip():
        return ev.Refused(replies.UNKNOWN_PARAMETER)
    return ev.Recipient(path.address)


def _auth(argument: str) -> ev.Event:
    mechanism, _, initial = argument.partition(" ")
    if not mechanism:
        return ev.Refused(replies.BAD_ARGUMENTS)
    if not initial:
        return ev.Auth(mechanism.upper(), None)
    decoded = decode_base64("" if initial == "=" else initial)
    return ev.Refused(replies.AUTH_BAD_BASE64) if decoded is None else ev.Auth(mechanism.upper(), decoded)


def read_auth_response(line: str) -> ev.Event:
    """The line behind a 334: base64, or "*" to cancel (RFC 4954 4)."""
    if line == "*":
        return ev.Refused(replies.AUTH_CANCELLED, counts=False)
    decoded = decode_base64(line)
    return ev.Refused(replies.AUTH_BAD_BASE64) if decoded is None else ev.AuthResponse(decoded)


def decode_base64(text: str) -> ev.SecretBytes | None:
    """Strict base64; None when it is not."""
    try:
        return ev.SecretBytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


def read_chunk_size(argument: str) -> tuple[int, bool] | None:
    """(octets, is it the last chunk) of BDAT (RFC 3030 2); None when malformed."""
    size, _, last = argument.partition(" ")
    if not _is_number(size) or last.upper() not in {"", "LAST"}:
        return None
    return int(size), bool(last)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _bare(event: ev.Event) -> Reader:
    """A verb that takes no argument."""
    return lambda argument: ev.Refused(replies.BAD_ARGUMENTS) if argument else event


READERS: Mapping[str, Reader] = {
    "EHLO": lambda argument: _hello(argument, is_extended=True),
    "HELO": lambda argument: _hello(argument, is_extended=False),
    "MAIL": _mail,
    "RCPT": _recipient,
    "DATA": _bare(ev.Data()),
    "AUTH": _auth,
    "STARTTLS": _bare(ev.StartTls()),
    "RSET": _bare(ev.Reset()),
    "QUIT": _bare(ev.Quit()),
    "NOOP": lambda _argument: ev.Noop(),
    "HELP": lambda _argument: ev.Help(),
    "VRFY": lambda argument: ev.Verify() if argument else ev.Refused(replies.BAD_ARGUMENTS),
}


def read_command(verb: str, argument: str) -> ev.Event:
    """The event of one command line."""
    reader = READERS.get(verb)
    return reader(argument) if reader else ev.Refused(replies.UNRECOGNIZED_COMMAND)
