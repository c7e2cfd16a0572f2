"""The server's side of a POP3 connection, without a socket: bytes in, commands out.

It owns the line buffer and the limits, and answers with `BadCommand` for everything that is not allowed now.
It keeps no user, no mailbox and no clock. Called by the POP3 front end (AUTHORIZATION) and back end
(TRANSACTION).
"""

from __future__ import annotations

from runtime.protocols.pop3.events import AuthResponse, BadCommand, Command, Secret
from runtime.protocols.pop3.grammar import parse_command
from runtime.protocols.pop3.reader import LineReader, TooLong
from runtime.protocols.pop3.state import ALLOWED, NOT_NOW, State

#: Octets of a line that answers a SASL challenge: RFC 5034 allows 12,288, PLAIN needs far less.
MAX_SASL_RESPONSE = 4096

TOO_LONG = "The command is too long."


class Pop3Connection:
    """`max_command_size` is MaxCommandSize in octets, the CRLF included."""

    __slots__ = ("_is_answering", "_max_command_size", "_max_sasl_response", "_reader", "_state")

    def __init__(
        self, state: State, *, max_command_size: int, max_sasl_response: int = MAX_SASL_RESPONSE
    ) -> None:
        self._state = state
        self._max_command_size = max_command_size
        self._max_sasl_response = max_sasl_response
        self._reader = LineReader()
        self._is_answering = False

    def receive(self, data: bytes) -> None:
        self._reader.feed(data)

    def next_command(self) -> Command | None:
        """The next complete command; None when more bytes are needed."""
        limit = self._max_sasl_response if self._is_answering else self._max_command_size
        line = self._reader.next_line(limit)
        if line is None:
            return None
        is_answer, self._is_answering = self._is_answering, False
        if isinstance(line, TooLong):
            return BadCommand("", TOO_LONG)
        if is_answer:
            return AuthResponse(Secret(line))
        return self._allowed(parse_command(line))

    def expect_response(self) -> None:
        """The next line answers a SASL challenge and is no command."""
        self._is_answering = True

    @property
    def has_input(self) -> bool:
        """True when bytes behind the last command were received: after STLS they are an injection."""
        return self._reader.has_input

    def take_rest(self) -> bytes:
        """What was received and not parsed, for whoever takes over."""
        return self._reader.take_rest()

    def _allowed(self, command: Command) -> Command:
        if isinstance(command, BadCommand) or type(command) in ALLOWED[self._state]:
            return command
        return BadCommand(type(command).__name__.upper(), NOT_NOW)
