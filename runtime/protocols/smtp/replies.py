"""Replies: the value, Exchange's texts, and how a reply becomes bytes.

A `Reply` cannot hold CR, LF or anything but printable ASCII, so no value put into one can start a second
line. Services take the constants; where Exchange's wording is not documented the text is ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_TEXT = re.compile(r"[\t\x20-\x7e]*")
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3}) ?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: code, enhanced status code (RFC 2034; None where there is none) and one text a line."""

    code: int
    enhanced: str | None
    lines: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599 or not self.lines:
            raise ValueError(f"a reply needs a code from 200 to 599 and a line, not {self.code}")
        for line in self.lines:
            if _TEXT.fullmatch(line) is None:
                raise ValueError("a reply line may hold printable ASCII only")

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    @property
    def is_error(self) -> bool:
        return self.code >= 400

    @property
    def is_transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def text(self) -> str:
        """The first line as people read it: "550 5.1.1 User unknown"."""
        return " ".join(part for part in (str(self.code), self.enhanced, self.lines[0]) if part)


def reply(text: str) -> Reply:
    """Make a reply of one line from "550 5.1.1 User unknown"."""
    return parse_reply((text,))


@lru_cache(maxsize=512)
def parse_reply(lines: tuple[str, ...]) -> Reply:
    """Make a reply from its lines as sent, without CRLF ("250-PIPELINING", "250 HELP"). Raises ValueError."""
    code = lines[0][:3]
    if not code.isascii() or not code.isdigit() or any(line[:3] != code for line in lines):
        raise ValueError("a reply line must begin with the same three digits")
    texts = [line[4:] for line in lines]
    match = _ENHANCED.fullmatch(texts[0])
    if match is None or match[1][0] != code[0]:
        return Reply(int(code), None, tuple(texts))
    prefix = len(match[1]) + 1
    rest = tuple(line[prefix:] if line.startswith(match[1]) else line for line in texts)
    return Reply(int(code), match[1], rest)


@lru_cache(maxsize=512)
def render_reply(value: Reply, *, is_enhanced: bool = True) -> bytes:
    """The bytes of a reply; without the enhanced status code when that extension is off."""
    prefix = f"{value.enhanced} " if is_enhanced and value.enhanced else ""
    last = len(value.lines) - 1
    return "".join(
        f"{value.code}{' ' if number == last else '-'}{prefix}{line}\r\n"
        for number, line in enumerate(value.lines)
    ).encode("ascii")


