"""STORE, COPY, MOVE, EXPUNGE, APPEND through both hops."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runtime.store.interface import StoreUnavailableError
from runtime.store.message_writer import SpooledMessage
from tests.runtime.services.imap4_estate import Raw, serving

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def flags(client: Raw, number: int = 1) -> set[bytes]:
    (line,) = client.ask(b"FETCH %d FLAGS" % number)[:-1]
    found = re.search(rb"FLAGS \((.*)\)\)", line)
    assert found
    return set(found[1].split()) - {b"\\Recent"}


def append(client: Raw, folder: bytes, octets: bytes, options: bytes = b"") -> bytes:
    client.send(b"x APPEND %b %b{%d+}\r\n%b\r\n" % (folder, options, len(octets), octets))
    return client.until(b"x ")[-1]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (b"FLAGS (\\Seen)", {b"\\Seen"}),
        (b"+FLAGS (\\Answered $MDNSent work)", {b"\\Flagged", b"\\Answered", b"$MDNSent", b"work"}),
        (b"-FLAGS \\Flagged", set()),
        (b"FLAGS ()", set()),
    ],
)
def test_store(tmp_path: Path, command: bytes, expected: set[bytes]) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        client.select().ask(b"STORE 1 FLAGS (\\Flagged)")
        lines = client.ask(b"STORE 1 " + command)
        assert lines[0].startswith(b"* 1 FETCH (UID 1 FLAGS (")
        assert lines[-1] == b"x OK STORE completed.\r\n"
        assert flags(client) == expected


def test_a_silent_store_says_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        assert client.select().ask(b"STORE 1 +FLAGS.SILENT (\\Seen)") == [b"x OK STORE completed.\r\n"]
        assert flags(client) == {b"\\Seen"}


def test_a_store_that_changes_nothing_still_tells_the_flags(tmp_path: Path) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        client.select().ask(b"STORE 1 +FLAGS (\\Seen)")
        assert b"\\Seen" in client.ask(b"STORE 1 +FLAGS (\\Seen)")[0]


def test_expunge_tells_numbers_that_are_right_when_told(tmp_path: Path) -> None:
    with serving(tmp_path, *[MESSAGE] * 5) as imap, imap.raw() as client:
        client.select().ask(b"STORE 1,3,4 +FLAGS.SILENT (\\Deleted)")
        lines = client.ask(b"EXPUNGE")
        uids = [1, 2, 3, 4, 5]
        for line in lines[:-1]:
            del uids[int(line.split()[1]) - 1]
        assert uids == [2, 5]
        assert client.ask(b"UID SEARCH ALL")[0] == b"* SEARCH 2 5\r\n"


def test_uid_expunge_removes_only_what_is_named(tmp_path: Path) -> None:
    with serving(tmp_path, *[MESSAGE] * 3) as imap, imap.raw() as client:
        client.select().ask(b"STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        assert client.ask(b"UID EXPUNGE 2") == [b"* 2 EXPUNGE\r\n", b"x OK EXPUNGE completed.\r\n"]


def test_close_expunges_without_a_word_and_unselect_does_not(tmp_path: Path) -> None:
    with serving(tmp_path, *[MESSAGE] * 2) as imap, imap.raw() as client:
        client.select().ask(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        assert client.ask(b"UNSELECT") == [b"x OK UNSELECT completed.\r\n"]
        assert b"* 2 EXISTS\r\n" in client.ask(b"SELECT INBOX")
        assert client.ask(b"CLOSE") == [b"x OK CLOSE completed.\r\n"]
        assert client.ask(b"FETCH 1 FLAGS") == [b"x BAD Command received in Invalid state.\r\n"]
        assert b"* 1 EXISTS\r\n" in client.ask(b"SELECT INBOX")


def test_copy_tells_where_the_copies_are(tmp_path: Path) -> None:
    with serving(tmp_path, *[MESSAGE] * 3) as imap, imap.raw() as client:
        client.select().ask(b"CREATE Work")
        assert re.fullmatch(
            rb"x OK \[COPYUID \d+ 1,3 1:2\] COPY completed.\r\n", client.ask(b"COPY 1,3 Work")[-1]
        )
        assert client.ask(b"STATUS Work (MESSAGES)")[0] == b"* STATUS Work (MESSAGES 2)\r\n"


def test_move(tmp_path: Path) -> None:
    with serving(tmp_path, *[MESSAGE] * 3) as imap, imap.raw() as client:
        client.select().ask(b"CREATE Work")
        lines = client.ask(b"UID MOVE 1:2 Work")
        assert re.fullmatch(rb"\* OK \[COPYUID \d+ 1:2 1:2\] Moved.\r\n", lines[0])
        assert lines[1:] == [b"* 2 EXPUNGE\r\n", b"* 1 EXPUNGE\r\n", b"x OK MOVE completed.\r\n"]


@pytest.mark.parametrize("command", [b"COPY 1 Nowhere", b"MOVE 1 Nowhere"])
def test_a_transfer_to_a_folder_that_is_not_there(tmp_path: Path, command: bytes) -> None:
    with serving(tmp_path, MESSAGE) as imap, imap.raw() as client:
        assert client.select().ask(command)[-1].startswith(b"x NO [TRYCREATE] ")


def test_append_tells_the_uid_and_keeps_what_it_was_given(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.select()
        reply = append(client, b"INBOX", MESSAGE, b'(\\Flagged work) "17-Jul-1996 02:44:25 +0000" ')
        assert re.fullmatch(rb"x OK \[APPENDUID \d+ 1\] APPEND completed.\r\n", reply)
        assert flags(client) == {b"\\Flagged", b"work"}
        assert b'"17-Jul-1996 02:44:25 +0000"' in client.ask(b"FETCH 1 INTERNALDATE")[0]


def test_append_to_the_selected_folder_tells_exists(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.select().send(b"x APPEND INBOX {%d+}\r\n%b\r\n" % (len(MESSAGE), MESSAGE))
        assert b"* 1 EXISTS\r\n" in client.until(b"x ")


def test_append_to_a_folder_that_is_not_there_is_refused_before_the_message(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on()
        assert client.ask(b"APPEND Nowhere {99}")[0].startswith(b"x NO [TRYCREATE] ")
        assert append(client, b"Nowhere", b"y NOOP\r\n").startswith(b"x NO [TRYCREATE] ")
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_a_message_that_is_too_big(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on()
        assert client.ask(b"APPEND INBOX {99999999}") == [b"x NO [TOOBIG] literal is too big\r\n"]
        client.send(b"x APPEND INBOX {99999999+}\r\n")
        assert client.line() == b"* BYE Connection is closed: literal is too big.\r\n"


def test_an_empty_message(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert append(client.log_on(), b"INBOX", b"").startswith(b"x NO APPEND failed.")


def test_a_message_that_does_not_come_to_its_end_is_not_stored(tmp_path: Path) -> None:
    with serving(tmp_path) as imap:
        with imap.raw() as client:
            client.log_on().send(b"x APPEND INBOX {100}\r\n")
            client.line()
            client.send(b"half")
        with imap.raw() as client:
            assert b"* 0 EXISTS\r\n" in client.log_on().ask(b"SELECT INBOX")


def test_a_message_that_the_store_cannot_take_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreUnavailableError("No space is left.")

    monkeypatch.setattr(SpooledMessage, "write", full)
    with serving(tmp_path) as imap, imap.raw() as client:
        reply = append(client.select(), b"INBOX", MESSAGE)
        assert reply == b"x NO [UNAVAILABLE] APPEND failed. No space is left.\r\n"
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_text_behind_a_message_is_bad_and_nothing_is_stored(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.select().send(b"x APPEND INBOX {4+}\r\nabcd x\r\n")
        assert client.until(b"x ")[-1].startswith(b"x BAD ")
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_a_large_message_comes_back_as_it_was(tmp_path: Path) -> None:
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000
    with serving(tmp_path) as imap, imap.raw() as client:
        append(client.select(), b"INBOX", large)
        client.send(b"x FETCH 1 BODY.PEEK[]\r\n")
        assert client.line() == b"* 1 FETCH (BODY[] {%d}\r\n" % len(large)
        assert client.read(len(large)) == large
