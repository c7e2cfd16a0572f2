"""Bytes in clear behind STARTTLS or STLS are never executed (the "NO STARTTLS" command injection), on live ports."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import pytest

from tests.support.estate import Runtime

INJECTED: dict[str, tuple[Callable[[Runtime], int], bytes, bytes, bytes]] = {
    "imap": (lambda r: r.ports.imap, b"", b"a STARTTLS\r\nb NOOP\r\nc ID NIL\r\n", b"d NOOP\r\n"),
    "pop3": (lambda r: r.ports.pop, b"", b"STLS\r\nCAPA\r\nNOOP\r\n", b"CAPA\r\n"),
    "smtp client": (lambda r: r.ports.submission, b"EHLO x\r\n", b"STARTTLS\r\nEHLO evil\r\n", b"NOOP\r\n"),
    "smtp anonymous": (lambda r: r.ports.smtp, b"EHLO x\r\n", b"STARTTLS\r\nRSET\r\nNOOP\r\n", b"NOOP\r\n"),
}


def _read_until(sock: socket.socket, done: Callable[[bytes], bool]) -> bytes:
    received = b""
    while not done(received):
        data = sock.recv(4096)
        if not data:
            break
        received += data
    return received


def _after_tls(sock: socket.socket, context: ssl.SSLContext, probe: bytes) -> bytes | None:
    """What the server says inside TLS before and in answer to `probe`; None when it refuses to go on."""
    try:
        with context.wrap_socket(sock, server_hostname="localhost") as tls:
            tls.settimeout(0.5)
            before = b""
            try:
                before = tls.recv(4096)
            except TimeoutError:
                tls.settimeout(20)
                tls.sendall(probe)
                return _read_until(tls, lambda data: data.endswith(b"\r\n"))
            return before or None
    except (ssl.SSLError, ConnectionError):
        return None


@pytest.mark.parametrize("protocol", INJECTED)
def test_pipelined_plain_text_is_never_executed(shared: Runtime, protocol: str) -> None:
    port, hello, injection, probe = INJECTED[protocol]
    with socket.create_connection(("localhost", port(shared)), timeout=20) as sock:
        _read_until(sock, lambda data: data.endswith(b"\r\n"))
        if hello:
            sock.sendall(hello)
            _read_until(sock, lambda data: b"250 " in data and data.endswith(b"\r\n"))
        sock.sendall(injection)
        answer = _read_until(sock, lambda data: data.endswith(b"\r\n"))
        assert answer.count(b"\r\n") <= 1, f"more than the STARTTLS command was answered: {answer!r}"
        inside = _after_tls(sock, shared.tls(), probe)
    # Either the connection was refused, or it goes on with nothing but the answer to what was sent inside TLS.
    assert inside is None or not inside.startswith((b"b ", b"c ", b"* ID", b"250-")), inside
