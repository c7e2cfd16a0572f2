"""One signed JSON message for each event that people should hear of, sent in the background.

    POST URL   {"format": "reconciler/event/v1", "id", "time", "event", "level", "text", "host", "directory", …data}
    X-Reconciler-Timestamp: seconds since 1970      X-Reconciler-Delivery: the id, the same in every try
    X-Reconciler-Signature: sha256=hex HMAC-SHA256(secret, timestamp + "." + body)

`text` is what Slack and its like show. The receiver compares the signature in constant time and refuses an old
timestamp. Anything but a 2xx is tried again, later each time, except a 4xx that says that trying is useless. The queue
is bounded: when it is full the oldest message goes, and is counted. Reconciling never waits for it. No field's value is
in a message, so no secret is; redirects are not followed, so a signature goes nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import queue
import secrets as randomness
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from reconciler.daemon.events import event_of
from reconciler.daemon.notices import Notice
from reconciler.secret import SecretValue

logger = logging.getLogger("reconciler.daemon")

FORMAT = "reconciler/event/v1"
#: Messages that wait at most; tries for each, seconds before the second one (doubled each time) and at most.
MOST_WAITING = 200
TRIES = 8
FIRST_PAUSE = 1.0
LAST_PAUSE = 120.0
#: Seconds that one try may take.
TIMEOUT = 10.0
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})


class WebhookError(Exception):
    """The URL cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class _Message:
    identity: str
    event: str
    body: bytes


class Webhook:
    """Takes notices from any thread; a thread of its own sends. `count` hears "delivered", "failed" or "dropped"."""

    def __init__(
        self,
        url: str,
        secret: SecretValue,
        *,
        facts: Mapping[str, str],
        count: Callable[[str], None],
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._url = url
        _check(url)
        self._secret = secret
        self._facts = {"host": socket.gethostname(), **facts}
        self._count = count
        self._first_pause = first_pause
        self._waiting: queue.Queue[_Message] = queue.Queue(MOST_WAITING)
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="webhook", daemon=True)
        self._thread.start()

    def take(self, notice: Notice) -> None:
        """Queue the notice's event if it is news. Never blocks."""
        event = event_of(notice)
        if event is None or not event.is_news:
            return
        identity = randomness.token_hex(8)
        time_text = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {
            "format": FORMAT,
            "id": identity,
            "time": time_text,
            "event": event.name,
            "level": event.level,
        }
        data = {name: value for name, value in event.data.items() if name != "traceback"}
        body = json.dumps({**head, "text": event.text, **self._facts, **data}, ensure_ascii=False).encode()
        self._queue(_Message(identity, event.name, body))

    def close(self, *, within: float) -> None:
        """Give what waits a chance of so many seconds."""
        deadline = time.monotonic() + within
        while not (self._waiting.empty() and self._is_idle.is_set()) and time.monotonic() < deadline:
            self._is_idle.wait(0.05)
        self._stop.set()

    def _queue(self, message: _Message) -> None:
        while True:
            try:
                self._waiting.put_nowait(message)
            except queue.Full:
                with suppress(queue.Empty):
                    self._waiting.get_nowait()
                    self._count("dropped")
            else:
                return

    def _send_all(self) -> None:
        while not self._stop.is_set():
            with suppress(queue.Empty):
                message = self._waiting.get(timeout=0.5)
                self._is_idle.clear()
                self._count("delivered" if self._send(message) else "failed")
                self._is_idle.set()

    def _send(self, message: _Message) -> bool:
        for attempt in range(TRIES):
            error = self._try(message)
            if error is None:
                return True
            if not error.is_passing or attempt == TRIES - 1:
                break
            if self._stop.wait(min(LAST_PAUSE, self._first_pause * 2**attempt)):
                break
        logger.warning(
            "webhook message %s (%s) was not delivered: %s", message.identity, message.event, error
        )
        return False

    def _try(self, message: _Message) -> _Refusal | None:
        try:
            status = self._post(message)
        except (OSError, http.client.HTTPException) as error:
            return _Refusal(str(error) or type(error).__name__, is_passing=True)
        if 200 <= status < 300:
            return None
        return _Refusal(f"HTTP status {status}", is_passing=status >= 500 or status in _WORTH_ANOTHER_TRY)

    def _post(self, message: _Message) -> int:
        parts = urlsplit(self._url)
        connection = _connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body=message.body, headers=self._headers(message))
            response = connection.getresponse()
            response.read(4096)
            return response.status
        finally:
            connection.close()

    def _headers(self, message: _Message) -> dict[str, str]:
        timestamp = str(int(time.time()))
        return {
            "Content-Type": "application/json",
            "User-Agent": "reconciler",
            "X-Reconciler-Event": message.event,
            "X-Reconciler-Delivery": message.identity,
            "X-Reconciler-Timestamp": timestamp,
            "X-Reconciler-Signature": sign(self._secret, timestamp, message.body),
        }


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    is_passing: bool

    def __str__(self) -> str:
        return self.reason


def sign(secret: SecretValue, timestamp: str, body: bytes) -> str:
    """What X-Reconciler-Signature holds."""
    digest = hmac.new(secret.reveal().encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise WebhookError(f"{url!r} is no URL for a webhook: expected https://host/path")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise WebhookError(f"{url} would send in clear; use https (http is for this machine alone)")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
