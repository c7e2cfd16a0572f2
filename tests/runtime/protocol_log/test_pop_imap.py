"""The POP3 and IMAP4 protocol log."""

from __future__ import annotations

import asyncio
import csv
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runtime.protocol_log import files
from runtime.protocol_log.pop_imap import COLUMNS, HIDDEN, Loggable, Naming, Outcome, PopImapLog
from schemas.v1.pop_settings import PopSettings
from tests.runtime.aio import eventually, run

MOMENT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def _write(
    directory: Path, *parameters: Loggable, command: str = "USER", outcome: Outcome | None = None
) -> None:
    async def scenario() -> None:
        log = PopImapLog(directory, Naming("POP3", "Hourly", 0))
        session = log.session("0123456789abcdef", server="127.0.0.1:995", client="192.0.2.7:4000")
        session.user = "alice"
        session.write(command, parameters, outcome or Outcome())
        log.close()

    run(scenario())


def _text(directory: Path) -> str:
    (path,) = directory.iterdir()
    return path.read_bytes().decode()


def _row(directory: Path) -> dict[str, str]:
    lines = [line for line in _text(directory).splitlines() if not line.startswith("#")]
    return dict(zip(COLUMNS.split(","), next(csv.reader(lines)), strict=True))


def test_the_header_names_the_columns(tmp_path: Path) -> None:
    _write(tmp_path)
    assert f"#Fields: {COLUMNS}\r\n" in _text(tmp_path)


def test_a_line_has_the_twelve_columns(tmp_path: Path) -> None:
    _write(tmp_path, "alice", outcome=Outcome(reply="+OK", request_size=12, reply_size=5))
    row = _row(tmp_path)
    assert row.pop("dateTime").endswith("Z")
    assert row == {
        "sessionId": "0123456789abcdef",
        "seqNumber": "0",
        "sIp": "127.0.0.1:995",
        "cIp": "192.0.2.7:4000",
        "user": "alice",
        "duration": "0",
        "rqsize": "12",
        "rpsize": "5",
        "command": "USER",
        "parameters": "alice",
        "context": 'R="+OK"',
    }


def test_the_context_doubles_quotes_and_names_the_error(tmp_path: Path) -> None:
    _write(tmp_path, outcome=Outcome(reply="-ERR", message="User: alice", error="UserConnectionLimitReached"))
    assert ',"R=""-ERR"";Msg=""User: alice"";ErrMsg=UserConnectionLimitReached"\r\n' in _text(tmp_path)


def test_a_secret_is_starred(tmp_path: Path) -> None:
    _write(tmp_path, "PLAIN", HIDDEN, command="AUTH")
    assert _row(tmp_path)["parameters"] == "PLAIN *****"


def test_control_characters_cannot_make_a_line(tmp_path: Path) -> None:
    _write(tmp_path, "alice\r\n#Fields: x\x1b[2J\x9b\u2028")
    assert _row(tmp_path)["parameters"] == "alice\\x0d\\x0a#Fields: x\\x1b[2J\\x9b\\u2028"


def test_commas_and_quotes_stay_in_their_column(tmp_path: Path) -> None:
    _write(tmp_path, 'a,"b"')
    assert _row(tmp_path)["parameters"] == 'a,"b"'


def test_a_value_has_a_length_limit(tmp_path: Path) -> None:
    _write(tmp_path, "x" * 100_000)
    assert len(_text(tmp_path)) < 4000


@pytest.mark.parametrize(
    ("period", "quota", "name"),
    [
        ("Hourly", 0, "POP32026112108-1.log"),
        ("Daily", 0, "POP320261121-1.log"),
        ("Weekly", 0, "POP32026-W47-1.log"),
        ("Monthly", 0, "POP3202611-1.log"),
        ("Hourly", 4096, "POP320261121-3.log"),
        ("Hourly", "Unlimited", "POP3.log"),
    ],
)
def test_file_names(period: str, quota: Any, name: str) -> None:
    assert Naming("POP3", period, quota).name(MOMENT, 3) == name


def test_a_size_quota_makes_numbered_files(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = PopImapLog(tmp_path, Naming("IMAP4", "Hourly", 400))
        session = log.session("0" * 16, server="s", client="c")
        for _ in range(3):
            session.write("NOOP", ("x" * 300,))
            log.flush()
        log.close()

    run(scenario())
    assert sorted(path.name[-6:] for path in tmp_path.iterdir()) == ["-1.log", "-2.log", "-3.log"]


def test_two_generations_append_to_one_file(tmp_path: Path) -> None:
    _write(tmp_path)
    _write(tmp_path)
    lines = _text(tmp_path).splitlines()
    assert sum(line.startswith("#Fields") for line in lines) == 1
    assert sum(not line.startswith("#") for line in lines) == 2


def test_lines_are_flushed_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FLUSH_AFTER", 0.01)

    async def scenario() -> None:
        log = PopImapLog(tmp_path, Naming("POP3", "Hourly", 0))
        log.session("0" * 16, server="s", client="c").write("NOOP")
        await eventually(lambda: list(tmp_path.iterdir()))
        log.close()

    run(scenario())


def test_a_log_that_cannot_be_written_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")

    async def scenario() -> None:
        log = PopImapLog(blocked / "logs", Naming("POP3", "Hourly", 0))
        session = log.session("0" * 16, server="s", client="c")
        for _ in range(3):
            session.write("NOOP")
            log.flush()
        await asyncio.sleep(0)
        log.close()

    with caplog.at_level(logging.ERROR, "runtime.protocol_log"):
        run(scenario())
    assert len(caplog.records) == 1
    assert "mail goes on" in caplog.text


def test_settings_switch_the_log_on(tmp_path: Path) -> None:
    off, on = PopSettings(), PopSettings(protocol_log_enabled=True)
    assert PopImapLog.from_settings(off, prefix="POP3", default_directory=tmp_path) is None
    assert PopImapLog.from_settings(on, prefix="POP3", default_directory=tmp_path) is not None
