"""Messages to a real HTTP server: signed, tried again, never in the way, and without a value of any field."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon import notices
from reconciler.daemon.webhook import MOST_WAITING, Webhook, WebhookError
from reconciler.model import Action, Change, FieldChange, Key, Plan, Position
from reconciler.secret import SecretValue
from tests.support.waiting import eventually

SECRET = "a signing secret"


@dataclass
class Receiver:
    """What came, and what is answered: the codes one after another, then 204."""

    codes: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def first(self) -> dict[str, Any]:
        eventually(lambda: self.bodies, what="a message")
        found: dict[str, Any] = json.loads(self.bodies[0])
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    found.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.gate.wait(30)
            found.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            found.headers.append(dict(self.headers))
            self.send_response(found.codes.pop(0) if found.codes else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    yield found
    found.gate.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def counted() -> list[str]:
    return []


@pytest.fixture
def webhook(receiver: Receiver, counted: list[str]) -> Iterator[Webhook]:
    facts = {"directory": "estate"}
    found = Webhook(receiver.url, SecretValue(SECRET), facts=facts, count=counted.append, first_pause=0.01)
    yield found
    receiver.gate.set()
    found.close(within=10)


def failed(error: str = "no answer") -> notices.Failed:
    return notices.Failed(error, 2.0)


def test_a_message_says_what_happened_where(webhook: Webhook, receiver: Receiver) -> None:
    webhook.take(failed())
    message = receiver.first()
    assert (message["format"], message["event"], message["directory"]) == (
        "reconciler/event/v1",
        "failed",
        "estate",
    )
    assert "no answer" in message["text"]


def test_the_signature_is_over_time_and_body(webhook: Webhook, receiver: Receiver) -> None:
    webhook.take(failed())
    receiver.first()
    head = receiver.headers[0]
    signed = head["X-Reconciler-Timestamp"].encode() + b"." + receiver.bodies[0]
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert head["X-Reconciler-Signature"] == f"sha256={expected}"


def test_a_server_error_is_tried_again_with_the_same_id(
    webhook: Webhook, receiver: Receiver, counted: list[str]
) -> None:
    receiver.codes = [500, 503, 429]
    webhook.take(failed())
    eventually(lambda: counted == ["delivered"], what="the delivery")
    assert len({head["X-Reconciler-Delivery"] for head in receiver.headers}) == 1
    assert len(receiver.bodies) == 4


def test_a_refusal_is_not_tried_again(webhook: Webhook, receiver: Receiver, counted: list[str]) -> None:
    receiver.codes = [403]
    webhook.take(failed())
    eventually(lambda: counted == ["failed"], what="the end")
    assert len(receiver.bodies) == 1


def test_a_receiver_that_hangs_delays_nobody_and_the_oldest_go(
    webhook: Webhook, receiver: Receiver, counted: list[str]
) -> None:
    receiver.gate.clear()
    for number in range(MOST_WAITING + 10):
        webhook.take(failed(str(number)))
    assert "dropped" in counted


def test_what_is_no_news_is_not_sent(webhook: Webhook, receiver: Receiver) -> None:
    webhook.take(notices.Leading(1))
    webhook.take(failed())
    assert receiver.first()["event"] == "failed"


def test_no_value_of_a_field_is_sent(webhook: Webhook, receiver: Receiver) -> None:
    changed = FieldChange("banner", "old-value", "new-value")
    where = Position(Path("a.yaml"), 1, 1)
    change = Change(Key("ImapSettings", "ex01"), Action.UPDATE, (changed,), 1, where)
    webhook.take(notices.Found(Plan("d" * 64, (change,), (), {})))
    message = receiver.first()
    assert message["changes"][0]["fields"] == ["banner"]
    assert b"-value" not in receiver.bodies[0]


@pytest.mark.parametrize("url", ["ftp://contoso.example/", "http://contoso.example/hook", "https://", "hook"])
def test_a_url_that_would_not_do_is_refused(url: str) -> None:
    with pytest.raises(WebhookError):
        Webhook(url, SecretValue(SECRET), facts={}, count=lambda _: None)
