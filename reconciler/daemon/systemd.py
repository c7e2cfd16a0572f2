"""sd_notify: tells systemd that the daemon is ready, what it does, that it is alive, and that it ends.

One datagram to the Unix socket that NOTIFY_SOCKET names (an "@" in front: an abstract one); see sd_notify(3). Without
that variable nothing is sent. A service manager that went away is no reason to end: what cannot be sent is dropped.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class ServiceManager:
    """The manager that started this process, if any."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._beat_every = _watchdog_seconds(environment) / 2
        self._beaten_at = 0.0
        self._status = ""

    def ready(self) -> None:
        """The daemon works, or stands by."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; the same one is sent once."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def beat(self) -> None:
        """Alive; sent only as often as WATCHDOG_USEC asks for."""
        if self._beat_every and time.monotonic() - self._beaten_at >= self._beat_every:
            self._beaten_at = time.monotonic()
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """On the way out."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.connect(self._address)
            sender.sendall(message.encode())


def _address(text: str) -> str | None:
    if not text.startswith(("/", "@")):
        return None
    return "\0" + text[1:] if text.startswith("@") else text


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """0: no watchdog, or one for another process."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1e6 if microseconds.isdecimal() and is_ours else 0.0
