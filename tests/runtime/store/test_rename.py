"""A mailbox takes all that it holds along to another name, once, whatever happens in between."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from runtime.store import database
from runtime.store.interface import StoreUnavailableError
from runtime.store.store import SqliteStore
from tests.runtime import aio

MESSAGE = b"Subject: kept\r\n\r\nmail\r\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A database in which alice has one message."""
    aio.run(fill(tmp_path))
    return tmp_path


async def fill(root: Path, mailbox: str = "alice") -> None:
    store = SqliteStore(root)
    found = await store.mailbox("db01", mailbox)
    await found.open("INBOX").append(MESSAGE)
    await store.close()


async def messages(store: SqliteStore, mailbox: str) -> int:
    return (await store.mailbox("db01", mailbox)).folder_info("INBOX").messages


async def renamed(root: Path, *names: str, is_open: bool) -> dict[str, int]:
    """Rename alice to each of `names` in turn; the messages of the last one, and again after opening anew."""
    store = SqliteStore(root)
    if is_open:
        await store.mailbox("db01", "alice")
    before = "alice"
    for revision, name in enumerate(names, start=1):
        store.rename_mailbox("db01", before, name, revision=revision)
        before = name
    found = {"now": await messages(store, before)}
    await store.close()
    again = SqliteStore(root)
    found["later"] = await messages(again, before)
    await again.close()
    return found


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("names", [("alicia",), ("alicia", "ally"), ("alicia", "alice")])
def test_what_it_holds_follows(names: tuple[str, ...], is_open: bool, root: Path) -> None:
    assert aio.run(renamed(root, *names, is_open=is_open)) == {"now": 1, "later": 1}


def test_a_rename_is_carried_out_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live configuration tells of it again after each start: by then another alice may be there."""
    monkeypatch.setattr(database, "RENAME_REST", 0.0)

    async def twice() -> tuple[int, int]:
        store = SqliteStore(root)
        store.rename_mailbox("db01", "alice", "alicia", revision=1)
        assert await messages(store, "alice") == 0
        await store.close()
        again = SqliteStore(root)
        again.rename_mailbox("db01", "alice", "alicia", revision=1)
        found = await messages(again, "alicia"), await messages(again, "alice")
        await again.close()
        return found

    assert aio.run(twice()) == (1, 0)


def test_nobody_opens_an_empty_mailbox_under_the_old_name_meanwhile(root: Path) -> None:
    async def open_old() -> None:
        store = SqliteStore(root)
        await store.mailbox("db01", "alice")
        store.rename_mailbox("db01", "alice", "alicia", revision=1)
        try:
            with pytest.raises(StoreUnavailableError, match="just been renamed"):
                await store.mailbox("db01", "alice")
        finally:
            await store.close()

    aio.run(open_old())


def test_a_mailbox_that_has_the_new_name_makes_way(root: Path) -> None:
    async def onto_empty() -> int:
        store = SqliteStore(root)
        assert await messages(store, "alicia") == 0
        store.rename_mailbox("db01", "alice", "alicia", revision=1)
        found = await messages(store, "alicia")
        await store.close()
        return found

    assert aio.run(onto_empty()) == 1


def test_the_mail_of_a_deleted_mailbox_is_set_aside_and_never_seen_by_another(root: Path) -> None:
    aio.run(fill(root, "alicia"))
    aio.run(fill(root, "alicia"))

    async def onto_full() -> None:
        store = SqliteStore(root)
        store.rename_mailbox("db01", "alice", "alicia", revision=1)
        assert await messages(store, "alicia") == 1
        await store.close()

    aio.run(onto_full())
    with sqlite3.connect(root / "db01" / "mailboxes.sqlite") as found:
        names = [name for (name,) in found.execute("SELECT name FROM mailboxes ORDER BY name")]
    assert names == ["alicia", "alicia\nset aside at revision 1"]


def test_folders_that_are_open_go_on(root: Path) -> None:
    async def go_on() -> int:
        store = SqliteStore(root)
        folder = (await store.mailbox("db01", "alice")).open("INBOX")
        store.rename_mailbox("db01", "alice", "alicia", revision=1)
        await folder.append(MESSAGE)
        found = await messages(store, "alicia")
        await store.close()
        return found

    assert aio.run(go_on()) == 2
