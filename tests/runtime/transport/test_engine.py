"""The engine over a real store: delivery once, retries, reports, hand-over to another server."""

from __future__ import annotations

import email
import time
from pathlib import Path

import pytest

from runtime.net.connection import bound_socket
from runtime.services import transport
from runtime.store.interface import OverQuotaError, StoreError
from runtime.store.store import SqliteStore
from runtime.transport.delivery import MailboxDelivery
from runtime.transport.engine import Surroundings
from runtime.transport.headers import received_in_transport
from runtime.transport.queue import MessageQueue
from runtime.transport.retry import MINUTE, RetryPolicy
from schemas.v1.mailbox_database import MailboxDatabase
from schemas.v1.server import Server
from tests.runtime.aio import eventually, on_both_loops, run
from tests.runtime.directories import Resources, directory
from tests.runtime.directories import estate as resources
from tests.runtime.services.smtp_estate import accepted, listen, make_host, make_snapshot
from tests.runtime.transport.engines import ALONE, Running, engine
from tests.runtime.transport.queues import envelope, submit


@on_both_loops
def test_delivery_puts_the_return_path_first(tmp_path: Path, loop: str) -> None:
    async def story() -> None:
        async with engine(tmp_path) as running:
            await running.submit("bob@contoso.example")
            (content,) = await running.inbox("bob")
            assert content.startswith(b"Return-Path: <alice@contoso.example>\r\nSubject: x\r\n")

    run(story(), loop)


def test_a_recipient_without_mailbox_is_reported_to_the_sender(tmp_path: Path) -> None:
    async def story() -> None:
        async with engine(tmp_path) as running:
            await running.submit("bob@contoso.example", "nobody@contoso.example")
            assert len(await running.inbox("bob")) == 1
            (report,) = await running.inbox("alice")
            message = email.message_from_bytes(report)
            assert message["Return-Path"] == "<>"
            assert message.get_content_type() == "multipart/report"
            assert [part.get_content_type() for part in message.walk()][1:] == [
                "text/plain",
                "message/delivery-status",
                "text/plain",
                "text/plain",
                "text/rfc822-headers",
            ]
            assert (
                b"Final-Recipient: rfc822;nobody@contoso.example\r\nAction: failed\r\nStatus: 5.1.1" in report
            )
            assert b"Subject: x\r\n" in report

    run(story())


def test_a_report_is_never_reported(tmp_path: Path) -> None:
    async def story() -> None:
        async with engine(tmp_path) as running:
            await running.submit("nobody@contoso.example", sender="")
            assert await running.inbox("alice") == []

    run(story())


def test_a_sender_elsewhere_gets_no_report(tmp_path: Path) -> None:
    async def story() -> None:
        async with engine(tmp_path) as running:
            await running.submit("nobody@contoso.example", sender="carol@fabrikam.example")
            assert await running.inbox("alice") == []

    run(story())


def test_a_full_mailbox_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with engine(tmp_path) as running:
            bob = (await running.store.mailbox("db01", "bob")).open("INBOX")

            async def full(*_: object, **__: object) -> None:
                raise OverQuotaError("full")

            monkeypatch.setattr(type(bob), "append", _only_for(bob, full, type(bob).append))
            await running.submit("bob@contoso.example")
            (report,) = await running.inbox("alice")
            assert b"Status: 5.2.2" in report

    run(story())


def _only_for(folder: object, instead: object, usual: object) -> object:
    async def append(self: object, *arguments: object, **named: object) -> object:
        method = instead if self is folder else usual
        return await method(self, *arguments, **named)  # type: ignore[operator]

    return append


def test_a_store_that_refuses_for_now_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []

    async def story() -> None:
        async with engine(tmp_path) as running:
            usual = MailboxDelivery.deliver

            async def deliver(
                self: MailboxDelivery, message: object, content: bytes, route: object
            ) -> object:
                if len(refused) < 3:
                    refused.append("once")
                    raise StoreError("not now")
                return await usual(self, message, content, route)  # type: ignore[arg-type]

            monkeypatch.setattr(MailboxDelivery, "deliver", deliver)
            await running.submit("bob@contoso.example")
            assert len(await running.inbox("bob")) == 1
            assert len(refused) == 3

    run(story())


def test_an_error_nobody_foresaw_leaves_the_message_in_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def story() -> None:
        async with engine(tmp_path) as running:
            usual = MailboxDelivery.deliver

            async def deliver(
                self: MailboxDelivery, message: object, content: bytes, route: object
            ) -> object:
                if not seen:
                    seen.append("once")
                    raise ZeroDivisionError
                return await usual(self, message, content, route)  # type: ignore[arg-type]

            monkeypatch.setattr(MailboxDelivery, "deliver", deliver)
            await running.submit("bob@contoso.example")
            assert len(await running.inbox("bob")) == 1

    run(story())


def test_a_message_that_expired_is_reported(tmp_path: Path) -> None:
    found = resources().mailbox("eve", database="db99")

    async def story() -> None:
        async with engine(tmp_path, found=found) as running:
            await running.submit("eve@contoso.example", accepted=time.time() - 3 * 24 * 3600)
            (report,) = await running.inbox("alice")
            assert b"Status: 4.4.7" in report
            assert b"4.4.7 QUEUE.Expired" in report

    run(story())


