"""What sits on a connection, and what a connection offers to it.

`Connection` (in `connection.py`) owns the socket, the TLS state and the buffers; a `Session` owns the
protocol. A session never sees a socket, a connection never sees a command. Services write sessions; the
driver calls them.
"""

from __future__ import annotations

import ssl
from typing import Protocol, TypeAlias

#: What is written: it must not change afterwards.
Octets: TypeAlias = bytes | memoryview


class Connection(Protocol):
    """One client or back-end connection, TLS or not. Not thread-safe: only the event loop's thread calls it."""

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of the other side."""

    @property
    def local(self) -> tuple[str, int]:
        """Address and port on this side."""

    @property
    def is_tls(self) -> bool:
        """True once a TLS handshake has completed."""

    @property
    def session(self) -> Session:
        """The session that receives events now; may be replaced (a front end hands over to a pump)."""

    @session.setter
    def session(self, session: Session) -> None: ...

    def write(self, data: Octets) -> None:
        """Queue bytes. Never blocks; `on_write_paused` tells when the peer is slow."""

    def write_eof(self) -> None:
        """Flush, then tell the peer that nothing more will be written; reading goes on."""

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Flush what was written, then start a server-side handshake. Bytes that arrived in clear behind the command
        are the caller's to refuse (its parser's buffer); bytes still inside the driver are discarded with the
        connection: they end it, they are never executed. `on_tls` follows when the handshake is done."""

    def close(self) -> None:
        """Flush, send FIN (and close_notify), then read and drop until the peer closes or two seconds pass, so that
        what was written last is not lost to a reset."""

    def abort(self) -> None:
        """Drop the connection at once."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_timeout(self, seconds: float | None) -> None:
        """(Re)arm one timer; `on_timeout` is called when it fires. None disarms."""


class Session(Protocol):
    """The protocol's side of a connection. Every method runs on the event loop and must not block."""

    def on_connect(self, connection: Connection) -> None:
        """The connection is ready (after the handshake where TLS is implicit)."""

    def on_data(self, data: bytes) -> None:
        """Decrypted bytes arrived."""

    def on_tls(self) -> None:
        """The handshake asked for with `start_tls` completed."""

    def on_eof(self) -> None:
        """The peer will send nothing more."""

    def on_disconnect(self, error: Exception | None) -> None:
        """The connection is gone; called exactly once, also after `close` and `abort`, and also when it ended before
        `on_connect` (a failed handshake, a back end that could not be reached)."""

    def on_write_paused(self) -> None:
        """More than the high-water mark is waiting to be sent."""

    def on_write_resumed(self) -> None: ...

    def on_timeout(self) -> None:
        """The timer set with `set_timeout` fired."""
