"""Folders through both hops."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.services.imap4_estate import Raw, serving


def listed(client: Raw, command: bytes) -> list[bytes]:
    """Names of the rows."""
    return [line.rstrip().rpartition(b'"/" ')[2] for line in client.ask(command)[:-1]]


def test_select_tells_what_is_there(tmp_path: Path) -> None:
    message = b"Subject: x\r\n\r\ny\r\n"
    with serving(tmp_path, message, message) as imap, imap.raw() as client:
        lines = client.log_on().ask(b"SELECT inbox")
        assert lines[0] == b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent)\r\n"
        assert b"* 2 EXISTS\r\n" in lines
        assert b"* 2 RECENT\r\n" in lines
        assert b"* OK [UNSEEN 1] Is the first unseen message\r\n" in lines
        assert b"* OK [UIDNEXT 3] The next unique identifier value\r\n" in lines
        assert lines[-1] == b"x OK [READ-WRITE] SELECT completed.\r\n"


def test_select_tells_keywords_that_are_in_use(tmp_path: Path) -> None:
    with serving(tmp_path, b"Subject: x\r\n\r\ny\r\n") as imap, imap.raw() as client:
        client.select().ask(b"STORE 1 FLAGS (work \\Seen)")
        lines = client.ask(b"SELECT INBOX")
        assert lines[0] == b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent work)\r\n"
        assert not any(b"[UNSEEN" in line for line in lines)


def test_a_failed_select_leaves_no_folder_selected(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert client.select().ask(b"SELECT Nowhere")[-1].startswith(b"x NO [NONEXISTENT] ")
        assert client.ask(b"CHECK") == [b"x BAD Command received in Invalid state.\r\n"]


def test_create_list_and_delete(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on()
        assert client.ask(b'CREATE "Work/2026 plans/"') == [b"x OK CREATE completed.\r\n"]
        assert client.ask(b'LIST "" Work*')[:-1] == [
            b'* LIST (\\HasChildren) "/" Work\r\n',
            b'* LIST (\\HasNoChildren) "/" "Work/2026 plans"\r\n',
        ]
        assert client.ask(b'LIST "" Work/%')[:-1] == [b'* LIST (\\HasNoChildren) "/" "Work/2026 plans"\r\n']
        assert client.ask(b'DELETE "Work/2026 plans"') == [b"x OK DELETE completed.\r\n"]
        assert client.ask(b'LIST "" Work*')[:-1] == [b'* LIST (\\HasNoChildren) "/" Work\r\n']


def test_the_hierarchy_separator(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert client.log_on().ask(b'LIST "" ""')[0] == b'* LIST (\\Noselect) "/" ""\r\n'


@pytest.mark.parametrize("pattern", [b"inbox", b"INBOX", b"In%", b"%", b"*"])
def test_inbox_is_found_in_any_case(tmp_path: Path, pattern: bytes) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert b"INBOX" in listed(client.log_on(), b'LIST "" ' + pattern)


def test_a_name_in_modified_utf7(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on().ask(b"CREATE &AOk-t&AOk-")
        assert listed(client, b'LIST "" &AOk-*') == [b"&AOk-t&AOk-"]
        assert (
            client.ask(b"STATUS &AOk-t&AOk- (MESSAGES UIDNEXT)")[0]
            == b"* STATUS &AOk-t&AOk- (MESSAGES 0 UIDNEXT 1)\r\n"
        )


@pytest.mark.parametrize("name", [b"../x", b"a//b", b".", b'"a\\\\..\\\\b"', b"&AAo-", b"INBOX"])
def test_names_that_are_refused_or_harmless(tmp_path: Path, name: bytes) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert client.log_on().ask(b"CREATE " + name)[-1][:4] in (b"x NO", b"x OK")
        assert client.ask(b"NOOP") == [b"x OK NOOP completed.\r\n"]


def test_rename_takes_children_along(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on().ask(b"CREATE a/b")
        assert client.ask(b"RENAME a c") == [b"x OK RENAME completed.\r\n"]
        assert listed(client, b'LIST "" c*') == [b"c", b"c/b"]


def test_subscriptions(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        client.log_on().ask(b"CREATE a/b")
        for name in (b"a", b"a/b"):
            client.ask(b"UNSUBSCRIBE " + name)
        assert client.ask(b"SUBSCRIBE a/b") == [b"x OK SUBSCRIBE completed.\r\n"]
        assert b"a/b" in listed(client, b'LSUB "" *')
        assert client.ask(b'LSUB "" a%')[0] == b'* LSUB (\\Noselect) "/" a\r\n'


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (b"CREATE INBOX", b"ALREADYEXISTS"),
        (b"DELETE Nowhere", b"NONEXISTENT"),
        (b"STATUS Nowhere (MESSAGES)", b"NONEXISTENT"),
        (b"RENAME Nowhere x", b"NONEXISTENT"),
    ],
)
def test_refusals_carry_a_code(tmp_path: Path, command: bytes, code: bytes) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert client.log_on().ask(command)[-1].startswith(b"x NO [" + code + b"] ")


def test_namespace(tmp_path: Path) -> None:
    with serving(tmp_path) as imap, imap.raw() as client:
        assert client.log_on().ask(b"NAMESPACE")[0] == b'* NAMESPACE (("" "/")) NIL NIL\r\n'
