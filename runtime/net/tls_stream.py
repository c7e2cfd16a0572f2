"""One side of a TLS stream over memory: ciphertext in, plaintext out, and back.

It touches no socket and holds no more than a record or two: both directions go through the BIOs in pieces,
because a MemoryBIO never gives memory back. Called by `connection` only.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

#: Bytes given to OpenSSL at a time. A TLS record carries 16 KiB; a BIO grows to about twice the piece.
PIECE = 16 * 1024


class TlsStream:
    """The server's side of a TLS connection. `is_implicit` is for the driver: True unless it was started later."""

    __slots__ = (
        "_has_ended",
        "_incoming",
        "_object",
        "_outgoing",
        "is_closed_by_peer",
        "is_established",
        "is_implicit",
    )

    def __init__(self, context: ssl.SSLContext, *, is_implicit: bool = True) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_implicit = is_implicit
        self._has_ended = False
        self.is_established = False
        self.is_closed_by_peer = False

    def decrypt(self, data: memoryview, scratch: memoryview) -> bytes:
        """Take ciphertext; return the plaintext in it, b"" while the handshake goes on. `scratch` is as large as
        `data`. Raises ssl.SSLError: the stream is broken; `outgoing` may hold an alert."""
        filled = 0
        for start in range(0, len(data), PIECE):
            self._incoming.write(data[start : start + PIECE])
            if self.is_established or self._handshake():
                filled = self._read(scratch, filled)
        return bytes(scratch[:filled])

    def encrypt(
        self, data: bytes | memoryview, write: Callable[[bytes], None], *, is_last: bool = False
    ) -> None:
        """Give `data` as records to `write`, a few at a time; the last data of this side with its close_notify."""
        view = memoryview(data)
        for start in range(0, len(data), PIECE):
            self._object.write(view[start : start + PIECE])
            if is_last and start + PIECE >= len(data):
                self._end()
            write(self._outgoing.read())

    def outgoing(self) -> bytes:
        """What TLS itself wants to say: handshake, alerts, key updates."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def close_notify(self) -> bytes:
        """The last record of this side; b"" when there is none to send, or when it was sent."""
        if not self.is_established or self._has_ended:
            return b""
        self._end()
        return self.outgoing()

    def _end(self) -> None:
        self._has_ended = True
        with contextlib.suppress(ssl.SSLError):  # the peer's own close_notify is not waited for
            self._object.unwrap()

    def _handshake(self) -> bool:
        try:
            self._object.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            return False
        self.is_established = True
        return True

    def _read_into(self, space: memoryview) -> int:
        count: object = self._object.read(PIECE, space)
        assert isinstance(count, int)  # with a buffer to fill, `read` returns how much it filled
        return count

    def _read(self, scratch: memoryview, filled: int) -> int:
        """Read until OpenSSL wants more; asking once too often costs an exception, so its buffers are looked at."""
        while self._incoming.pending or self._object.pending():
            try:
                count = self._read_into(scratch[filled:])
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                count = 0
            if not count:
                self.is_closed_by_peer = True
                break
            filled += count
        return filled
