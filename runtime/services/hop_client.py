"""A front end's call to a back end: one signed line out, one line in.

The answer must prove that a back end of ours gave it: nothing of a client's goes to anybody else. For a logon
the connection then goes on as one half of a pump; for a drain it ends. Nothing is retried: a client whose back
end does not answer tries again by itself. Called by `front_end`.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.net.connection import StreamConnection, connect
from runtime.net.session import Connection
from runtime.services.backend_hop import Signed, is_proven

#: Seconds for connecting and for the answer.
TIMEOUT = 10.0
#: Longest answer line.
MAX_ANSWER = 512

Answered = Callable[[Connection, bytes], None]
Failed = Callable[[str], None]


class HopCall:
    """The session of one call. Exactly one of `answered(connection, rest)` and `failed(reason)` is called; `rest` is
    what came behind the answer line. After `cancel` neither is."""

    __slots__ = ("_address", "_answer", "_answered", "_connection", "_failed", "_is_over", "_signed")

    def __init__(
        self, address: tuple[str, int], signed: Signed, *, answered: Answered, failed: Failed
    ) -> None:
        self._signed = signed
        self._answered = answered
        self._failed = failed
        self._answer = b""
        self._is_over = False
        self._address = address
        self._connection: StreamConnection = connect(*address, self)

    def cancel(self) -> None:
        """The client is gone: drop the call."""
        if not self._is_over:
            self._is_over = True
            self._connection.abort()

    def on_connect(self, connection: Connection) -> None:
        connection.set_timeout(TIMEOUT)
        connection.write(self._signed.line)

    def on_data(self, data: bytes) -> None:
        if self._is_over:
            return
        self._answer += data
        line, end, rest = self._answer.partition(b"\r\n")
        if not end and len(line) > MAX_ANSWER:
            self._fail("answered with a line without end")
        elif end and not line.startswith((b"+OK", b"* OK")):
            self._fail(f"refused: {line[:MAX_ANSWER].decode('ascii', 'replace')}")
        elif end and not is_proven(line, self._signed):
            self._fail("did not prove that it holds this runtime's backend key")
        elif end:
            self._is_over = True
            self._connection.set_timeout(None)
            self._answered(self._connection, rest)

    def on_tls(self) -> None:
        """Never called: the hop is plain TCP on the loopback."""

    def on_eof(self) -> None:
        self._fail("closed without an answer")

    def on_disconnect(self, error: Exception | None) -> None:
        self._fail(str(error) if error else "closed without an answer")

    def on_write_paused(self) -> None:
        """One line is written: nothing to hold back."""

    def on_write_resumed(self) -> None:
        """As above."""

    def on_timeout(self) -> None:
        self._fail(f"gave no answer within {TIMEOUT:.0f} s")

    def _fail(self, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._connection.abort()
            host, port = self._address
            self._failed(f"back end {host}:{port} {reason}")
