"""What one session hears of another, and when."""

from __future__ import annotations

from pathlib import Path

from tests.runtime.aio import on_both_loops
from tests.runtime.services.imap4_estate import serving

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
TWO = (MESSAGE, MESSAGE)


@on_both_loops
def test_idle_is_told_at_once(tmp_path: Path, loop: str) -> None:
    with serving(tmp_path, loop=loop) as imap, imap.raw() as client:
        client.select().send(b"x IDLE\r\n")
        assert client.line() == b"+ IDLE accepted, awaiting DONE command.\r\n"
        imap.deliver(MESSAGE)
        assert [client.line(), client.line()] == [b"* 1 EXISTS\r\n", b"* 1 RECENT\r\n"]
        client.send(b"done\r\n")
        assert client.line() == b"x OK IDLE completed.\r\n"


def test_idle_that_ends_with_something_else(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.select().send(b"x IDLE\r\n")
        client.line()
        client.send(b"y NOOP\r\n")
        assert client.line().startswith(b"x BAD ")
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_idle_without_a_folder(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on().send(b"x IDLE\r\n")
        client.line()
        client.send(b"DONE\r\n")
        assert client.line() == b"x OK IDLE completed.\r\n"


def test_idle_hears_of_flags_and_of_removed_messages(tmp_path: Path) -> None:
    with serving(tmp_path, *TWO) as imap, imap.raw() as idle, imap.raw() as other:
        idle.select().send(b"x IDLE\r\n")
        idle.line()
        other.select().ask(b"STORE 2 +FLAGS (\\Seen \\Deleted)")
        told = idle.line()
        assert told.startswith(b"* 2 FETCH (UID 2 FLAGS (")
        assert b"\\Seen" in told
        other.ask(b"EXPUNGE")
        assert idle.line() == b"* 2 EXPUNGE\r\n"


def test_numbers_do_not_change_during_fetch_store_and_search(tmp_path: Path) -> None:
    with serving(tmp_path, *TWO) as imap, imap.raw() as client, imap.raw() as other:
        client.select()
        other.select().ask(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        other.ask(b"EXPUNGE")
        for command in (b"FETCH 2 UID", b"STORE 2 +FLAGS.SILENT (\\Seen)", b"SEARCH ALL"):
            assert not [line for line in client.ask(command) if b"EXPUNGE\r\n" in line]
        assert client.ask(b"FETCH 2 UID")[0] == b"* 2 FETCH (UID 2)\r\n"
        assert client.ask(b"NOOP") == [b"* 1 EXPUNGE\r\n", b"x OK NOOP completed.\r\n"]
        assert client.ask(b"FETCH 1 UID")[0] == b"* 1 FETCH (UID 2)\r\n"


def test_uid_commands_tell_of_removed_messages(tmp_path: Path) -> None:
    with serving(tmp_path, *TWO) as imap, imap.raw() as client, imap.raw() as other:
        client.select()
        other.select().ask(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        other.ask(b"EXPUNGE")
        assert b"* 1 EXPUNGE\r\n" in client.ask(b"UID FETCH 2 UID")


def test_a_fetch_of_a_message_that_another_removed(tmp_path: Path) -> None:
    with serving(tmp_path, *TWO) as imap, imap.raw() as client, imap.raw() as other:
        client.select()
        other.select().ask(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        other.ask(b"EXPUNGE")
        lines = client.ask(b"FETCH 1:2 (UID ENVELOPE)")
        assert len(lines) == 2
        assert lines[0].startswith(b"* 2 FETCH (UID 2 ")
        assert lines[1].startswith(b"x NO [EXPUNGEISSUED] ")


def test_new_messages_come_with_any_command(tmp_path: Path) -> None:
    with serving(tmp_path, *TWO) as imap, imap.raw() as client:
        client.select()
        imap.deliver(MESSAGE)
        assert client.ask(b"SEARCH ALL")[:2] == [b"* SEARCH 1 2\r\n", b"* 3 EXISTS\r\n"]


def test_a_message_that_came_and_went_unheard_of_is_not_told(tmp_path: Path) -> None:
    with serving(tmp_path, *TWO) as imap, imap.raw() as client, imap.raw() as other:
        client.select()
        imap.deliver(MESSAGE)
        other.select().ask(b"STORE 3 +FLAGS.SILENT (\\Deleted)")
        other.ask(b"EXPUNGE")
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_recent_is_told_to_one_session(tmp_path: Path) -> None:
    with serving(tmp_path, *TWO) as imap, imap.raw() as first, imap.raw() as second:
        assert b"* 2 RECENT\r\n" in first.log_on().ask(b"SELECT INBOX")
        assert b"* 0 RECENT\r\n" in second.log_on().ask(b"SELECT INBOX")


def test_a_silent_store_is_told_to_others(tmp_path: Path) -> None:
    with serving(tmp_path, *TWO) as imap, imap.raw() as client, imap.raw() as other:
        client.select()
        other.select().ask(b"STORE 1 +FLAGS.SILENT (\\Answered)")
        assert b"\\Answered" in client.ask(b"NOOP")[0]


def test_a_folder_that_another_deletes(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client, imap.raw() as other:
        client.log_on().ask(b"CREATE Work")
        client.send(b"x APPEND Work {%d+}\r\n%b\r\n" % (len(MESSAGE), MESSAGE))
        client.until(b"x ")
        client.ask(b"SELECT Work")
        assert other.log_on().ask(b"DELETE Work") == [b"x OK DELETE completed.\r\n"]
        assert client.ask(b"NOOP") == [b"* 1 EXPUNGE\r\n", b"x OK NOOP completed.\r\n"]
        assert client.ask(b"SELECT INBOX")[-1].startswith(b"x OK")


def test_a_client_in_idle_that_does_not_read_costs_no_memory(tmp_path: Path) -> None:
    """Its news wait in the session's sets, not in the connection's buffers, and come when it reads again."""
    with serving(tmp_path, *[MESSAGE] * 200) as imap, imap.raw() as idle, imap.raw() as other:
        idle.select().send(b"x IDLE\r\n")
        idle.line()
        other.select()
        for round_number in range(40):
            flags = b"\\Answered" if round_number % 2 else b"\\Flagged"
            other.ask(b"STORE 1:200 FLAGS.SILENT (" + flags + b")")
        idle.send(b"DONE\r\n")
        lines = idle.until(b"x OK")
        last = [line for line in lines if line.startswith(b"* 200 FETCH")][-1]
        assert b"\\Answered" in last
