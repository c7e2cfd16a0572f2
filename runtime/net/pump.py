"""Joins two connections: what one reads the other writes, no faster than its peer takes it.

The pump reads no protocol. When a side is slow the other stops reading, and when the back end is done the
client's connection is closed after its last bytes. Called by the front ends once a client has logged on.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.net.session import Connection


class PumpSide:
    """The session of one joined connection. `other` is the connection at the far end."""

    __slots__ = ("_joint", "_other")

    def __init__(self, other: Connection, joint: _Joint) -> None:
        self._other = other
        self._joint = joint

    def on_connect(self, connection: Connection) -> None:
        """Never called: both sides are open when they are joined."""

    def on_data(self, data: bytes) -> None:
        self._other.write(data)

    def on_tls(self) -> None:
        """Never called: TLS was settled before the logon."""

    def on_eof(self) -> None:
        """A client may stop sending and still wait for answers; when the back end stops there are none."""
        if self._other is self._joint.client:
            self._other.close()
        else:
            self._other.write_eof()

    def on_disconnect(self, error: Exception | None) -> None:
        self._other.close()
        self._joint.lost(error)

    def on_write_paused(self) -> None:
        self._other.pause_reading()

    def on_write_resumed(self) -> None:
        self._other.resume_reading()

    def on_timeout(self) -> None:
        """The back end watches for idle clients: it can say goodbye in the protocol's words."""


class _Joint:
    """What both sides know of each other's end."""

    __slots__ = ("_on_end", "_open", "client")

    def __init__(self, client: Connection, on_end: Callable[[Exception | None], None]) -> None:
        self.client = client
        self._on_end = on_end
        self._open = 2

    def lost(self, error: Exception | None) -> None:
        self._open -= 1
        if not self._open:
            self._on_end(error)


def join(client: Connection, back_end: Connection, on_end: Callable[[Exception | None], None]) -> None:
    """Pump between `client` and `back_end` until both are gone, then call `on_end` once."""
    joint = _Joint(client, on_end)
    client.set_timeout(None)
    back_end.set_timeout(None)
    client.session = PumpSide(back_end, joint)
    back_end.session = PumpSide(client, joint)
    client.resume_reading()
    back_end.resume_reading()
