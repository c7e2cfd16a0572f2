"""What only a target behind a socket can get wrong: paths, connections, answers that do not come."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.daemon.process import end_child, spawn, wait_until_up
from reconciler.model import Key, Present, Unreadable
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedTarget
from reconciler.targets.target import (
    Attribution,
    ConflictError,
    NotRunningError,
    RejectedError,
    TargetError,
    TransientError,
)
from schemas.v1.codec import parse_spec

IMAP = Key("ImapSettings", "ex01")
ALICE = Attribution("alice")


def test_a_rejection_says_each_sentence_once() -> None:
    text = "there is no MailboxDatabase/db9"
    problems = (("database", text), ("alias", "is missing"))
    said = str(RejectedError("Mailbox/alice", f"not valid: database: {text}", problems))
    assert (
        said == f"Mailbox/alice was rejected by the runtime: not valid: database: {text}; alias: is missing"
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateDirectory]:
    """A runtime whose socket has a path that is too long for an address."""
    found = StateDirectory(tmp_path_factory.mktemp("state") / ("deep-" * 12) / ("deeper-" * 12))
    process = spawn(found)
    try:
        wait_until_up(found, process)
        yield found
    finally:
        end_child(found, process)


@pytest.fixture
def target(state: StateDirectory) -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget(state) as found:
        yield found


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bytes], EmbeddedTarget]]:
    """A runtime that gives the same bytes to whoever asks, and then hangs up."""
    state = StateDirectory(tmp_path)
    state.runtime.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(state.socket))
    listener.listen()

    def answer(content: bytes) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(content)

    threads: list[threading.Thread] = []
    targets: list[EmbeddedTarget] = []

    def start(content: bytes) -> EmbeddedTarget:
        threads.append(threading.Thread(target=answer, args=(content,)))
        threads[-1].start()
        targets.append(EmbeddedTarget(state))
        return targets[-1]

    yield start
    for thread in threads:
        thread.join(10)
    for found in targets:
        found.close()
    listener.close()


def http(body: object, status: str = "200 OK") -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def test_a_socket_with_a_long_path_is_reached(target: EmbeddedTarget, state: StateDirectory) -> None:
    assert len(str(state.socket)) > 108
    assert target.observe().services == {}


def test_one_connection_serves_many_requests(target: EmbeddedTarget) -> None:
    first = target.health()
    (connection,) = target._channel._idle
    assert target.health() == first
    assert target._channel._idle == [connection]


def test_a_connection_that_was_closed_meanwhile_is_opened_again(target: EmbeddedTarget) -> None:
    target.health()
    (connection,) = target._channel._idle
    connection.sock.shutdown(socket.SHUT_RDWR)
    assert target.health()


def test_what_the_models_refuse_is_told_field_by_field(target: EmbeddedTarget) -> None:
    with pytest.raises(RejectedError, match="cannot name a ImapSettings"):
        target.write(
            Key("ImapSettings", "a/b"), parse_spec("ImapSettings", {}), secrets={}, expect=None, by=ALICE
        )


def test_a_name_that_no_header_can_hold_is_written_all_the_same(target: EmbeddedTarget) -> None:
    key = Key("ImapSettings", "ex07")
    target.write(key, parse_spec("ImapSettings", {}), secrets={}, expect=None, by=Attribution("Zoë\r\nX: 中"))
    found = target.read(key)
    assert isinstance(found, Present)
    assert found.updated_by == "ZoëX: ?"


def test_of_many_writers_at_once_one_wins_and_the_others_are_told_who(state: StateDirectory) -> None:
    def create(number: int) -> str:
        spec = parse_spec("ImapSettings", {"maxConnectionsPerUser": number})
        with EmbeddedTarget(state) as target:
            try:
                target.write(IMAP, spec, secrets={}, expect=None, by=Attribution(f"writer{number}"))
            except ConflictError as error:
                return str(error)
        return "won"

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(create, range(1, 9)))
    winner = said.index("won") + 1
    assert said.count("won") == 1
    assert all(f"was changed by writer{winner}" in one for one in said if one != "won")


def test_no_runtime_is_told_with_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="`reconcile runtime start`"):
        EmbeddedTarget(StateDirectory(tmp_path)).health()


def test_a_stale_socket_is_no_runtime(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.runtime.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(state.socket))
    with pytest.raises(NotRunningError, match="no runtime is running"):
        EmbeddedTarget(state).health()


def test_an_answer_that_breaks_off_is_transient(serve: Callable[[bytes], EmbeddedTarget]) -> None:
    with pytest.raises(TransientError, match="the connection to the runtime broke at GET /v1/health"):
        serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").health()


def test_no_answer_at_all_is_transient_and_not_sent_twice(serve: Callable[[bytes], EmbeddedTarget]) -> None:
    with pytest.raises(TransientError):
        serve(b"").health()


def test_a_busy_runtime_is_transient(serve: Callable[[bytes], EmbeddedTarget]) -> None:
    with pytest.raises(TransientError, match="too many passwords"):
        serve(http({"error": "too many passwords"}, "503 Service Unavailable")).health()


def test_a_failure_of_the_runtime_is_no_reason_to_try_again(serve: Callable[[bytes], EmbeddedTarget]) -> None:
    with pytest.raises(TargetError, match=r"the runtime failed: disk full$"):
        serve(http({"error": "disk full"}, "500 Internal Server Error")).health()


def test_something_else_than_json_is_told(serve: Callable[[bytes], EmbeddedTarget]) -> None:
    with pytest.raises(TargetError, match="is not JSON"):
        serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").health()


@pytest.mark.parametrize(
    ("kind", "spec"), [("ImapSettings", {"maxConnectionsPerUser": "many"}), ("Unheard", {})]
)
def test_a_resource_that_is_not_understood_is_unreadable(
    kind: str, spec: object, serve: Callable[[bytes], EmbeddedTarget]
) -> None:
    found = serve(http({"kind": kind, "name": "ex01", "revision": 1, "spec": spec})).read(Key(kind, "ex01"))
    assert isinstance(found, Unreadable)
    assert "this version" in found.error


def test_a_connection_in_use_ends_once_all_were_closed(target: EmbeddedTarget) -> None:
    with target._channel._connection(5) as connection:
        target.close()
        assert connection.sock is not None
    assert connection.sock is None
    assert target._channel._idle == []


def test_what_was_prepared_is_what_observe_gives(target: EmbeddedTarget) -> None:
    target.prepare()
    assert target.observe() == target.observe()


def test_what_was_prepared_in_vain_does_no_harm(target: EmbeddedTarget) -> None:
    target.prepare()
    target.close()
    assert target.health()["pid"]
