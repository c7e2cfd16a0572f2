"""One suite over every `Store`: what services may rely on, whatever stands behind it.

A new store is one more row of STORES.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TypeVar

import pytest

from runtime.store.interface import (
    Folder,
    FolderEvent,
    FolderExistsError,
    FolderHasChildrenError,
    FolderNameError,
    FolderProtectedError,
    MailboxStore,
    NoSuchFolderError,
    Store,
    StoreError,
)
from runtime.store.store import SqliteStore
from tests.runtime import aio

T = TypeVar("T")

STORES: dict[str, Callable[[Path], Store]] = {"sqlite": SqliteStore}

TEXT = b"From: alice@contoso.example\r\nSubject: hello\r\n\r\none\r\ntwo\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 76 + b"\r\n") * 2000


class Opener:
    """Opens the store under test; a new one sees what a former one wrote."""

    def __init__(self, make: Callable[[Path], Store], root: Path) -> None:
        self._make, self._root = make, root

    def open(self) -> Store:
        return self._make(self._root)

    def run(self, test: Callable[[MailboxStore], Awaitable[T]]) -> T:
        """One life of the store, with alice's mailbox."""

        async def life() -> T:
            store = self.open()
            try:
                return await test(await store.mailbox("db01", "alice"))
            finally:
                await store.close()

        return aio.run(life())


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    return Opener(STORES[request.param], tmp_path)


def names(mailbox: MailboxStore) -> list[str]:
    return [folder.name for folder in mailbox.folders()]


async def filled(mailbox: MailboxStore, count: int, *, name: str = "INBOX") -> Folder:
    folder = mailbox.open(name)
    for _ in range(count):
        await folder.append(TEXT)
    return folder


# --- mailboxes and folders -------------------------------------------------------------------------------------------