def printable(text: str) -> str:
    """`text` with everything that a reply cannot carry replaced by "?"."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)


SENDER_OK = reply("250 2.1.0 Sender OK")
RECIPIENT_OK = reply("250 2.1.5 Recipient OK")
START_INPUT = reply("354 Start mail input; end with <CRLF>.<CRLF>")
RESETTING = reply("250 2.0.0 Resetting")
OK = reply("250 2.0.0 OK")
CHUNK_OK = reply("250 2.0.0 Chunk received")
CLOSING = reply("221 2.0.0 Service closing transmission channel")
CANNOT_VERIFY = reply("252 2.1.5 Cannot VRFY user")
HELP = Reply(
    214,
    None,
    (
        "This server supports the following commands:",
        "HELO EHLO STARTTLS RCPT DATA RSET MAIL QUIT HELP AUTH BDAT",
    ),
)
START_TLS = reply("220 2.0.0 SMTP server ready")

UNRECOGNIZED_COMMAND = reply("500 5.3.3 Unrecognized command")
LINE_TOO_LONG = reply("500 5.5.2 Line too long")
BAD_LINE = reply("500 5.5.2 A command line is ASCII text ended by CRLF")
BAD_ARGUMENTS = reply("501 5.5.4 Invalid arguments")
INVALID_DOMAIN = reply("501 5.5.4 Invalid domain name")
UNKNOWN_PARAMETER = reply("501 5.5.4 Unrecognized parameter")
INVALID_SENDER = reply("550 5.1.7 Invalid address")
INVALID_RECIPIENT = reply("501 5.1.3 Invalid address")
BAD_SEQUENCE = reply("503 5.5.1 Bad sequence of commands")
SEND_HELLO_FIRST = reply("503 5.5.2 Send hello first")
EARLY_PIPELINING = reply("554 5.5.0 Improper use of command pipelining, closing transmission channel")
NOT_OFFERED = reply("502 5.3.3 Command not implemented")

AUTH_OK = reply("235 2.7.0 Authentication successful")
AUTH_FAILED = reply("535 5.7.3 Authentication unsuccessful")
AUTH_BUSY = reply("454 4.7.0 Temporary authentication failure")
AUTH_CANCELLED = reply("501 5.7.0 Authentication cancelled")
AUTH_BAD_BASE64 = reply("501 5.5.2 Cannot decode response")
AUTH_UNRECOGNIZED = reply("504 5.7.4 Unrecognized authentication type")
AUTH_ALREADY = reply("503 5.5.1 Already authenticated")
AUTH_CONTINUE = reply("334 ")
AUTH_USERNAME = reply("334 VXNlcm5hbWU6")
AUTH_PASSWORD = reply("334 UGFzc3dvcmQ6")

NOT_AUTHENTICATED = reply("530 5.7.1 Client was not authenticated")
TLS_REQUIRED = reply("530 5.7.0 Must issue a STARTTLS command first")
TLS_UNAVAILABLE = reply("454 4.7.0 TLS not available due to temporary reason")
NOT_SENDER = reply("550 5.7.1 Client does not have permissions to send as this sender")
NOT_SENDER_ANONYMOUS = reply("550 5.7.1 Anonymous client does not have permissions to send as this sender")
USER_UNKNOWN = reply("550 5.1.1 User unknown")
UNABLE_TO_RELAY = reply("550 5.7.1 Unable to relay")
NO_SEND_CONNECTOR = reply("550 5.4.4 No Send connector leads to this domain")
RESERVED_TOP_LEVEL = reply("550 5.1.4 Recipient address reserved by RFC 2606")
RESERVED_SECOND_LEVEL = reply("550 5.1.5 Recipient address reserved by RFC 2606")
SINGLE_LABEL = reply("550 5.1.6 Recipient addresses in single label domains not accepted")
TOO_MANY_RECIPIENTS = reply("452 4.5.3 Too many recipients")
MESSAGE_TOO_LARGE = reply("552 5.3.4 Message size exceeds fixed maximum message size")
HEADER_TOO_LARGE = reply("552 5.3.4 Message header size exceeds fixed maximum size")
TOO_MANY_HOPS = reply("554 5.4.6 Hop count exceeded - possible mail loop")
BARE_LINE_ENDING = reply("550 5.6.11 Message contains bare carriage returns or linefeeds")
INSUFFICIENT_RESOURCES = reply("452 4.3.1 Insufficient system resources")
TRANSPORT_UNAVAILABLE = reply("451 4.4.0 The transport service is not reachable, try again later")
TRANSPORT_LOST = reply("451 4.4.2 Connection dropped")

TOO_MANY_ERRORS = reply("421 4.7.0 Too many errors on this connection, closing transmission channel")
TOO_MANY_LOGON_FAILURES = reply(
    "421 4.7.0 Too many failed logons on this connection, closing transmission channel"
)
TOO_MANY_CONNECTIONS = reply(
    "421 4.3.2 The maximum number of concurrent server connections has exceeded a limit, closing transmission channel"
)
TOO_MANY_FROM_SOURCE = reply(
    "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel"
)
RATE_EXCEEDED = reply("421 4.4.2 Message submission rate for this client has exceeded the configured limit")
TIMED_OUT = reply("421 4.4.1 Connection timed out")
SERVICE_STOPPING = reply("421 4.3.2 System not accepting network messages")
SERVICE_NOT_ACTIVE = reply("421 4.3.2 Service not active")
