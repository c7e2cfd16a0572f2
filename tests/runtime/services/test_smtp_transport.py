"""From the client to the mailbox: the hop, what is stored, restarts, drain, failures; over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runtime.protocols.smtp.replies import Reply
from runtime.services import frontend_transport, transport
from runtime.services.base import Listener
from runtime.services.transport_token import introduction
from runtime.transport.hop import HopPool
from runtime.transport.journal import Journal
from tests.runtime.aio import eventually, on_both_loops, run
from tests.runtime.directories import estate as resources
from tests.runtime.services.smtp_estate import ANONYMOUS, CLIENT, HUB, MESSAGE, Estate, estate, listen, using
from tests.runtime.transport.queues import envelope

SMUGGLED = (
    b"Subject: first\r\n\r\nx%sMAIL FROM:<evil@fabrikam.example>\r\n"
    b"RCPT TO:<alice@contoso.example>\r\nDATA\r\nevil\r\n.\r\n"
)
VARIANTS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n..\r\n", b"\r\n\n.\n"]
LENIENT = {**ANONYMOUS, "bareLinefeedRejectionEnabled": False}


def send(running: Estate, content: bytes = MESSAGE, connector: str = "anonymous") -> bytes:
    with running.raw(connector) as client:
        return client.hello().submit(content + b".\r\n")


@pytest.mark.parametrize("variant", VARIANTS)
def test_smuggling_is_refused_at_the_true_end(tmp_path: Path, variant: bytes) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:

            def test() -> None:
                with running.raw() as client:
                    reply = client.hello().submit(SMUGGLED % variant)
                    assert reply == b"550 5.6.11 Message contains bare carriage returns or linefeeds\r\n"
                    assert client.ask(b"NOOP").startswith(b"250")

            await using(test)
            assert await running.count() == 0

    run(story())


@pytest.mark.parametrize("variant", VARIANTS)
def test_smuggling_one_message_stays_one_where_bare_line_ends_are_taken(
    tmp_path: Path, variant: bytes
) -> None:
    async def story() -> None:
        async with estate(tmp_path, {"anonymous": LENIENT}) as running:

            def test() -> None:
                with running.raw() as client:
                    assert client.hello().submit(SMUGGLED % variant).startswith(b"250 2.6.0")

            await using(test)
            (content,) = await running.inbox()
            assert content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
            assert b"MAIL FROM:<evil@fabrikam.example>" in content
            assert await running.count() == 1

    run(story())


def test_what_is_stored_is_what_was_meant(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:
            await using(lambda: send(running, b"Subject: dots\r\n\r\n..\r\n..two\r\n\r\nlast\r\n"))
            (content,) = await running.inbox()
            assert content.endswith(b"Subject: dots\r\n\r\n.\r\n.two\r\n\r\nlast\r\n")

    run(story())


@on_both_loops
@pytest.mark.parametrize("size", [60_000, 200_000, 3_000_000])
def test_large_messages_arrive_whole(tmp_path: Path, loop: str, size: int) -> None:
    content = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * (size // 78)

    async def story() -> None:
        async with estate(tmp_path) as running:
            reply = await using(lambda: send(running, content))
            assert reply.startswith(b"250 2.6.0")
            (stored,) = await running.inbox()
            assert stored.endswith(content)
            await eventually(lambda: not len(running.engine))
            assert list((tmp_path / "servers/ex01/queue/spool").iterdir()) == []

    run(story(), loop)


def test_the_header_firewall(tmp_path: Path) -> None:
    header = b"X-MS-Exchange-Organization-SCL: -1\r\n folded\r\nX-MS-Exchange-Forest-A: 1\r\nX-Mine: 1\r\n"

    async def story() -> None:
        async with estate(tmp_path) as running:
            await using(lambda: send(running, header + MESSAGE))
            (content,) = await running.inbox()
            assert b"X-MS-Exchange" not in content
            assert b"folded" not in content
            assert b"\r\nX-Mine: 1\r\n" in content

    run(story())


def test_a_message_without_a_header_keeps_its_body(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:
            await using(lambda: send(running, b"just text\r\nmore\r\n"))
            (content,) = await running.inbox()
            assert content.endswith(b"\r\n\r\njust text\r\nmore\r\n")

    run(story())


def test_two_addresses_of_one_mailbox_are_one_delivery(tmp_path: Path) -> None:
    found = resources().mailbox("dave", email_addresses=("smtp:sales@contoso.example",))

    async def story() -> None:
        async with estate(tmp_path, found=found) as running:

            def test() -> None:
                with running.smtp() as client:
                    to = ["dave@contoso.example", "sales@contoso.example", "bob@contoso.example"]
                    client.sendmail("carol@fabrikam.example", to, MESSAGE)

            await using(test)
            assert await running.count("dave") == 1
            assert await running.count("bob") == 1

    run(story())


def test_a_hub_connector_takes_clients(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path, {"hub": HUB}) as running:
            reply = await using(lambda: send(running, connector="hub"))
            assert reply.startswith(b"250 2.6.0")
            await running.inbox()

    run(story())


def test_without_transport_messages_are_refused_for_now(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path, has_transport=False) as running:
            reply = await using(lambda: send(running))
            assert reply == b"451 4.4.0 The transport service is not reachable, try again later\r\n"

    run(story())


def test_a_full_disk_refuses_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def story() -> None:
        async with estate(tmp_path) as running:
            with monkeypatch.context() as patch:
                patch.setattr(Journal, "_write", full)
                reply = await using(lambda: send(running))
                assert reply == b"452 4.3.1 Insufficient system resources\r\n"
            assert (await using(lambda: send(running))).startswith(b"250 ")
            assert await running.count() == 1

    run(story())


def test_the_internal_listener_speaks_to_nobody_without_the_key(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:

            def test() -> None:
                for first in (b"EHLO client.example", b"MAIL FROM:<>", b"BACKENDAUTHENTICATE e30=.00"):
                    with running.raw("internal") as client:
                        assert client.ask(first).startswith(b"5")
                        assert client.reply().startswith(b"421")
                        assert client.reply() == b""

            await using(test)

    run(story())


@pytest.mark.parametrize(("receiver", "code"), [("ex01", b"250"), ("ex02", b"535")])
def test_an_introduction_is_believed_by_its_receiver_alone(
    tmp_path: Path, receiver: str, code: bytes
) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:
            line = introduction(running.backend_host.backend_key, "ex02.contoso.example", receiver)()

            def test() -> None:
                with running.raw("internal") as client:
                    assert client.ask(line.removesuffix(b"\r\n")).startswith(code)

            await using(test)

    run(story())


# Restarts


async def replace_backend(running: Estate, *, is_reload: bool = False) -> None:
    """A new generation of transport on the same socket; the old one drains, or is left (a reload)."""
    old, running.backend = running.backend, transport.create(running.backend_host, running.snapshot, 2)
    await running.backend.start()
    internal = running.listening[0].sockets[0].dup()
    running.listening[0].close()
    running.listening[0] = await listen(running.backend, internal, "internal")
    await (old.leave() if is_reload else old.drain(1.0))


def test_a_restart_of_transport_loses_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:

            def submit(count: int) -> None:
                with running.smtp() as client:
                    for _ in range(count):
                        client.sendmail("carol@fabrikam.example", ["alice@contoso.example"], MESSAGE)

            await using(lambda: submit(1))
            sending = [asyncio.create_task(using(lambda: submit(15))) for _ in range(3)]
            await replace_backend(running)
            await asyncio.gather(*sending)
            assert await running.count() == 46

    run(story())


def test_drain_ends_idle_sessions_with_421(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:
            client = await using(lambda: running.raw().hello())
            draining = asyncio.create_task(running.frontend.drain(2.0))
            assert await using(client.reply) == b"421 4.3.2 System not accepting network messages\r\n"
            assert await using(client.reply) == b""
            client.close()
            await draining
            assert running.frontend.session_count() == 0

    run(story())


def test_drain_lets_a_message_finish(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:
            client = await using(lambda: running.raw().hello())
            sender, recipient = b"MAIL FROM:<carol@fabrikam.example>", b"RCPT TO:<alice@contoso.example>"
            await using(lambda: client.replies(sender, recipient, b"DATA"))
            draining = asyncio.create_task(running.frontend.drain(5.0))
            await asyncio.sleep(0)
            await using(lambda: client.send(MESSAGE + b".\r\n"))
            assert (await using(client.reply)).startswith(b"250 2.6.0")
            assert (await using(client.reply)).startswith(b"421 4.3.2")
            client.close()
            await draining
            assert await running.count() == 1

    run(story())


def test_drain_ends_what_takes_too_long(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:
            client = await using(lambda: running.raw().hello())
            await using(lambda: client.ask(b"MAIL FROM:<carol@fabrikam.example>"))
            draining = asyncio.create_task(running.frontend.drain(0.1))
            assert (await using(client.reply)).startswith(b"421 4.3.2")
            client.close()
            await draining

    run(story())


def test_a_reload_leaves_sessions_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:
            client = await using(lambda: running.raw().hello())
            leaving = asyncio.create_task(running.frontend.leave())
            assert (await using(lambda: client.submit(MESSAGE + b".\r\n"))).startswith(b"250 ")
            assert not leaving.done()
            await using(lambda: client.ask(b"QUIT"))
            client.close()
            await leaving

    run(story())


def test_a_reload_of_transport_moves_front_ends_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:
            assert (await using(lambda: send(running))).startswith(b"250 ")
            assert running.backend.session_count() == 1
            await replace_backend(running, is_reload=True)
            assert (await using(lambda: send(running))).startswith(b"250 ")
            assert await running.count() == 2

    run(story())


def test_a_submission_that_comes_twice_over_the_hop_is_one_message(tmp_path: Path) -> None:
    """As after a connection that ended before its answer: the front end cannot know and sends the message again."""

    async def story() -> None:
        async with estate(tmp_path) as running:
            host, port = running.snapshot.transport_endpoints["ex01"]
            for _ in range(2):
                pool = HopPool(
                    host, port, introduction(running.backend_host.backend_key, "ex01.contoso.example", "ex01")
                )
                answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
                hop = pool.message(envelope(submission="0123456789abcdef"), lambda _may_write: None)
                hop.write(MESSAGE)
                hop.finish(answered.set_result)
                assert (await answered).text.startswith("250 2.6.0")
                pool.close()
            assert await running.count() == 1

    run(story())


def test_a_message_cut_off_is_not_queued(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:

            def test() -> None:
                with running.raw() as client:
                    client.hello().replies(
                        b"MAIL FROM:<carol@fabrikam.example>", b"RCPT TO:<alice@contoso.example>", b"DATA"
                    )
                    client.send(b"Subject: x\r\n\r\n" + b"x" * 200_000)

            await using(test)
            await eventually(lambda: not running.frontend.session_count())
            assert (await using(lambda: send(running))).startswith(b"250 ")
            assert await running.count() == 1
            assert list((tmp_path / "servers/ex01/queue/spool").iterdir()) == []

    run(story())


def test_many_sessions_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:

            def submit() -> None:
                with running.smtp() as client:
                    for _ in range(10):
                        client.sendmail("carol@fabrikam.example", ["alice@contoso.example"], MESSAGE)

            await asyncio.gather(*(using(submit) for _ in range(10)))
            assert await running.count() == 100

    run(story())


def test_a_frontend_of_a_new_generation_shares_the_counts(tmp_path: Path) -> None:
    async def story() -> None:
        only_one = {**ANONYMOUS, "maxInboundConnection": 1}
        async with estate(tmp_path, {"anonymous": only_one}) as running:
            client = await using(running.raw)
            newer = frontend_transport.create(running.frontend_host, running.snapshot, 2)
            await newer.start()
            view = newer._service.choose(_listener(running), "127.0.0.1")
            assert view is not None
            assert "exceeded a limit" in str(newer._service.admit(view, "127.0.0.1"))
            client.close()
            await newer.close()

    run(story())


def _listener(running: Estate) -> Listener:
    return Listener("frontend-transport", "127.0.0.1", running.ports["anonymous"], "starttls")


def test_a_user_logs_on_to_submit_to_himself(tmp_path: Path) -> None:
    async def story() -> None:
        async with estate(tmp_path, {"client": CLIENT}) as running:

            def test() -> dict[str, tuple[int, bytes]]:
                with running.log_on("bob") as client:
                    return client.sendmail(
                        "bob@contoso.example", ["bob@contoso.example", "x@fabrikam.example"], MESSAGE
                    )

            refused = await using(test)
            assert refused == {"x@fabrikam.example": (550, b"5.4.4 No Send connector leads to this domain")}
            await running.inbox("bob")

    run(story())