def test_a_new_mailbox_has_the_standard_folders(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        assert [(folder.name, folder.special_use) for folder in mailbox.folders()] == [
            ("INBOX", None),
            ("Deleted Items", "\\Trash"),
            ("Drafts", "\\Drafts"),
            ("Junk Email", "\\Junk"),
            ("Sent Items", "\\Sent"),
        ]
        assert all(folder.is_subscribed for folder in mailbox.folders())

    store.run(test)


def test_inbox_is_found_in_any_case(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        assert mailbox.open("inbox") is mailbox.open("INBOX")
        assert mailbox.folder_info("iNbOx").name == "INBOX"

    store.run(test)


def test_everybody_gets_the_same_mailbox(store: Opener) -> None:
    async def life() -> None:
        opened = store.open()
        try:
            assert await opened.mailbox("db01", "alice") is await opened.mailbox("db01", "alice")
            assert await opened.mailbox("db01", "bob") is not await opened.mailbox("db02", "bob")
        finally:
            await opened.close()

    aio.run(life())


def test_create_makes_missing_parents(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("Projects/2025/Mail")
        assert {"Projects", "Projects/2025", "Projects/2025/Mail"} <= set(names(mailbox))
        assert mailbox.folder_info("Projects").has_children
        assert not mailbox.folder_info("Projects/2025/Mail").has_children

    store.run(test)


def test_create_twice_is_refused(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("A/")
        with pytest.raises(FolderExistsError):
            await mailbox.create("A")
        with pytest.raises(FolderExistsError):
            await mailbox.create("inbox")

    store.run(test)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/a",
        "a//b",
        "a/../b",
        "..",
        ".",
        "#news",
        "a\x00b",
        "a\r\nb",
        "a\u2028b",
        "a*",
        "a%",
        "\ud800",
        "x" * 256,
        "/".join("a" * 33),
        "x/" * 600,
    ],
)
def test_improper_names_are_refused(store: Opener, name: str) -> None:
    async def test(mailbox: MailboxStore) -> None:
        with pytest.raises(FolderNameError):
            await mailbox.create(name)

    store.run(test)


@pytest.mark.parametrize(
    "name", ["Größe", "受信", 'it\'s "quoted"', "../up".replace("..", "…"), "a;DROP TABLE x", "~"]
)
def test_any_proper_name_is_data(store: Opener, name: str) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create(name)
        await mailbox.open(name).append(TEXT)
        assert mailbox.folder_info(name).messages == 1

    store.run(test)


def test_names_are_one_in_both_normal_forms(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("Gro\u0308ße")
        assert mailbox.open("Größe").name == "Größe"

    store.run(test)


def test_a_missing_folder_cannot_be_opened(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        for name in ("nothing", "", "\ud800", "../INBOX", "Drafts/"):
            with pytest.raises(NoSuchFolderError):
                mailbox.open(name)
            with pytest.raises(NoSuchFolderError):
                mailbox.folder_info(name)
            with pytest.raises(NoSuchFolderError):
                await mailbox.delete(name)

    store.run(test)


def test_a_folder_made_again_has_a_higher_uid_validity(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("A")
        first = mailbox.folder_info("A").uid_validity
        await mailbox.delete("A")
        await mailbox.create("B")
        await mailbox.create("A")
        assert mailbox.folder_info("A").uid_validity > mailbox.folder_info("B").uid_validity > first

    store.run(test)


def test_deleting_an_open_folder_takes_its_messages(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("A")
        folder = await filled(mailbox, 2, name="A")
        events: list[FolderEvent] = []
        folder.watch(events.append)
        await mailbox.delete("A")
        assert events == [FolderEvent("removed", (1, 2), None)]
        assert list(folder.uids()) == []
        with pytest.raises(NoSuchFolderError):
            await folder.append(TEXT)

    store.run(test)


def test_a_folder_with_children_is_not_deleted(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("A/B")
        with pytest.raises(FolderHasChildrenError):
            await mailbox.delete("A")
        await mailbox.delete("A/B")
        await mailbox.delete("A")

    store.run(test)


@pytest.mark.parametrize("name", ["INBOX", "inbox", "Sent Items"])
def test_standard_folders_are_not_deleted(store: Opener, name: str) -> None:
    async def test(mailbox: MailboxStore) -> None:
        with pytest.raises(FolderProtectedError):
            await mailbox.delete(name)

    store.run(test)


def test_rename_takes_children_and_messages_along(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("A/B")
        await mailbox.create("AB")
        folder = await filled(mailbox, 1, name="A/B")
        await mailbox.rename("A", "New/Place")
        assert {"New", "New/Place", "New/Place/B", "AB"} <= set(names(mailbox))
        assert "A" not in names(mailbox)
        assert mailbox.open("New/Place/B") is folder
        assert folder.name == "New/Place/B"

    store.run(test)


def test_rename_is_refused_where_it_cannot_be(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("A/B")
        with pytest.raises(FolderExistsError):
            await mailbox.rename("A", "INBOX")
        with pytest.raises(StoreError):
            await mailbox.rename("A", "A/B/C")
        with pytest.raises(FolderProtectedError):
            await mailbox.rename("Drafts", "B")
        with pytest.raises(FolderNameError):
            await mailbox.rename("A", "x" * 250 + "/../y")

    store.run(test)


def test_renaming_inbox_moves_its_messages(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        inbox = await filled(mailbox, 3)
        await mailbox.rename("INBOX", "Old mail")
        assert (list(inbox.uids()), inbox.uid_next) == ([], 4)
        assert list(mailbox.open("Old mail").uids()) == [1, 2, 3]
        assert mailbox.folder_info("Old mail").messages == 3

    store.run(test)


def test_subscriptions_outlive_folders(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        await mailbox.create("A")
        await mailbox.subscribe("A", on=True)
        await mailbox.subscribe("Drafts", on=False)
        await mailbox.delete("A")
        assert mailbox.subscriptions() == ("INBOX", "A", "Deleted Items", "Junk Email", "Sent Items")
        assert not mailbox.folder_info("Drafts").is_subscribed

    store.run(test)


# --- messages --------------------------------------------------------------------------------------------------------


def test_an_appended_message_is_there_as_it_was(store: Opener) -> None:
    when = datetime(2024, 2, 29, 23, 59, 58, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    async def test(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        appended = await folder.append(TEXT, flags=("\\seen", "$Label1"), internal_date=when)
        assert (appended.uid, appended.uid_validity) == (1, folder.uid_validity)
        assert folder.content(1) == TEXT
        assert folder.flags(1) == {"\\Seen", "$Label1"}
        assert folder.flags_rendered(1) == b"\\Seen $Label1"
        (summary,) = folder.summaries([1])
        assert (summary.uid, summary.size) == (1, len(TEXT))
        assert summary.internal_date == when
        assert summary.internal_date.utcoffset() == timedelta(hours=5, minutes=30)
        assert b'"hello"' in summary.envelope
        assert summary.body == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2)'
        assert summary.body_structure.endswith(b" 10 2 NIL NIL NIL NIL)")

    store.run(test)


def test_structure_cuts_the_content(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = await filled(mailbox, 1)
        part = folder.structure(1)
        assert part is not None
        assert TEXT[part.body_start : part.body_end] == b"one\r\ntwo\r\n"

    store.run(test)


def test_a_message_that_is_gone_has_nothing(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        assert (folder.content(7), folder.structure(7), folder.summaries([7])) == (None, None, [])
        assert (folder.flags(7), folder.flags_rendered(7)) == (frozenset(), b"")

    store.run(test)


@pytest.mark.parametrize("data", [b"", b"x", b"\n", b"\0\xff\r", TEXT, LARGE], ids=range(6))
def test_messages_of_any_size_survive_the_store(store: Opener, data: bytes) -> None:
    stored = data.replace(b"\n", b"\r\n") if data == b"\n" else data

    async def write(mailbox: MailboxStore) -> None:
        await mailbox.open("INBOX").append(data)

    async def read(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        assert folder.content(1) == stored
        assert folder.summaries([1])[0].size == len(stored)

    store.run(write)
    store.run(read)


def test_bare_line_feeds_become_crlf(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        await folder.append(b"Subject: x\n\nbody\r\n")
        assert folder.content(1) == b"Subject: x\r\n\r\nbody\r\n"

    store.run(test)


@pytest.mark.parametrize("piece", [1, 7, 40_000])
@pytest.mark.parametrize("data", [TEXT * 3, LARGE], ids=["small", "large"])
def test_a_message_in_pieces_is_the_same_message(store: Opener, data: bytes, piece: int) -> None:
    step = piece if len(data) < 1000 else max(piece, 997)

    async def test(mailbox: MailboxStore) -> None:
        message = mailbox.new_message()
        unix = data.replace(b"\r\n", b"\n")
        for source, expected in ((data, data), (unix, data)):
            message = mailbox.new_message()
            for start in range(0, len(source), step):
                message.write(source[start : start + step])
            assert message.size == len(expected)
            appended = await mailbox.open("INBOX").append(message)
            message.discard()
            assert mailbox.open("INBOX").content(appended.uid) == expected

    store.run(test)


def test_a_discarded_message_is_not_appended(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        message = mailbox.new_message()
        message.write(LARGE)
        message.discard()
        message.discard()
        with pytest.raises(StoreError):
            await mailbox.open("INBOX").append(message)
        with pytest.raises(StoreError):
            message.write(b"x")

    store.run(test)


def test_summaries_come_in_the_order_asked_for(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = await filled(mailbox, 9)
        await folder.expunge([4])
        assert [summary.uid for summary in folder.summaries([9, 2, 4, 5, 2])] == [9, 2, 5, 2]

    store.run(test)


def test_uids_are_never_used_again(store: Opener) -> None:
    async def empty(mailbox: MailboxStore) -> None:
        folder = await filled(mailbox, 3)
        await folder.expunge([3, 2, 1])
        assert (list(folder.uids()), folder.uid_next) == ([], 4)

    async def again(mailbox: MailboxStore) -> None:
        assert mailbox.folder_info("INBOX").uid_next == 4
        assert (await mailbox.open("INBOX").append(TEXT)).uid == 4

    store.run(empty)
    store.run(again)


def test_everything_is_there_after_closing(store: Opener) -> None:
    async def write(mailbox: MailboxStore) -> tuple[int, int]:
        folder = await filled(mailbox, 3)
        await folder.change_flags([2], "add", ["\\Seen", "custom"])
        await mailbox.create("A/B")
        return folder.uid_validity, folder.highest_modseq

    async def read(mailbox: MailboxStore) -> tuple[int, int]:
        folder = mailbox.open("INBOX")
        assert list(folder.uids()) == [1, 2, 3]
        assert folder.flags_rendered(2) == b"\\Seen custom"
        assert mailbox.folder_info("INBOX").unseen == 2
        assert "A/B" in names(mailbox)
        return folder.uid_validity, folder.highest_modseq

    assert store.run(write) == store.run(read)


@pytest.mark.parametrize(
    ("change", "flags", "expected"),
    [
        ("add", ["\\Flagged", "new"], b"\\Flagged \\Seen kept new"),
        ("remove", ["\\SEEN", "KEPT"], b""),
        ("replace", ["\\Draft"], b"\\Draft"),
        ("add", ["\\Recent", "\\Unknown"], b"\\Seen kept"),
    ],
)
def test_flags_change(store: Opener, change: str, flags: list[str], expected: bytes) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        await folder.append(TEXT, flags=["\\Seen", "kept"])
        await folder.change_flags([1], change, flags)  # type: ignore[arg-type]  # parametrised
        assert folder.flags_rendered(1) == expected

    store.run(test)


def test_only_real_changes_are_told(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = await filled(mailbox, 3)
        await folder.change_flags([2], "add", ["\\Seen"])
        before = folder.highest_modseq
        assert await folder.change_flags([1, 2, 3, 99], "add", ["\\Seen"]) == (1, 3)
        assert folder.highest_modseq > before
        assert [summary.modseq for summary in folder.summaries([1, 2, 3])] == [before + 1, before, before + 1]
        assert await folder.change_flags([1], "add", ["\\seen"]) == ()
        assert folder.highest_modseq == before + 1

    store.run(test)


@pytest.mark.parametrize("keyword", ["a b", "", "é", "(", "x" * 101, "a\r\n", "]", "a*"])
def test_improper_keywords_are_refused(store: Opener, keyword: str) -> None:
    async def test(mailbox: MailboxStore) -> None:
        with pytest.raises(StoreError):
            await mailbox.open("INBOX").append(TEXT, flags=[keyword])

    store.run(test)


def test_keywords_of_a_message_are_capped(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        await folder.append(TEXT, flags=[f"k{number}" for number in range(64)])
        with pytest.raises(StoreError):
            await folder.change_flags([1], "add", ["one-more"])
        assert len(folder.keywords()) == 64

    store.run(test)


def test_expunge_returns_what_was_there(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = await filled(mailbox, 40)
        assert await folder.expunge([2, 50, 2]) == (2,)
        assert len(await folder.expunge(range(10, 40))) == 30
        assert list(folder.uids()) == [1, *range(3, 10), 40]
        assert folder.content(2) is None
        assert mailbox.folder_info("INBOX").messages == 9
        assert await folder.expunge([2]) == ()

    store.run(test)


def test_copies_keep_flags_and_date(store: Opener) -> None:
    when = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)

    async def test(mailbox: MailboxStore) -> None:
        inbox = mailbox.open("INBOX")
        drafts = mailbox.open("Drafts")
        await filled(mailbox, 1)
        await inbox.append(LARGE, flags=["\\Flagged"], internal_date=when)
        copied = await inbox.copy([2, 9], "Drafts")
        assert (copied.source, copied.destination) == ((2,), (1,))
        assert copied.uid_validity == drafts.uid_validity
        assert drafts.flags(1) == {"\\Flagged"}
        assert drafts.summaries([1])[0].internal_date == when
        assert drafts.content(1) == LARGE

    store.run(test)


def test_a_copy_stays_when_the_original_goes(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        inbox, drafts = mailbox.open("INBOX"), mailbox.open("Drafts")
        await inbox.append(LARGE)
        await inbox.copy([1], "Drafts")
        await inbox.copy([1], "INBOX")
        await inbox.expunge([1, 2])
        assert drafts.content(1) == LARGE
        await drafts.expunge([1])

    store.run(test)


def test_a_copy_to_nowhere_changes_nothing(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = await filled(mailbox, 2)
        with pytest.raises(NoSuchFolderError):
            await folder.copy([1, 2], "nothing")
        with pytest.raises(NoSuchFolderError):
            await folder.move([1, 2], "nothing")
        assert list(folder.uids()) == [1, 2]

    store.run(test)


def test_move_takes_messages_away(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        inbox = await filled(mailbox, 3)
        moved = await inbox.move([1, 3], "Junk Email")
        assert (moved.source, moved.destination) == ((1, 3), (1, 2))
        assert list(inbox.uids()) == [2]
        assert list(mailbox.open("Junk Email").uids()) == [1, 2]
        assert (await inbox.move([77], "Junk Email")).source == ()

    store.run(test)


def test_move_within_a_folder_gives_new_uids(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        inbox = await filled(mailbox, 2)
        await inbox.move([1], "INBOX")
        assert list(inbox.uids()) == [2, 3]

    store.run(test)


def test_recent_is_told_once(store: Opener) -> None:
    async def first(mailbox: MailboxStore) -> None:
        folder = await filled(mailbox, 2)
        assert mailbox.folder_info("INBOX").recent == 2
        assert folder.take_recent(keep=True) == {1, 2}
        assert folder.take_recent(keep=False) == {1, 2}
        assert folder.take_recent(keep=False) == frozenset()
        await folder.append(TEXT)
        assert mailbox.folder_info("INBOX").recent == 1
        await folder.expunge([1, 3])
        assert mailbox.folder_info("INBOX").recent == 0

    async def later(mailbox: MailboxStore) -> None:
        assert mailbox.open("INBOX").take_recent(keep=False) == frozenset()

    store.run(first)
    store.run(later)


# --- watching --------------------------------------------------------------------------------------------------------


def test_watchers_hear_of_commits_in_order(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        me = object()
        events: list[FolderEvent] = []
        stop = folder.watch(events.append)
        await folder.append(TEXT, origin=me)
        await folder.append(TEXT)
        await folder.change_flags([2, 1], "add", ["\\Deleted"], origin=me)
        await folder.expunge([1], origin=me)
        await folder.move([2], "Drafts", origin=me)
        stop()
        stop()
        await folder.append(TEXT)
        assert events == [
            FolderEvent("added", (1,), me),
            FolderEvent("added", (2,), None),
            FolderEvent("flags", (1, 2), me),
            FolderEvent("removed", (1,), me),
            FolderEvent("removed", (2,), me),
        ]

    store.run(test)


def test_the_folder_is_up_to_date_when_a_watcher_hears(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        seen: list[list[int]] = []
        folder.watch(lambda _: seen.append(list(folder.uids())))
        await filled(mailbox, 2)
        assert seen == [[1], [1, 2]]

    store.run(test)


def test_a_watcher_that_fails_harms_nobody(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = mailbox.open("INBOX")
        events: list[FolderEvent] = []

        def fail(_: FolderEvent) -> None:
            raise RuntimeError("a broken session")

        folder.watch(fail)
        folder.watch(events.append)
        await folder.append(TEXT)
        assert len(events) == 1

    store.run(test)


def test_a_copy_is_an_addition_to_its_destination(store: Opener) -> None:
    async def test(mailbox: MailboxStore) -> None:
        folder = await filled(mailbox, 2)
        events: list[FolderEvent] = []
        mailbox.open("Drafts").watch(events.append)
        await folder.copy([1, 2], "Drafts")
        assert events == [FolderEvent("added", (1, 2), None)]

    store.run(test)
