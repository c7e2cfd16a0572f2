"""The SMTP protocol log."""

from __future__ import annotations

import csv
import os
from datetime import timedelta
from pathlib import Path

from runtime.protocol_log.smtp import COLUMNS, HIDDEN, SmtpLog
from tests.runtime.aio import run


def _session(directory: Path) -> str:
    async def scenario() -> None:
        log = SmtpLog(directory)
        session = log.session("ex01\\Clients", "08DE", local="127.0.0.1:587", remote="192.0.2.7:4000")
        session.connected()
        session.sent("220 ready")
        session.received("AUTH LOGIN")
        session.received(HIDDEN)
        session.information("lookup, slow", "context")
        session.disconnected("Remote")
        log.close()

    run(scenario())
    (path,) = directory.iterdir()
    return path.read_text()


def test_header_and_name(tmp_path: Path) -> None:
    text = _session(tmp_path)
    assert "#Log-type: SMTP Receive Protocol Log\n" in text
    assert f"#Fields: {COLUMNS}\n" in text
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("RECV")
    assert path.name.endswith("-0001.log")


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    _session(tmp_path / "logs")
    (path,) = (tmp_path / "logs").iterdir()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_events_are_numbered_from_zero(tmp_path: Path) -> None:
    rows = list(csv.reader(line for line in _session(tmp_path).splitlines() if not line.startswith("#")))
    assert [(row[3], row[6], row[7], row[8]) for row in rows] == [
        ("0", "+", "", ""),
        ("1", ">", "220 ready", ""),
        ("2", "<", "AUTH LOGIN", ""),
        ("3", "<", "*****", ""),
        ("4", "*", "lookup, slow", "context"),
        ("5", "-", "", "Remote"),
    ]
    assert {row[1] for row in rows} == {"ex01\\Clients"}


def test_full_files_are_followed_by_the_next_number(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = SmtpLog(tmp_path, max_file_size=10)
        session = log.session("c", "s", local="l", remote="r")
        for _ in range(2):
            session.connected()
            log.flush()
        log.close()

    run(scenario())
    assert sorted(path.name[-8:] for path in tmp_path.iterdir()) == ["0001.log", "0002.log"]


def _old_file(directory: Path, name: str, age: int, size: int = 1) -> Path:
    path = directory / name
    path.write_bytes(b"x" * size)
    moment = path.stat().st_mtime - age
    os.utime(path, (moment, moment))
    return path


def _append(log: SmtpLog) -> None:
    async def scenario() -> None:
        log.session("c", "s", local="l", remote="r").connected()
        log.close()

    run(scenario())


def test_old_files_go_by_age(tmp_path: Path) -> None:
    old = _old_file(tmp_path, "RECV20200101-0001.log", 40 * 86400)
    young = _old_file(tmp_path, "RECV20200102-0001.log", 86400)
    _append(SmtpLog(tmp_path))
    assert not old.exists()
    assert young.exists()


def test_age_zero_keeps_them(tmp_path: Path) -> None:
    old = _old_file(tmp_path, "RECV20200101-0001.log", 4000 * 86400)
    _append(SmtpLog(tmp_path, max_age=timedelta(0)))
    assert old.exists()


def test_the_oldest_go_when_the_directory_is_full(tmp_path: Path) -> None:
    oldest = _old_file(tmp_path, "RECV20200101-0001.log", 300, 600)
    older = _old_file(tmp_path, "RECV20200101-0002.log", 200, 600)
    _append(SmtpLog(tmp_path, max_directory_size=1000))
    assert not oldest.exists()
    assert older.exists()


def test_other_directions_are_left_alone(tmp_path: Path) -> None:
    other = _old_file(tmp_path, "SEND20200101-0001.log", 4000 * 86400)
    _append(SmtpLog(tmp_path))
    assert other.exists()
