"""The driver of a connection: socket events in, decrypted bytes to a session, written bytes out.

One receive buffer serves all connections of a thread, because a read is copied out before the next one
begins; TLS is an `ssl.SSLObject` over two `MemoryBIO`s, so a handshake can begin at any byte and nothing is
ever read ahead of it. Writes of one turn of the event loop leave together. The driver knows no protocol, and
it never hands a session bytes that arrived in clear once TLS was asked for. Services make one for each
accepted connection and `dial` back ends with it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final, cast

from runtime.net import turn
from runtime.net.session import Octets, Session
from runtime.net.tls_stream import TlsStream

log = logging.getLogger("runtime.net")

#: Seconds that a peer has for a TLS handshake.
HANDSHAKE_TIMEOUT = 30.0
#: Seconds that a closed connection is still read (and what is read dropped), so that the last words arrive.
LINGER = 2.0
#: Written bytes that wait for a slow peer before the session is told to pause, and at which it may go on.
HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024
#: Written bytes that are not held back until the turn ends.
FLUSH_AT = 64 * 1024

Admit = Callable[["StreamConnection"], bool]


# States, in the order in which a connection passes them. Plain numbers: they are compared at every read and write.
OPENING: Final = 0  # no transport yet
HANDSHAKE: Final = 1
OPEN: Final = 2
LINGERING: Final = 3  # FIN is sent; what still comes is dropped
CLOSED: Final = 4


class StreamConnection(asyncio.BufferedProtocol):
    """One connection. `tls` is the context of implicit TLS, or None.

    `admit` is asked before the handshake and before the session hears of the connection; False drops it at once. The
    session's `on_disconnect` comes exactly once, also when its `on_connect` never came."""

    __slots__ = (
        "_addresses",
        "_admit",
        "_driver_deadline",
        "_loop",
        "_opening",
        "_out",
        "_out_size",
        "_peer_is_done",
        "_session_deadline",
        "_slot",
        "_state",
        "_tls",
        "_transport",
        "_turn",
        "_unsent_before",
        "session",
    )

    def __init__(
        self, session: Session, tls: ssl.SSLContext | None = None, *, admit: Admit | None = None
    ) -> None:
        self.session = session
        self._addresses: dict[str, tuple[str, int]] = {}
        self._admit = admit
        self._state = OPENING
        self._tls = TlsStream(tls) if tls is not None else None
        self._out: list[Octets] = []
        self._out_size = 0
        self._peer_is_done = False
        self._slot = 0
        self._session_deadline = 0.0
        self._driver_deadline = 0.0
        self._unsent_before = -1
        self._opening: asyncio.Task[object] | None = None

    # What a session uses (runtime.net.session.Connection)

    @property
    def peer(self) -> tuple[str, int]:
        return self._address("peername")

    @property
    def local(self) -> tuple[str, int]:
        return self._address("sockname")

    @property
    def is_tls(self) -> bool:
        """True once a TLS handshake has completed."""
        return self._tls is not None and self._tls.is_established

    @property
    def is_closing(self) -> bool:
        """True after `close`, `abort`, or the loss of the connection: nothing written now will arrive."""
        return self._state >= LINGERING

    def write(self, data: Octets) -> None:
        """Queue bytes; they leave when this turn of the event loop is over. Dropped when the connection is closing."""
        if self._state != OPEN or not data:
            return
        self._out.append(data)
        self._out_size += len(data)
        if len(self._out) == 1:
            self._turn.add(self)
        if self._out_size >= FLUSH_AT:
            self.flush()

    def write_eof(self) -> None:
        """Tell the peer that nothing more will be written, and go on reading."""
        if self._state == OPEN:
            self.flush()
            self._send_eof()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Send what was written, in clear; everything that comes from now on must be TLS."""
        if self._state != OPEN or self._tls is not None:
            return
        self.flush()
        self._tls = TlsStream(context, is_implicit=False)
        self._begin_handshake()

    def close(self) -> None:
        """Send what was written and FIN, then read and drop until the peer is done or LINGER is over."""
        if self._state == OPEN:
            self.flush(is_last=True)
            self._leave()
        elif self._state < LINGERING:
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once; what was written may be lost."""
        if self._state == OPENING:
            self._state = CLOSED
            if self._opening is not None:
                self._opening.cancel()
        elif self._state != CLOSED:
            self._state = LINGERING
            self._transport.abort()

    def pause_reading(self) -> None:
        if self._state in (HANDSHAKE, OPEN) and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._state in (HANDSHAKE, OPEN) and not self._transport.is_closing():
            self._transport.resume_reading()

    def set_timeout(self, seconds: float | None) -> None:
        """(Re)arm the session's timer. Cheap: a deadline moves, its slot changes only when that is too late."""
        if seconds is None:
            self._session_deadline = 0.0
        else:
            self._session_deadline = self._loop.time() + seconds
            self._arm()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without the base class.
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._turn = turn.current(self._loop)
        self._transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        self._state = OPEN
        if self._admit is not None and not self._admit(self):
            self.abort()
        elif self._tls is not None:
            self._begin_handshake()
        else:
            self.session.on_connect(self)
        self._admit = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._turn.received

    def buffer_updated(self, nbytes: int) -> None:
        if self._state >= LINGERING:
            return
        if self._tls is None:
            self.session.on_data(bytes(self._turn.received[:nbytes]))
        else:
            self._received_tls(self._turn.received[:nbytes])

    def eof_received(self) -> bool:
        """True: the transport stays open for writing; the session decides when it ends."""
        if self._peer_is_done:
            return True
        self._peer_is_done = True
        if self._state == OPEN:
            self.session.on_eof()
        elif self._state in (HANDSHAKE, LINGERING):
            self._transport.close()
        return True

    def pause_writing(self) -> None:
        if self._state == OPEN:
            self.session.on_write_paused()

    def resume_writing(self) -> None:
        if self._state == OPEN:
            self.session.on_write_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = CLOSED
        self._out.clear()
        self._tls = None
        if self._slot:
            self._turn.deadlines.drop(self._slot, self)
            self._slot = 0
        self.session.on_disconnect(exc)

    # Inside

    def _address(self, name: str) -> tuple[str, int]:
        """Asked of the kernel when somebody wants to know, once: most connections of the hop are never asked."""
        found = self._addresses.get(name)
        if found is None and self._state != OPENING:
            found = self._addresses[name] = _endpoint(self._transport.get_extra_info(name))
        return found or ("", 0)

    def flush(self, *, is_last: bool = False) -> None:
        """Give the transport what was written. Called when the turn ends, and for the last words."""
        if not self._out or self._state != OPEN:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        if self._tls is None:
            self._transport.write(data)
            return
        try:
            self._tls.encrypt(data, self._transport.write, is_last=is_last)
        except ssl.SSLError as error:
            self._fail(error)

    def opening_failed(self, error: Exception | None) -> None:
        """`connect` could not reach the other side, or was given up."""
        self._opening = None
        if self._state == OPENING or not hasattr(self, "_transport"):
            self._state = CLOSED
            self.session.on_disconnect(error)

    def _begin_handshake(self) -> None:
        self._state = HANDSHAKE
        self._driver_deadline = self._loop.time() + HANDSHAKE_TIMEOUT
        self._arm()

    def _received_tls(self, data: memoryview) -> None:
        """An error of the TLS layer ends this connection and no other."""
        assert self._tls is not None
        try:
            plain = self._tls.decrypt(data, self._turn.decrypted)
        except ssl.SSLError as error:
            self._fail(error)
            return
        if self._state == HANDSHAKE and self._tls.is_established:
            self._finish_handshake()
        if reply := self._tls.outgoing():
            self._transport.write(reply)
        if plain and self._state == OPEN:
            self.session.on_data(plain)
        if self._tls.is_closed_by_peer:
            self.eof_received()

    def _finish_handshake(self) -> None:
        assert self._tls is not None
        self._state = OPEN
        self._driver_deadline = 0.0
        if self._tls.is_implicit:
            self.session.on_connect(self)
        else:
            self.session.on_tls()
        self.flush()  # the first words leave together with the end of the handshake

    def _fail(self, error: ssl.SSLError) -> None:
        """Send the alert that TLS has ready, then go."""
        log.info("TLS with %s failed: %s", self.peer[0], error.reason or error)
        if self._tls is not None and (alert := self._tls.outgoing()):
            self._transport.write(alert)
        self._linger()
        self._transport.close()

    def _leave(self) -> None:
        if self._peer_is_done or self._transport.is_closing():
            self._goodbye_tls()
            self._linger()
            self._transport.close()
        else:
            self._linger()
            self._send_eof()
            self._transport.resume_reading()

    def _linger(self) -> None:
        """The session has no more say; the peer has LINGER to take what was written and to close."""
        self._state = LINGERING
        self._session_deadline = 0.0
        if not self._peer_is_done or self._transport.get_write_buffer_size():
            self._driver_deadline = self._loop.time() + LINGER
            self._arm()

    def _send_eof(self) -> None:
        self._goodbye_tls()
        if not self._transport.can_write_eof() or self._transport.is_closing():
            return
        try:
            self._transport.write_eof()
        except OSError:  # the peer's reset arrived first: there is nobody left to tell
            self._transport.abort()

    def _goodbye_tls(self) -> None:
        if self._tls is not None and (notify := self._tls.close_notify()):
            self._transport.write(notify)

    def _arm(self) -> None:
        """One slot serves both deadlines; a later deadline leaves it where it is."""
        at, other = self._session_deadline, self._driver_deadline
        if other and (not at or other < at):
            at = other
        if not at:
            return
        deadlines = self._turn.deadlines
        slot = deadlines.slot(at)
        if self._slot:
            if self._slot <= slot:
                return
            deadlines.drop(self._slot, self)
        self._slot = slot
        deadlines.add(slot, self)

    def expire(self) -> None:
        """Called when the slot is over: one of the deadlines has passed, or was moved to later meanwhile."""
        self._slot = 0
        now = self._loop.time()
        if self._driver_deadline and now >= self._driver_deadline:
            self._driver_timed_out(now)
        elif self._session_deadline and now >= self._session_deadline:
            self._session_deadline = 0.0
            self.session.on_timeout()
        if self._state != CLOSED:
            self._arm()

    def _driver_timed_out(self, now: float) -> None:
        """A handshake that takes too long, or a peer that does not close: one that still takes what was written
        gets more time."""
        unsent = self._transport.get_write_buffer_size()
        self._driver_deadline = 0.0
        if self._state == LINGERING and unsent and unsent != self._unsent_before:
            self._unsent_before = unsent
            self._driver_deadline = now + LINGER
        else:
            self.abort()


