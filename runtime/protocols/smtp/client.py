"""The client's side of SMTP, without a socket: commands out, replies in, matched in order.

Used between our own services: the front end hands messages to transport, transport hands them to another server's
transport. Arguments are checked against the grammar before they become bytes, so a command can never hold a second
one. It does not decide what a refusal means; its caller does.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache

from runtime.protocols.smtp import grammar
from runtime.protocols.smtp.buffer import ReceiveBuffer, TooLong
from runtime.protocols.smtp.replies import Reply, parse_reply

#: RFC 5321 4.5.3.1.5 says 512; multi-line EHLO answers and our own texts stay far below this.
MAX_REPLY_LINE = 2048
MAX_REPLY_LINES = 100

_ARGUMENT = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")


class ReplyError(Exception):
    """The server said what is not SMTP, or more than was asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and what it answers (the tag given with the command)."""

    tag: Hashable
    reply: Reply


def command(verb: str, argument: str = "") -> bytes:
    """A command line. Raises ValueError when the argument is not printable ASCII."""
    if argument and _ARGUMENT.fullmatch(argument) is None:
        raise ValueError(f"the argument of {verb} may hold printable ASCII only")
    return f"{verb} {argument}\r\n".encode("ascii") if argument else f"{verb}\r\n".encode("ascii")


def mail(sender: str, *, is_eight_bit: bool) -> bytes:
    """MAIL FROM. Raises ValueError when `sender` is neither "" nor an address."""
    body = " BODY=8BITMIME" if is_eight_bit else ""
    return f"MAIL FROM:<{_checked(sender) if sender else ''}>{body}\r\n".encode("ascii")


def recipient(address: str) -> bytes:
    """RCPT TO. Raises ValueError when `address` is not an address."""
    return f"RCPT TO:<{_checked(address)}>\r\n".encode("ascii")


def chunk(size: int, *, is_last: bool) -> bytes:
    """The BDAT line that goes before `size` octets."""
    return f"BDAT {size}{' LAST' if is_last else ''}\r\n".encode("ascii")


@lru_cache(maxsize=4096)
def _checked(address: str) -> str:
    if not grammar.is_mailbox(address):
        raise ValueError("an address must be local-part@domain in printable ASCII")
    return address


class ClientConnection:
    """Pairs replies with what was sent. `expect` once for each command and once for the banner."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()
        self._expected: deque[Hashable] = deque()
        self._lines: list[str] = []

    @property
    def outstanding(self) -> int:
        """Replies still to come."""
        return len(self._expected)

    def expect(self, *tags: Hashable) -> None:
        self._expected.extend(tags)

    def receive(self, data: bytes) -> None:
        self._buffer.add(data)

    def next_answer(self) -> Answer | None:
        """The next complete reply. A reply that nothing asked for (421 of a server that stops) has the tag None.

        Raises ReplyError when the server's bytes are no reply.
        """
        while (line := self._buffer.next_line(MAX_REPLY_LINE)) is not None:
            if isinstance(line, TooLong):
                raise ReplyError("a reply line was too long")
            self._lines.append(line.rstrip(b"\r\n").decode("ascii", "replace").replace("\ufffd", "?"))
            if self._lines[-1][3:4] != "-":
                return self._finish()
            if len(self._lines) > MAX_REPLY_LINES:
                raise ReplyError("a reply had too many lines")
        return None

    def _finish(self) -> Answer:
        lines, self._lines = tuple(self._lines), []
        try:
            reply = parse_reply(lines)
        except ValueError as error:
            raise ReplyError(f"not a reply: {error}") from error
        return Answer(self._expected.popleft() if self._expected else None, reply)
