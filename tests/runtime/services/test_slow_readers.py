"""Clients that ask for much and read nothing: what waits for them is bounded, whatever they asked for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.net.connection import HIGH_WATER, StreamConnection
from runtime.protocols.imap4.values import FetchItem, Section
from runtime.services.back_end import BackEnd
from runtime.services.frontend_transport import FrontEndTransport
from runtime.services.imap4_backend import fetch, selected
from runtime.services.imap4_backend.selected import Selected
from runtime.services.imap4_backend.session import ImapSession
from runtime.services.smtp_session import SmtpSession
from runtime.store.interface import Folder, FolderEvent
from runtime.store.store import SqliteStore
from tests.runtime.aio import eventually, on_both_loops, run
from tests.runtime.services.imap4_estate import Raw, Served, serving
from tests.runtime.services.pop_lab import pop_lab
from tests.runtime.services.smtp_estate import ANONYMOUS, using
from tests.runtime.services.smtp_estate import estate as smtp_estate

LARGE = b"Subject: large\r\n\r\n" + b"x" * 2_800_000 + b"\r\n"
#: What may wait in a connection: its mark, one piece beyond it, and what it puts together.
BUFFERED = HIGH_WATER + fetch.SLICE + fetch.PIECE


def waiting(connection: object) -> int:
    """Octets that were written and have not left."""
    assert isinstance(connection, StreamConnection)
    return connection._transport.get_write_buffer_size() + connection._out_size


# FETCH


def with_folder(path: Path, *messages: bytes, test: Callable[[Folder], None]) -> None:
    async def story() -> None:
        store = SqliteStore(path)
        try:
            folder = (await store.mailbox("db01", "bob")).open("INBOX")
            for message in messages:
                await folder.append(message)
            test(folder)
        finally:
            await store.close()

    run(story())


def view_of(folder: Folder) -> Selected:
    return Selected(folder, is_read_only=True, on_news=lambda: None)


def partials(count: int) -> tuple[FetchItem, ...]:
    return tuple(
        FetchItem("BODY[]", b"BODY[]<%d>" % start, Section(partial=(start, 2_700_000)))
        for start in range(count)
    )


def answer(folder: Folder, *items: FetchItem) -> Iterator[bytes | memoryview]:
    uids = folder.uids()
    return fetch.respond(fetch.Request(view_of(folder), items, uids, range(1, len(uids) + 1)))


def test_sections_are_views_of_one_message_given_out_in_slices(tmp_path: Path) -> None:
    def test(folder: Folder) -> None:
        pieces = answer(folder, *partials(50))
        large = [piece for piece in pieces if len(piece) >= fetch.PIECE]
        assert max(map(len, large)) <= fetch.SLICE
        assert sum(map(len, large)) > 49 * 2_700_000
        assert len({id(piece.obj) for piece in large if isinstance(piece, memoryview)}) == 1
        assert all(isinstance(piece, memoryview) for piece in large)

    with_folder(tmp_path, LARGE, test=test)


def test_a_message_is_read_once_for_all_its_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def test(folder: Folder) -> None:
        read: list[int] = []
        content = folder.content

        def counted(uid: int) -> bytes | None:
            read.append(uid)
            return content(uid)

        monkeypatch.setattr(folder, "content", counted)
        assert sum(map(len, answer(folder, *partials(20)))) > 20 * 2_700_000
        assert read == [1]

    with_folder(tmp_path, LARGE, test=test)


def test_a_short_answer_from_large_messages_leaves_room_for_others(tmp_path: Path) -> None:
    def test(folder: Folder) -> None:
        pieces = list(answer(folder, FetchItem("BODY[]", b"BODY[]<0>", Section(partial=(0, 1)))))
        assert pieces.count(fetch.BREATH) == 3

    with_folder(tmp_path, *[LARGE[:100_000]] * 3, test=test)


def test_large_envelopes_are_given_out_a_few_at_a_time(tmp_path: Path) -> None:
    message = b"Subject: " + b"x" * 200_000 + b"\r\n\r\n"

    def test(folder: Folder) -> None:
        for _cold_then_kept in range(2):
            pieces = list(answer(folder, FetchItem("ENVELOPE", b"ENVELOPE")))
            assert b"".join(pieces).count(b" FETCH (ENVELOPE ") == 30
            assert max(map(len, pieces)) < fetch.SUMMARIES + 2 * len(message)

    with_folder(tmp_path, *[message] * 30, test=test)


def test_summaries_within_a_budget(tmp_path: Path) -> None:
    """UIDs that are gone are answered for, and what was read before counts as what is read now."""
    message = b"Subject: " + b"x" * 1000 + b"\r\n\r\n"

    def test(folder: Folder) -> None:
        for _cold_then_kept in range(2):
            first, count = folder.first_summaries([1, 2, 3, 4, 5, 99], budget=2000)
            assert ([found.uid for found in first], count) == ([1, 2], 2)
        rest, count = folder.first_summaries([3, 98, 99], budget=2500)
        assert ([found.uid for found in rest], count) == ([3], 3)
        assert folder.first_summaries([98, 99], budget=1) == ([], 2)

    with_folder(tmp_path, *[message] * 5, test=test)


def unread(imap: Served, client: Raw, commands: bytes) -> int:
    """Octets that wait at the back end for a client that has sent commands and reads nothing."""
    assert isinstance(imap.estate.back, BackEnd)
    (session,) = imap.estate.back._sessions.values()
    assert isinstance(session, ImapSession)
    client.send(commands)

    async def measured() -> int:
        await eventually(lambda: session._output.is_paused)
        return waiting(session.connection)

    return imap.call(measured())


@on_both_loops
@pytest.mark.parametrize(
    "command",
    [
        b"FETCH 1 (" + b" ".join(b"BODY.PEEK[]<%d.2700000>" % start for start in range(100)) + b")",
        b"FETCH 1:* RFC822",
    ],
)
def test_a_client_that_reads_nothing_of_its_fetch(tmp_path: Path, command: bytes, loop: str) -> None:
    with serving(tmp_path, *[LARGE] * 4, loop=loop) as imap, imap.raw() as client:
        client.select()
        assert unread(imap, client, b"x " + command + b"\r\ny NOOP\r\n") <= BUFFERED


def test_every_octet_of_many_sections_arrives(tmp_path: Path) -> None:
    with serving(tmp_path, LARGE) as imap, imap.raw() as client:
        client.select().send(b"x FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT]<1.2000000> UID)\r\n")
        assert client.line() == b"* 1 FETCH (BODY[] {%d}\r\n" % len(LARGE)
        assert client.read(len(LARGE)) == LARGE
        assert client.line() == b" BODY[TEXT]<1> {2000000}\r\n"
        assert client.read(2_000_000) == b"x" * 2_000_000
        assert client.line() == b" UID 1)\r\n"
        assert client.line() == b"x OK FETCH completed.\r\n"


# News


def told(view: Selected) -> list[bytes]:
    return list(view.news(may_expunge=True))


def test_many_news_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selected, "BATCH", 2)

    def test(folder: Folder) -> None:
        view = view_of(folder)
        view._on_event(FolderEvent("flags", (1, 2, 3, 4, 5), None))
        assert view.has_much_news(may_expunge=False)
        assert [piece.count(b" FETCH ") for piece in told(view)] == [2, 2, 1]
        view._on_event(FolderEvent("removed", (1, 2, 4), None))
        assert not view.has_much_news(may_expunge=False)
        assert told(view) == [b"* 4 EXPUNGE\r\n* 2 EXPUNGE\r\n", b"* 1 EXPUNGE\r\n"]

    with_folder(tmp_path, *[b"x\r\n"] * 5, test=test)


def test_many_news_to_a_client_in_idle_and_to_one_that_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selected, "BATCH", 2)
    with serving(tmp_path, *[b"x\r\n"] * 5) as imap, imap.raw() as idle, imap.raw() as other:
        idle.select().send(b"x IDLE\r\n")
        idle.line()
        lines = other.select().ask(b"STORE 1:* +FLAGS (\\Deleted)")
        assert [line.split()[1] for line in lines] == [b"1", b"2", b"3", b"4", b"5", b"OK"]
        assert [idle.line().split()[:3] for _ in range(5)] == [
            [b"*", b"%d" % number, b"FETCH"] for number in range(1, 6)
        ]
        assert other.ask(b"EXPUNGE") == [b"* %d EXPUNGE\r\n" % number for number in range(5, 0, -1)] + [
            b"x OK EXPUNGE completed.\r\n"
        ]
        assert [idle.line() for _ in range(5)] == [b"* %d EXPUNGE\r\n" % n for n in range(5, 0, -1)]
        idle.send(b"DONE\r\n")
        assert idle.line() == b"x OK IDLE completed.\r\n"


# POP3


def test_pop3_retrievals_wait_for_the_reader(tmp_path: Path) -> None:
    async def story() -> None:
        async with pop_lab(tmp_path) as lab:
            await lab.deliver(LARGE)
            client = await lab.logged_on()
            (session,) = lab.back._sessions.values()
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # it reads nothing
            client.writer.write(b"RETR 1\r\nTOP 1 1\r\n" * 2000)
            await eventually(lambda: getattr(session, "_is_paused", False))
            assert waiting(session.connection) <= BUFFERED

    run(story())


def test_pop3_reads_nothing_behind_a_quit_that_removes(tmp_path: Path) -> None:
    async def story() -> None:
        async with pop_lab(tmp_path) as lab:
            await lab.deliver(b"x\r\n")
            client = await lab.logged_on()
            (session,) = lab.back._sessions.values()
            session.on_data(b"DELE 1\r\nQUIT\r\n")
            assert isinstance(session.connection, StreamConnection)
            assert not session.connection._transport.is_reading()
            assert await client.line() == "+OK"
            await client.rest()

    run(story())


# SMTP


@on_both_loops
def test_smtp_commands_wait_for_the_reader(tmp_path: Path, loop: str) -> None:
    """An answer is longer than its question; unread ones keep the next command, also a received one, from its
    answer. All are answered when the client reads."""
    count = 60_000

    async def story() -> None:
        async with smtp_estate(tmp_path, {"anonymous": ANONYMOUS}) as running:
            with await using(running.raw) as client:
                await using(client.hello)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
                assert isinstance(running.frontend, FrontEndTransport)
                (session,) = running.frontend._service.sessions
                assert isinstance(session, SmtpSession)
                own = session._connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
                own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
                session.on_data(b"RSET\r\n" * count + b"QUIT\r\n")
                assert waiting(session._connection) <= HIGH_WATER + fetch.PIECE
                *resets, goodbye = await using(lambda: [client.reply() for _ in range(count + 1)])
                assert set(resets) == {b"250 2.0.0 Resetting\r\n"}
                assert goodbye.startswith(b"221 ")

    run(story(), loop)
