"""Holds: resources that are left as they are for a while, whatever the files say; kept in the state directory.

A hold ends by itself at its time, or when it is released. It is looked at by everything that plans, and stops nothing
that is under way. Damage to its file is an error: to go on without it would undo what somebody asked for.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from reconciler.expected import ExpectedError
from reconciler.model import Hold

FORMAT = "reconciler/holds/v1"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_RELATIVE = re.compile(r"(?:\d+[smhdw])+", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


class HoldError(ExpectedError):
    """A hold cannot be made, found or read; the text is for the user."""


def all_holds(path: Path) -> tuple[Hold, ...]:
    """Every hold that was made and not released, ended ones too. Raises HoldError."""
    try:
        data = json.loads(path.read_bytes())
        return tuple(Hold(**item) for item in data["holds"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HoldError(
            f"{path} cannot be read ({error!r}), so what is held is not known; repair it, or remove it to hold nothing"
        ) from error


def active(path: Path, *, now: datetime | None = None) -> tuple[Hold, ...]:
    """The holds in force. Raises HoldError."""
    at = now or datetime.now(UTC)
    return tuple(hold for hold in all_holds(path) if datetime.fromisoformat(hold.until) > at)


def add(path: Path, hold: Hold) -> None:
    """Hold from now on, in place of an earlier hold of the same pattern; ended ones are forgotten. Raises HoldError."""
    _change(path, lambda holds: [*(one for one in holds if one.pattern != hold.pattern), hold])


def release(path: Path, pattern: str) -> Hold:
    """End a hold now. Raises HoldError when there is none of this pattern."""
    found = [hold for hold in active(path) if hold.pattern == pattern]
    if not found:
        known = ", ".join(hold.pattern for hold in active(path)) or "nothing"
        raise HoldError(f"{pattern} is not held; held: {known}")
    _change(path, lambda holds: [hold for hold in holds if hold.pattern != pattern])
    return found[0]


def parse_until(text: str, *, now: datetime | None = None) -> datetime:
    """When a hold ends: "2h", "1d12h", "18:00" (the next time it is that on this machine's clock), or a date and time
    in ISO 8601, of this machine's time zone if it names none. Raises HoldError, also for a time that has passed."""
    at = now or datetime.now(UTC)
    until = _until(text.strip(), at)
    if until <= at:
        raise HoldError(f"{text} has passed already; a hold ends in the future")
    return until.astimezone(UTC)


def new_hold(pattern: str, *, until: datetime, reason: str, by: str) -> Hold:
    """A hold that begins now."""
    return Hold(pattern, _text(until), reason, by, _text(datetime.now(UTC)))


def _until(text: str, at: datetime) -> datetime:
    if _RELATIVE.fullmatch(text):
        parts = re.findall(r"(\d+)([smhdw])", text)
        try:
            return at + sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
        except OverflowError as error:
            raise HoldError(f"{text} is longer than anything can be held") from error
    if match := _CLOCK.fullmatch(text):
        local = at.astimezone()
        today = local.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
        return today if today > local else today + timedelta(days=1)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise HoldError(f"{text!r} is no time; write 2h, 1d12h, 18:00 or 2030-01-31T18:00") from error


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _change(path: Path, changed: Callable[[Sequence[Hold]], list[Hold]]) -> None:
    with _locked(path):
        holds = changed(active(path))
        data = {"format": FORMAT, "holds": [asdict(hold) for hold in holds]}
        _replace(path, json.dumps(data, indent=2, ensure_ascii=False).encode() + b"\n")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two people may hold at the same moment."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Atomically."""
    with NamedTemporaryFile(dir=path.parent, prefix=".holds-", delete=False) as stream:
        temporary = Path(stream.name)
        try:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
