"""What a POP3 client can say, as values. Made by the grammar, matched by the services."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """A password or SASL data: it does not show in a repr, and logs write `HIDDEN` for it."""

    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    name: str


@dataclass(frozen=True, slots=True)
class Pass:
    password: Secret


@dataclass(frozen=True, slots=True)
class Auth:
    """`mechanism` is upper-case, "" asks for the list; `initial` is the initial response, still base64."""

    mechanism: str
    initial: Secret | None


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The line that answers a SASL challenge, still base64; "*" gives up (RFC 5034 4)."""

    data: Secret


@dataclass(frozen=True, slots=True)
class Capa: ...


@dataclass(frozen=True, slots=True)
class Stls: ...


@dataclass(frozen=True, slots=True)
class Quit: ...


@dataclass(frozen=True, slots=True)
class Noop: ...


@dataclass(frozen=True, slots=True)
class Stat: ...


@dataclass(frozen=True, slots=True)
class Rset: ...


@dataclass(frozen=True, slots=True)
class List:
    """`number` counts from 1; None asks for all."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Uidl:
    number: int | None


@dataclass(frozen=True, slots=True)
class Retr:
    number: int


@dataclass(frozen=True, slots=True)
class Dele:
    number: int


@dataclass(frozen=True, slots=True)
class Top:
    number: int
    lines: int


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A line that is no command, has wrong arguments, is too long, or is not allowed now. `keyword` is for the log,
    `reason` for the client."""

    keyword: str
    reason: str


Command = (
    User
    | Pass
    | Auth
    | AuthResponse
    | Capa
    | Stls
    | Quit
    | Noop
    | Stat
    | Rset
    | List
    | Uidl
    | Retr
    | Dele
    | Top
    | BadCommand
)
