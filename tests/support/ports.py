"""Free loopback ports that no other test worker hands out."""

from __future__ import annotations

import itertools
import os
import socket

# Below the range that Linux gives to outgoing connections (32768 and up), a share for each worker.
_FIRST, _SHARE = 18000, 1400
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
_candidates = itertools.cycle(
    range(_FIRST + _worker * _SHARE + os.getpid() % 700, _FIRST + (_worker + 1) * _SHARE)
)


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on now."""
    for port in _candidates:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable: the candidates repeat for ever")
