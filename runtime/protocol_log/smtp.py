"""The SMTP protocol log: one line an event, as Exchange's RECV and SEND logs have it.

Files are `RECVyyyymmdd-nnnn.log` (UTC date, nnnn from 1 a day) and roll over by size; old files go by age and
by the size of the directory, oldest first. Called by the SMTP services; SASL data is passed as `HIDDEN`,
never as text.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from runtime.protocol_log.fields import HIDDEN, Hidden, Loggable, csv_field, moment
from runtime.protocol_log.files import RollingFile

__all__ = ["HIDDEN", "Hidden", "Loggable", "SmtpLog", "SmtpSessionLog"]

COLUMNS = (
    "date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context"
)
Direction = Literal["RECV", "SEND"]
_LOG_TYPES = {"RECV": "SMTP Receive Protocol Log", "SEND": "SMTP Send Protocol Log"}

#: Exchange's defaults: 10 MB a file, 250 MB a directory, 30 days.
MAX_FILE_SIZE = 10 * 1024 * 1024
MAX_DIRECTORY_SIZE = 250 * 1024 * 1024
MAX_AGE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Naming:
    direction: Direction
    max_file_size: int

    def name(self, now: datetime, number: int) -> str:
        return f"{self.direction}{now:%Y%m%d}-{number:04d}.log"

    def is_full(self, size: int) -> bool:
        return size >= self.max_file_size


class SmtpLog:
    """One log a service and direction; all connectors are mixed in it. `max_age` of zero keeps files of any age."""

    def __init__(
        self,
        directory: Path,
        direction: Direction = "RECV",
        *,
        max_file_size: int = MAX_FILE_SIZE,
        max_directory_size: int = MAX_DIRECTORY_SIZE,
        max_age: timedelta = MAX_AGE,
    ) -> None:
        self._direction = direction
        self._max_directory_size = max_directory_size
        self._max_age = max_age
        self._file = RollingFile(
            directory,
            Naming(direction, max_file_size),
            header=lambda now: _header(direction, now),
            housekeeping=self._remove_old,
        )

    def session(self, connector_id: str, session_id: str, *, local: str, remote: str) -> SmtpSessionLog:
        """`connector_id` is "SERVER\\Name"; `local` and `remote` are "ip:port"."""
        return SmtpSessionLog(self._file, connector_id, session_id, local=local, remote=remote)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _remove_old(self, directory: Path) -> None:
        """Oldest first, until age and total size are within their limits; the newest file always stays."""
        found = sorted((path.stat().st_mtime, path) for path in directory.glob(f"{self._direction}*.log"))
        total = sum(path.stat().st_size for _, path in found)
        oldest_kept = (datetime.now(UTC) - self._max_age).timestamp() if self._max_age else 0.0
        for changed, path in found[:-1]:
            if changed >= oldest_kept and total <= self._max_directory_size:
                return
            total -= path.stat().st_size
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


class SmtpSessionLog:
    """The events of one session, numbered from 0."""

    __slots__ = ("_file", "_number", "_prefix", "_suffix")

    def __init__(
        self, file: RollingFile, connector_id: str, session_id: str, *, local: str, remote: str
    ) -> None:
        self._file = file
        self._prefix = f"{csv_field(connector_id)},{csv_field(session_id)}"
        self._suffix = f"{local},{remote}"
        self._number = 0

    def connected(self) -> None:
        self._write("+", "", "")

    def disconnected(self, reason: str = "") -> None:
        self._write("-", "", reason)

    def sent(self, reply: Loggable) -> None:
        self._write(">", reply, "")

    def received(self, command: Loggable) -> None:
        self._write("<", command, "")

    def information(self, data: Loggable, context: str = "") -> None:
        self._write("*", data, context)

    def _write(self, event: str, data: Loggable, context: str) -> None:
        number, self._number = self._number, self._number + 1
        fields = (
            moment(),
            self._prefix,
            str(number),
            self._suffix,
            event,
            csv_field(data),
            csv_field(context),
        )
        self._file.append(",".join(fields))


def _header(direction: Direction, now: datetime) -> tuple[str, ...]:
    return (
        "#Software: Microsoft Exchange Server compatible",
        "#Version: 15.02.0000.000",
        f"#Log-type: {_LOG_TYPES[direction]}",
        f"#Date: {moment(now)}",
        f"#Fields: {COLUMNS}",
    )
