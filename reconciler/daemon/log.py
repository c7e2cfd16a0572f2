"""The daemon's log: one line an event, as text for people or as JSON for machines.

A line never holds a raw control character, so nobody's name or message can forge another line. A log that cannot be
written (its reader went away, the disk is full) does not end the daemon.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO

from reconciler.daemon.events import event_of
from reconciler.daemon.notices import Notice


def text_log(stream: IO[str]) -> Callable[[Notice], None]:
    """`2026-03-01T12:00:00.000Z warning plan: 1 resource drifted: …`; a traceback follows, indented."""

    def write(notice: Notice) -> None:
        if (event := event_of(notice)) is None:
            return
        line = f"{_now()} {event.level} {event.name}: {_one_line(event.text)}"
        trace = str(event.data.get("traceback", "")).splitlines()
        _write(stream, "\n".join([line, *(f"  {_one_line(part)}" for part in trace)]))

    return write


def ndjson_log(stream: IO[str]) -> Callable[[Notice], None]:
    """One JSON object a line: time, event, level, text, and the event's data."""

    def write(notice: Notice) -> None:
        if (event := event_of(notice)) is None:
            return
        entry = {"time": _now(), "event": event.name, "level": event.level, "text": event.text, **event.data}
        _write(stream, json.dumps(entry, ensure_ascii=False))

    return write


def _write(stream: IO[str], text: str) -> None:
    with suppress(OSError, ValueError):
        stream.write(text + "\n")
        stream.flush()


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
