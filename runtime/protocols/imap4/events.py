"""What the core tells a service: one frozen event a command, and what can go wrong with one.

Every command event has the client's `tag` and its `name`, under which a service finds its handler. Values inside
are checked; a service never looks at raw text. Secrets are typed, so that no log can print them by accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from runtime.protocols.imap4.search_keys import SearchKey
from runtime.protocols.imap4.values import FetchItem, MailboxName, Secret, SequenceSet

FlagChange = Literal["add", "remove", "replace"]


@dataclass(frozen=True, slots=True)
class Simple:
    """A command without arguments: CAPABILITY, NOOP, LOGOUT, STARTTLS, CHECK, CLOSE, EXPUNGE, UNSELECT, NAMESPACE,
    IDLE."""

    tag: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Identify:
    """ID (RFC 2971): what the client says of itself, or None for NIL."""

    tag: bytes
    parameters: tuple[tuple[bytes, bytes | None], ...] | None
    name: ClassVar[str] = "ID"


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN."""

    tag: bytes
    user: bytes
    password: Secret
    name: ClassVar[str] = "LOGIN"


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE with its mechanism in upper case and, by SASL-IR (RFC 4959), an initial response still in
    base64."""

    tag: bytes
    mechanism: str
    initial: Secret | None
    name: ClassVar[str] = "AUTHENTICATE"


@dataclass(frozen=True, slots=True)
class OnMailbox:
    """SELECT, EXAMINE, CREATE, DELETE, SUBSCRIBE, UNSUBSCRIBE."""

    tag: bytes
    name: str
    mailbox: MailboxName


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    tag: bytes
    old: MailboxName
    new: MailboxName
    name: ClassVar[str] = "RENAME"


@dataclass(frozen=True, slots=True)
class ListMailboxes:
    """LIST and LSUB: reference and pattern as Unicode text, wildcards "*" and "%" inside."""

    tag: bytes
    name: str
    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS with the names of its items in upper case."""

    tag: bytes
    mailbox: MailboxName
    items: tuple[str, ...]
    name: ClassVar[str] = "STATUS"


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND up to its message of `size` octets. The service answers with `accept_message` or `refuse_message` of the
    connection; the message follows as `MessageData` and `MessageEnd`. `is_waiting`: the client waits for "+"."""

    tag: bytes
    mailbox: MailboxName
    flags: tuple[str, ...]
    internal_date: datetime | None
    size: int
    is_waiting: bool
    name: ClassVar[str] = "APPEND"


@dataclass(frozen=True, slots=True)
class MessageData:
    """Some octets of an APPEND's message, in order."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """All octets of an APPEND's message have come, and the command has ended as it should."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH and UID SEARCH."""

    tag: bytes
    is_uid: bool
    key: SearchKey
    name: ClassVar[str] = "SEARCH"


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH and UID FETCH."""

    tag: bytes
    is_uid: bool
    messages: SequenceSet
    items: tuple[FetchItem, ...]
    name: ClassVar[str] = "FETCH"


@dataclass(frozen=True, slots=True)
class Store:
    """STORE and UID STORE."""

    tag: bytes
    is_uid: bool
    messages: SequenceSet
    change: FlagChange
    is_silent: bool
    flags: tuple[str, ...]
    name: ClassVar[str] = "STORE"


@dataclass(frozen=True, slots=True)
class Transfer:
    """COPY, MOVE, UID COPY and UID MOVE."""

    tag: bytes
    name: str
    is_uid: bool
    messages: SequenceSet
    mailbox: MailboxName


@dataclass(frozen=True, slots=True)
class UidExpunge:
    """UID EXPUNGE (RFC 4315)."""

    tag: bytes
    messages: SequenceSet
    name: ClassVar[str] = "UID EXPUNGE"


@dataclass(frozen=True, slots=True)
class ContinuationNeeded:
    """The client waits for "+" before it sends a literal: write one."""


@dataclass(frozen=True, slots=True)
class Line:
    """The line that `expect_line` asked for: a SASL response or DONE, without its CRLF."""

    text: Secret


@dataclass(frozen=True, slots=True)
class Bad:
    """A command that cannot be understood: answer BAD. `tag` is "*" when there was none."""

    tag: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class WrongState:
    """A command that exists but not now: answer BAD. Its arguments were not looked at."""

    tag: bytes
    name: str


@dataclass(frozen=True, slots=True)
class UnknownCharset:
    """A SEARCH in a charset that is not supported: answer NO [BADCHARSET …]."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class TooBig:
    """A literal beyond its limit, announced by a client that waits: answer NO [TOOBIG]."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class Fatal:
    """The stream cannot be followed any further: answer BYE and close. No event comes after this one."""

    reason: str


Command: TypeAlias = (
    Simple
    | Identify
    | Login
    | Authenticate
    | OnMailbox
    | Rename
    | ListMailboxes
    | Status
    | Append
    | Search
    | Fetch
    | Store
    | Transfer
    | UidExpunge
)
Failure: TypeAlias = Bad | WrongState | UnknownCharset | TooBig | Fatal
Event: TypeAlias = Command | Failure | MessageData | MessageEnd | ContinuationNeeded | Line
