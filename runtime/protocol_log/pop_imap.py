"""The POP3 and IMAP4 protocol log: one line a command, in the twelve columns of Exchange's own lines.

File names and `#` header lines are undocumented in Exchange and chosen here: `<prefix><period>-<number>.log`,
for instance `IMAP42026112108-1.log` with hourly roll-over (prefixes IMAP4, IMAP4BE, POP3, POP3BE; UTC). The
number rises only with a size quota. The log never sees a line of the wire, only typed tokens. Called by the
front ends and back ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from runtime.protocol_log.fields import HIDDEN, Hidden, Loggable, csv_field, joined, moment, quoted, text
from runtime.protocol_log.files import RollingFile
from schemas.v1.imap_settings import ImapSettings
from schemas.v1.pop_settings import PopSettings

__all__ = ["HIDDEN", "Hidden", "Loggable", "Outcome", "PopImapLog", "SessionLog"]

COLUMNS = "dateTime,sessionId,seqNumber,sIp,cIp,user,duration,rqsize,rpsize,command,parameters,context"

_PERIODS = {"Hourly": "%Y%m%d%H", "Daily": "%Y%m%d", "Weekly": "%G-W%V", "Monthly": "%Y%m"}


@dataclass(frozen=True, slots=True)
class Naming:
    """LogFileRollOverSettings and LogPerFileSizeQuota: 0 = by period, a size = by size, Unlimited = one file for
    ever."""

    prefix: str
    period: str
    quota: int | Literal["Unlimited"]

    def name(self, now: datetime, number: int) -> str:
        if self.quota == 0:
            return f"{self.prefix}{now.strftime(_PERIODS[self.period])}-1.log"
        if isinstance(self.quota, str):
            return f"{self.prefix}.log"
        return f"{self.prefix}{now:%Y%m%d}-{number}.log"

    def is_full(self, size: int) -> bool:
        return not isinstance(self.quota, str) and 0 < self.quota <= size


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command. `reply` becomes R="…", `message` Msg="…", `error` (a token such as
    UserConnectionLimitReached) ErrMsg=… in the context column; sizes are bytes on the wire."""

    reply: str = ""
    message: str = ""
    error: str = ""
    request_size: int = 0
    reply_size: int = 0


class PopImapLog:
    """The log of one service generation."""

    def __init__(self, directory: Path, naming: Naming) -> None:
        self._file = RollingFile(directory, naming, header=lambda now: _header(naming.prefix, now))

    @classmethod
    def from_settings(
        cls, settings: ImapSettings | PopSettings, *, prefix: str, default_directory: Path
    ) -> PopImapLog | None:
        """The log as the settings ask for it; None when ProtocolLogEnabled is false."""
        if not settings.protocol_log_enabled:
            return None
        directory = Path(settings.log_file_location) if settings.log_file_location else default_directory
        period = str(settings.log_file_roll_over_settings)
        return cls(directory, Naming(prefix, period, settings.log_per_file_size_quota))

    def session(self, session_id: str, *, server: str, client: str) -> SessionLog:
        """The log of one session; `server` and `client` are "ip:port"."""
        return SessionLog(self._file, session_id, server, client)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class SessionLog:
    """Numbers the lines of one session."""

    __slots__ = ("_client", "_file", "_number", "_server", "_session_id", "_started", "user")

    def __init__(self, file: RollingFile, session_id: str, server: str, client: str) -> None:
        self._file = file
        self._session_id = session_id
        self._server = server
        self._client = client
        self._number = 0
        self._started = 0.0
        #: The mailbox that is logged on; empty before.
        self.user = ""

    def command_begins(self) -> None:
        """The duration of the next line counts from here."""
        self._started = time.monotonic()

    def write(self, command: str, parameters: Sequence[Loggable] = (), outcome: Outcome = Outcome()) -> None:
        """One line: what was asked, and what came of it."""
        duration = round((time.monotonic() - self._started) * 1000) if self._started else 0
        self._started = 0.0
        fields = (
            moment(),
            self._session_id,
            str(self._number),
            self._server,
            self._client,
            csv_field(self.user),
            str(duration),
            str(outcome.request_size),
            str(outcome.reply_size),
            csv_field(command),
            joined(parameters),
            _context(outcome),
        )
        self._number += 1
        self._file.append(",".join(fields))


def _context(outcome: Outcome) -> str:
    parts = [
        f'{name}="{text(value)}"' for name, value in (("R", outcome.reply), ("Msg", outcome.message)) if value
    ]
    if outcome.error:
        parts.append(f"ErrMsg={text(outcome.error)}")
    return quoted(";".join(parts)) if parts else ""


def _header(prefix: str, now: datetime) -> tuple[str, ...]:
    protocol = prefix.removesuffix("BE")
    return (
        "#Software: Microsoft Exchange Server compatible",
        f"#Log-type: {protocol} Log",
        f"#Date: {moment(now)}",
        f"#Fields: {COLUMNS}",
    )