def connect(host: str, port: int, session: Session) -> StreamConnection:
    """Begin to connect; `session.on_connect` or, when it fails, `session.on_disconnect(error)` follows. For callers
    that must not wait."""
    loop = asyncio.get_running_loop()
    connection = StreamConnection(session)
    task = loop.create_task(loop.create_connection(lambda: connection, host, port))
    connection._opening = task  # noqa: SLF001 - same module: the connection keeps its task alive
    task.add_done_callback(lambda done: _opened(connection, done))
    return connection


def _opened(connection: StreamConnection, task: asyncio.Task[object]) -> None:
    if task.cancelled():
        connection.opening_failed(None)
        return
    error = task.exception()
    if error is not None:
        connection.opening_failed(error if isinstance(error, Exception) else None)
        return
    connection._opening = None  # noqa: SLF001 - as above


async def dial(host: str, port: int, session: Session) -> StreamConnection:
    """Connect in clear and return when the connection is open. Raises OSError."""
    loop = asyncio.get_running_loop()
    connection = StreamConnection(session)
    await loop.create_connection(lambda: connection, host, port)
    return connection


def _endpoint(name: object) -> tuple[str, int]:
    """Address and port; IPv4 addresses that arrived on an IPv6 socket as IPv4; nothing for Unix sockets."""
    if not isinstance(name, tuple):
        return "", 0
    host = str(name[0]).removeprefix("::ffff:") if "." in str(name[0]) else str(name[0])
    return host, int(name[1])


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening TCP socket on an address and port (0: any free one), IPv4 or IPv6."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)
