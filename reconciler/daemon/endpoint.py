"""/metrics, /healthz and /readyz over HTTP, for machines that watch the daemon. GET only; nothing can be changed.

The standard library's server: a thread a request, and no more memory than that. It speaks to whoever can connect, so
it listens on loopback unless told otherwise, and answers with numbers and sentences, never with a configuration.
"""

from __future__ import annotations

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET6
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from reconciler.daemon.metrics import Metrics

logger = logging.getLogger("reconciler.daemon")

#: Seconds that a client may take for its request.
REQUEST_TIMEOUT = 10.0


class Endpoint:
    """Listens from construction on; `port` says where when 0 was asked for. Raises OSError."""

    def __init__(self, host: str, port: int, metrics: Metrics) -> None:
        self._server = _server_class(host)((host, port), _handler(metrics))
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True).start()

    def close(self) -> None:
        """No more answers."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a request from %s failed", client_address, exc_info=True)


class _SixServer(_Server):
    address_family = AF_INET6


def _server_class(host: str) -> type[_Server]:
    try:
        return _SixServer if ip_address(host).version == 6 else _Server
    except ValueError:
        return _Server


def _handler(metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT
        server_version = "reconciler"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, metrics.exposition(), CONTENT_TYPE_LATEST)
            elif path == "/healthz":
                self._verdict(metrics.unhealthy())
            elif path == "/readyz":
                self._verdict(metrics.unready())
            else:
                self._answer(404, b"there are /metrics, /healthz and /readyz here\n", "text/plain")

        def _verdict(self, reasons: list[str]) -> None:
            body = json.dumps({"ok": not reasons, "reasons": reasons}) + "\n"
            self._answer(503 if reasons else 200, body.encode(), "application/json")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any, **_: Any) -> None:
            text, *values = args
            logger.debug(text, *values)

    return Handler


def parse_address(text: str) -> tuple[str, int]:
    """ "127.0.0.1:9464", "[::1]:9464" or a port alone, which means loopback. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address: expected 127.0.0.1:9464, [::1]:9464 or a port")
    return host.strip("[]") or "127.0.0.1", int(port)