def test_a_message_for_an_undeclared_database_waits(tmp_path: Path) -> None:
    found = resources().mailbox("eve", database="db99")

    async def story() -> None:
        async with engine(tmp_path, found=found) as running:
            await running.submit("eve@contoso.example", "bob@contoso.example")
            bob = (await running.store.mailbox("db01", "bob")).open("INBOX")
            await eventually(lambda: len(bob.uids()) == 1)
            found.put("MailboxDatabase", "db99", MailboxDatabase(server="ex01"))
            running.directory.refresh()
            assert len(await running.inbox("eve", "db99")) == 1
            assert len(bob.uids()) == 1

    run(story())


# Once, also over a crash


def test_a_delivery_that_was_not_recorded_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the store's commit and the queue's record."""

    async def deliver_and_forget() -> None:
        async with engine(tmp_path) as running:
            monkeypatch.setattr(MessageQueue, "finish", lambda *_: None)
            for _ in range(3):
                await _submit_traced(running)
            folder = (await running.store.mailbox("db01", "bob")).open("INBOX")
            await eventually(lambda: len(folder.uids()) == 3)
            monkeypatch.undo()

    async def _submit_traced(running: Running) -> None:
        queue = running.engine._queue
        submission = queue.submission()
        trace = received_in_transport(
            sender="ex01.contoso.example", fqdn="ex01.contoso.example", marker=submission.marker
        )
        submission.write(trace + b"Subject: x\r\n\r\nbody\r\n")
        submission.finish(envelope("bob@contoso.example"), lambda message, _: running.engine.take(message))  # type: ignore[arg-type]

    async def again() -> None:
        async with engine(tmp_path) as running:
            assert len(await running.inbox("bob")) == 3

    run(deliver_and_forget())
    run(again())
    run(again())


def test_a_message_that_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    async def take_only() -> None:
        running = Running(tmp_path, resources())
        running.engine._queue.open()
        await submit(running.engine._queue, to=envelope("bob@contoso.example"))
        await running.store.close()

    async def again() -> None:
        async with engine(tmp_path) as running:
            assert len(await running.inbox("bob")) == 1

    run(take_only())
    run(again())


def test_between_two_generations_messages_wait(tmp_path: Path) -> None:
    async def story() -> None:
        async with engine(tmp_path) as running:
            await running.engine.detach(1)
            await running.submit("bob@contoso.example")
            assert len(running.engine) == 1
            running.engine.attach(2, ALONE)
            assert len(await running.inbox("bob")) == 1

    run(story())


# Another server


def two_servers() -> Resources:
    found = resources().put("Server", "ex02", Server(fqdn="ex02.contoso.example"))
    found.put("MailboxDatabase", "db02", MailboxDatabase(server="ex02"))
    return found.mailbox("zoe", database="db02")


def test_a_mailbox_of_another_server_is_handed_over(tmp_path: Path) -> None:
    async def story() -> None:
        found = accepted(two_servers())
        sockets = {name: bound_socket("127.0.0.1", 0) for name in ("ex01", "ex02")}
        endpoints = {name: ("127.0.0.1", sock.getsockname()[1]) for name, sock in sockets.items()}
        services, stores, servers = [], {}, []
        for name, sock in sockets.items():
            stores[name] = SqliteStore(tmp_path / name / "databases")
            view = directory(found)
            view.server = name
            host = make_host("backend", tmp_path / name, view, stores[name])
            service = transport.create(host, make_snapshot({}, endpoints, server=name), 1)
            await service.start()
            servers.append(await listen(service, sock, "internal"))
            services.append((service, host))
        engine = services[0][1].kept["transport-queue"]
        engine.take(await submit(engine._queue, to=envelope("zoe@contoso.example", "bob@contoso.example")))
        zoe = (await stores["ex02"].mailbox("db02", "zoe")).open("INBOX")
        bob = (await stores["ex01"].mailbox("db01", "bob")).open("INBOX")
        await eventually(lambda: len(zoe.uids()) == len(bob.uids()) == 1 and not len(engine))
        for server in servers:
            server.close()
        for service, host in services:
            await service.close()
            await host.kept["transport-queue"].close()
            host.authenticator.close()
        for store in stores.values():
            await store.close()

    run(story())


def test_another_server_that_is_down_is_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        closed = bound_socket("127.0.0.1", 0)
        endpoint = closed.getsockname()
        closed.close()
        running = Running(tmp_path, two_servers())
        running.engine.attach(1, Surroundings("ex01.contoso.example", {"ex02": endpoint}))
        await running.submit("zoe@contoso.example")
        await eventually(lambda: max(running.engine._attempts.values(), default=0) >= 3)
        assert len(running.engine) == 1
        await running.engine.close()
        await running.store.close()

    run(story())


@pytest.mark.parametrize(
    ("attempts", "is_remote", "minutes"),
    [(1, False, 5), (9, False, 5), (1, True, 1), (4, True, 1), (5, True, 5), (10, True, 5), (11, True, 10)],
)
def test_the_retry_ladder(attempts: int, is_remote: bool, minutes: int) -> None:
    assert RetryPolicy().delay(attempts, is_remote=is_remote) == minutes * MINUTE
