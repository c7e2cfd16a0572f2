"""The grammar of POP3 commands (RFC 1939, 2449, 5034): one line of octets becomes one event. Pure functions,
no state.

Keywords are case-insensitive, arguments are separated by one space; a password may hold spaces, because
nothing follows it (RFC 1939 7). Which command is allowed when is `state`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from runtime.protocols.pop3.events import (
    Auth,
    BadCommand,
    Capa,
    Command,
    Dele,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Secret,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
)

_NUMBER = re.compile(rb"[0-9]{1,10}")
_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}")

#: Texts of refused lines.
UNKNOWN = "Command is not recognized."
ARGUMENTS = "The command has wrong arguments."


def parse_command(line: bytes) -> Command:
    """`line` without its line end. What is not a command becomes `BadCommand`; nothing raises."""
    keyword, space, rest = line.partition(b" ")
    parse = _PARSERS.get(keyword.upper())
    if parse is None:
        return BadCommand(_printable(keyword), UNKNOWN)
    command = parse(rest if space else None)
    return command if command is not None else BadCommand(keyword.upper().decode("ascii"), ARGUMENTS)


def _printable(keyword: bytes) -> str:
    """Enough of an unknown keyword for a log; a client may have sent anything."""
    return keyword[:16].decode("ascii", "replace")


def _alone(command: Command) -> Callable[[bytes | None], Command | None]:
    def parse(rest: bytes | None) -> Command | None:
        return command if rest is None or not rest.strip() else None

    return parse


def _numbers(rest: bytes | None, count: int) -> tuple[int, ...] | None:
    words = rest.split() if rest else []
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        return None
    return tuple(int(word) for word in words)


def _parse_list(rest: bytes | None) -> Command | None:
    if rest is None or not rest.strip():
        return List(None)
    numbers = _numbers(rest, 1)
    return List(numbers[0]) if numbers else None


def _parse_uidl(rest: bytes | None) -> Command | None:
    if rest is None or not rest.strip():
        return Uidl(None)
    numbers = _numbers(rest, 1)
    return Uidl(numbers[0]) if numbers else None


def _parse_retr(rest: bytes | None) -> Command | None:
    numbers = _numbers(rest, 1)
    return Retr(numbers[0]) if numbers else None


def _parse_dele(rest: bytes | None) -> Command | None:
    numbers = _numbers(rest, 1)
    return Dele(numbers[0]) if numbers else None


def _parse_top(rest: bytes | None) -> Command | None:
    numbers = _numbers(rest, 2)
    return Top(*numbers) if numbers else None


def _parse_user(rest: bytes | None) -> Command | None:
    try:
        name = rest.decode() if rest else ""
    except UnicodeDecodeError:
        return None
    return User(name.strip()) if name.strip() else None


def _parse_pass(rest: bytes | None) -> Command | None:
    return Pass(Secret(rest)) if rest else None


def _parse_auth(rest: bytes | None) -> Command | None:
    """Without a mechanism: a request for the list of them, as many clients send it."""
    words = rest.split() if rest else []
    if not words:
        return Auth("", None)
    if len(words) > 2 or not _MECHANISM.fullmatch(words[0]):
        return None
    return Auth(words[0].upper().decode("ascii"), Secret(words[1]) if len(words) == 2 else None)


_PARSERS: Mapping[bytes, Callable[[bytes | None], Command | None]] = {
    b"AUTH": _parse_auth,
    b"CAPA": _alone(Capa()),
    b"DELE": _parse_dele,
    b"LIST": _parse_list,
    b"NOOP": _alone(Noop()),
    b"PASS": _parse_pass,
    b"QUIT": _alone(Quit()),
    b"RETR": _parse_retr,
    b"RSET": _alone(Rset()),
    b"STAT": _alone(Stat()),
    b"STLS": _alone(Stls()),
    b"TOP": _parse_top,
    b"UIDL": _parse_uidl,
    b"USER": _parse_user,
}
