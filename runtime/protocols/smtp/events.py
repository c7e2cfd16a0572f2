"""What the server core tells its service: one frozen value for each thing that a client said.

Values are checked before they are made: an address in an event has passed the grammar, a size is a number, a SASL
response is decoded. The reader makes them, `ServerConnection.next_event` hands them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runtime.protocols.smtp.replies import Reply


class SecretBytes:
    """Bytes that never show in a log, a traceback or a repr. `reveal()` is the one way to them."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return "SecretBytes(***)"


class Fault(Enum):
    """Why a message cannot be taken although it was read to its true end."""

    TOO_LARGE = "size"
    HEADER_TOO_LARGE = "header"
    TOO_MANY_HOPS = "hops"
    LOCAL_LOOP = "local hops"
    BARE_LINE_ENDING = "bare CR or LF"


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO, or HELO when not `is_extended`. `domain` is "" when the client gave none."""

    domain: str
    is_extended: bool


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM. `sender` is "" for the null reverse-path; `size` is the SIZE parameter in octets (RFC 1870)."""

    sender: str
    size: int | None
    is_eight_bit: bool


@dataclass(frozen=True, slots=True)
class Recipient:
    """RCPT TO."""

    address: str


@dataclass(frozen=True, slots=True)
class Data:
    """DATA: answer 354 to receive content, anything else to refuse."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header section of a message, with the empty line that ends it when there is one: the boundary at which
    header fields may be put in front."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """More of the body: un-stuffed, lines ended by CRLF."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfChunk:
    """A BDAT chunk that is not the last was read (RFC 3030)."""

    size: int


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """The true end of the content. With a `fault` nothing more than what was handed out before may be used."""

    size: int
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH with its initial response when it brought one (RFC 4954)."""

    mechanism: str
    initial: SecretBytes | None


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The line that answers a 334."""

    data: SecretBytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS with nothing behind it in the buffer."""


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Help:
    """HELP."""


@dataclass(frozen=True, slots=True)
class Verify:
    """VRFY."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT."""


@dataclass(frozen=True, slots=True)
class Private:
    """A verb between our own services, given only to a core that was told its name."""

    verb: str
    argument: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The core itself refuses what was said: send `reply`, and close behind it when it `is_final`.

    `counts` tells a protocol error (Exchange: MaxProtocolErrors) from a refusal that the client could not foresee;
    `is_chunk` a chunk that was read over from a line that was not taken.
    """

    reply: Reply
    is_final: bool = False
    counts: bool = True
    is_chunk: bool = False


Event = (
    Hello
    | Mail
    | Recipient
    | Data
    | Header
    | Content
    | EndOfChunk
    | EndOfMessage
    | Auth
    | AuthResponse
    | StartTls
    | Reset
    | Noop
    | Help
    | Verify
    | Quit
    | Private
    | Refused
)
