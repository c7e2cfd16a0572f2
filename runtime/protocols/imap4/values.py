"""Values that commands carry: sets of messages, mailbox names, flags, dates, sections and secrets.

Each is frozen and can be made only from input that follows the grammar. They know nothing of a mailbox's content; a
set is resolved against the numbers that a session gives. Called by the argument parsers and by services.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from runtime.protocols.imap4 import utf7
from runtime.protocols.imap4.grammar import (
    DATE,
    DATE_TIME,
    FLAG,
    MAX_NUMBER,
    MONTHS,
    SEQUENCE_SET,
    GrammarError,
)

#: The system flags a client may set (RFC 3501 section 2.3.2), by their lower-case name.
SYSTEM_FLAGS = {flag.lower(): flag for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}
_KNOWN_KEYWORDS = {"$mdnsent": "$MDNSent"}


class Secret:
    """Octets that must not be shown: a password, or a SASL response that holds one."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def reveal(self) -> bytes:
        """The octets themselves: for checking, never for a log."""
        return self._octets

    def __repr__(self) -> str:
        return "Secret(*****)"


@dataclass(frozen=True, slots=True)
class MailboxName:
    """A mailbox name as Unicode text; INBOX in upper case, also as the first level of a longer name."""

    text: str

    @classmethod
    def parse(cls, encoded: bytes) -> MailboxName:
        """From modified UTF-7. Raises `GrammarError`."""
        return cls(canonical_inbox(utf7.decode(encoded)))

    @property
    def encoded(self) -> bytes:
        """Modified UTF-7, not yet quoted."""
        return utf7.encode(self.text)


def canonical_inbox(name: str) -> str:
    """INBOX is the same in any case (RFC 3501 section 5.1)."""
    first, slash, rest = name.partition("/")
    return f"INBOX{slash}{rest}" if first.upper() == "INBOX" else name


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Message numbers or UIDs: ranges with both ends included, lower end first; 0 stands for "*"."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: bytes) -> SequenceSet:
        """Raises `GrammarError`, also for numbers beyond 32 bits."""
        if not SEQUENCE_SET.fullmatch(text):
            raise GrammarError("expected a sequence set")
        return cls(tuple(_range(item) for item in text.split(b",")))

    def bounds(self, largest: int) -> list[tuple[int, int]]:
        """The ranges in ascending order, merged, with "*" as `largest`."""
        merged: list[tuple[int, int]] = []
        ends = (sorted((low or largest, high or largest)) for low, high in self.ranges)
        for low, high in sorted((low, high) for low, high in ends):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return merged

    def numbers(self, count: int) -> Iterator[int]:
        """Message numbers, ascending, each once; none in an empty mailbox. Raises `GrammarError` for one beyond
        `count` (RFC 3501 section 9, seq-number)."""
        if count == 0:
            return iter(())
        bounds = self.bounds(count)
        if bounds[0][0] < 1 or bounds[-1][1] > count:
            raise GrammarError("message number is beyond the mailbox")
        return (number for low, high in bounds for number in range(low, high + 1))

    def indexes(self, uids: Sequence[int]) -> Iterator[int]:
        """Positions in the ascending `uids` of the UIDs in this set; absent UIDs are left out (RFC 3501 section
        6.4.8)."""
        bounds = self.bounds(uids[-1] if uids else 0)
        return (
            index for low, high in bounds for index in range(bisect_left(uids, low), bisect_right(uids, high))
        )


def _range(item: bytes) -> tuple[int, int]:
    low, _, high = item.partition(b":")
    first = _number_or_star(low)
    last = _number_or_star(high) if high else first
    return (first, last) if last == 0 or (first and first <= last) else (last, first)


def _number_or_star(text: bytes) -> int:
    if text == b"*":
        return 0
    number = int(text)
    if number > MAX_NUMBER:
        raise GrammarError("number does not fit into 32 bits")
    return number


def parse_flag(text: bytes) -> str:
    """A flag that a client may set, in its usual spelling. Raises `GrammarError`, also for \\Recent."""
    if not FLAG.fullmatch(text):
        raise GrammarError("expected a flag")
    flag = text.decode("ascii")
    if flag.startswith("\\"):
        if flag.lower() not in SYSTEM_FLAGS:
            raise GrammarError("this system flag cannot be set")
        return SYSTEM_FLAGS[flag.lower()]
    return _KNOWN_KEYWORDS.get(flag.lower(), flag)


def parse_date(text: bytes) -> date:
    """`date` of SEARCH, "1-Feb-1994". Raises `GrammarError`."""
    match = DATE.fullmatch(text)
    if not match:
        raise GrammarError("expected a date such as 1-Feb-1994")
    try:
        return date(int(match[3]), _month(match[2]), int(match[1]))
    except ValueError as error:
        raise GrammarError("no such date") from error


def parse_date_time(text: bytes) -> datetime:
    """`date-time` of APPEND, "17-Jul-1996 02:44:25 -0700"; timezone-aware. Raises `GrammarError`."""
    match = DATE_TIME.fullmatch(text)
    if not match:
        raise GrammarError('expected a date-time such as "17-Jul-1996 02:44:25 -0700"')
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    try:
        zone = timezone(-offset if sign == b"-" else offset)
        clock = (int(hour), int(minute), min(int(second), 59))
        return datetime(int(year), _month(month), int(day), *clock, tzinfo=zone)
    except ValueError as error:
        raise GrammarError("no such date-time") from error


def _month(name: bytes) -> int:
    if name.upper() not in MONTHS:
        raise GrammarError("expected the name of a month")
    return MONTHS.index(name.upper()) + 1


@dataclass(frozen=True, slots=True)
class Section:
    """BODY[…] of one message. `path` is the part's numbers; `text` one of "", HEADER, HEADER.FIELDS,
    HEADER.FIELDS.NOT, TEXT, MIME; `partial` is (first octet, at most so many)."""

    path: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[bytes, ...] = ()
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class FetchItem:
    """One data item of FETCH. `label` is how the reply names it; `section` is set for BODY[…] and RFC822…;
    `sets_seen` says that fetching it marks the message \\Seen."""

    name: str
    label: bytes
    section: Section | None = None
    sets_seen: bool = False
