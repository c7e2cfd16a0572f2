"""SEARCH: a key → the UIDs that match, among those that the session knows.

Each key narrows a list of candidates, the cheap keys first, so that contents are read only of messages that all
else matches. The functions are generators that yield when their slice of time is over and return what they found:
the caller lets others work in between. Keys nest no deeper than the parser allows, so this may recurse. Called by
`messages`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import date
from email.utils import parsedate_tz
from typing import Any, TypeAlias

from runtime.protocols.imap4.search_keys import (
    AllKey,
    AndKey,
    DateKey,
    FlagKey,
    HeaderKey,
    NotKey,
    OrKey,
    RecentKey,
    SearchKey,
    SetKey,
    SizeKey,
    TextKey,
)
from runtime.services.imap4_backend import body_text, envelope
from runtime.services.imap4_backend.sections import header_end
from runtime.services.imap4_backend.selected import Selected
from runtime.store.interface import Summary

#: Seconds that a search works before others may.
SLICE = 0.01
_BATCH = 256
#: Octets of summaries that are read at once.
_SUMMARIES = 1024 * 1024
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789 .-_@")

Uids: TypeAlias = list[int]
Search: TypeAlias = Generator[None, None, Uids]


class _Clock:
    """Says when a slice of time is over, and begins the next one."""

    def __init__(self) -> None:
        self._end = time.monotonic() + SLICE

    def is_over(self) -> bool:
        if time.monotonic() < self._end:
            return False
        self._end = time.monotonic() + SLICE
        return True


class _Folder:
    """What keys are compared with."""

    def __init__(self, selected: Selected) -> None:
        self.selected = selected
        self.store = selected.folder
        self.clock = _Clock()


def search(selected: Selected, key: SearchKey) -> Search:
    """UIDs, ascending. Raises `GrammarError` for message numbers that do not exist."""
    return (yield from _narrow(_Folder(selected), key, selected.alive()))


def _narrow(folder: _Folder, key: SearchKey, candidates: Uids) -> Search:
    return (yield from _RULES[type(key)](folder, key, candidates))


def _all(_: _Folder, __: AllKey, candidates: Uids) -> Search:
    yield from ()
    return candidates


def _and(folder: _Folder, key: AndKey, candidates: Uids) -> Search:
    for one in sorted(key.keys, key=cost):
        candidates = yield from _narrow(folder, one, candidates)
    return candidates


def _or(folder: _Folder, key: OrKey, candidates: Uids) -> Search:
    first, second = sorted((key.left, key.right), key=cost)
    found = set((yield from _narrow(folder, first, candidates)))
    found.update((yield from _narrow(folder, second, [uid for uid in candidates if uid not in found])))
    return [uid for uid in candidates if uid in found]


def _not(folder: _Folder, key: NotKey, candidates: Uids) -> Search:
    found = set((yield from _narrow(folder, key.key, candidates)))
    return [uid for uid in candidates if uid not in found]


def cost(key: SearchKey) -> int:
    """What comes first in an AND: memory, then summaries, then contents."""
    if isinstance(key, AndKey):
        return max(cost(one) for one in key.keys)
    if isinstance(key, OrKey):
        return max(cost(key.left), cost(key.right))
    if isinstance(key, NotKey):
        return cost(key.key)
    return _COSTS.get(type(key), 0) + (isinstance(key, HeaderKey) and key.name not in envelope.FIELDS)


def _set(folder: _Folder, key: SetKey, candidates: Uids) -> Search:
    yield from ()
    numbers = folder.selected.numbers(key.messages, is_uid=key.is_uid)
    found = set(folder.selected.existing(numbers))
    return [uid for uid in candidates if uid in found]


def _flag(folder: _Folder, key: FlagKey, candidates: Uids) -> Search:
    """Few different sets of flags exist in a folder: each is looked at once."""
    yield from ()
    wanted = key.flag.lower().encode("ascii")
    rendered = folder.store.flags_rendered
    has: dict[bytes, bool] = {}
    found = []
    for uid in candidates:
        flags = rendered(uid)
        if flags not in has:
            has[flags] = (wanted in flags.lower().split()) is key.is_set
        if has[flags]:
            found.append(uid)
    return found


def _recent(folder: _Folder, key: RecentKey, candidates: Uids) -> Search:
    yield from ()
    return [uid for uid in candidates if (uid in folder.selected.recent) is key.is_recent]


# --- by summary -----------------------------------------------------------------------------------------------------


def _by_summary(folder: _Folder, candidates: Uids, test: Callable[[Summary], bool]) -> Search:
    found: Uids = []
    start = 0
    while start < len(candidates):
        batch = candidates[start : start + _BATCH]
        summaries, count = folder.store.first_summaries(batch, budget=_SUMMARIES)
        found += [summary.uid for summary in summaries if test(summary)]
        start += count
        if folder.clock.is_over():
            yield
    return found


def _size(folder: _Folder, key: SizeKey, candidates: Uids) -> Search:
    if key.is_larger:
        return (yield from _by_summary(folder, candidates, lambda summary: summary.size > key.size))
    return (yield from _by_summary(folder, candidates, lambda summary: summary.size < key.size))


def _date(folder: _Folder, key: DateKey, candidates: Uids) -> Search:
    day_of = _sent_day if key.is_sent else _arrival_day
    compare = _COMPARISONS[key.when]

    def test(summary: Summary) -> bool:
        day = day_of(summary)
        return day is not None and compare(day, key.day)

    return (yield from _by_summary(folder, candidates, test))


_COMPARISONS: Mapping[str, Callable[[date, date], bool]] = {
    "before": lambda day, limit: day < limit,
    "on": lambda day, limit: day == limit,
    "since": lambda day, limit: day >= limit,
}


def _arrival_day(summary: Summary) -> date | None:
    return summary.internal_date.date()


def _sent_day(summary: Summary) -> date | None:
    """The day that the Date field says, whatever its zone; None when it says none."""
    value = envelope.parse(summary.envelope)[envelope.DATE]
    parsed = parsedate_tz(value.decode("ascii", "replace")) if isinstance(value, bytes) and value else None
    if parsed is None:
        return None
    try:
        return date(*parsed[:3])
    except ValueError:
        return None


def _header(folder: _Folder, key: HeaderKey, candidates: Uids) -> Search:
    if key.name not in envelope.FIELDS or not key.value:
        return (yield from _by_content(folder, candidates, lambda uid: _header_holds(folder, uid, key)))
    needle = key.value.casefold()
    pieces = [piece.encode("ascii") for piece in needle.split("@")] if set(needle) <= _SAFE else []

    def test(summary: Summary) -> bool:
        """Most messages are ruled out by the bytes of the envelope."""
        rendered = summary.envelope.lower().replace(b"\t", b" ")
        if pieces and b"=?" not in rendered and not all(piece in rendered for piece in pieces):
            return False
        return needle in envelope.field_text(summary.envelope, key.name).casefold()

    return (yield from _by_summary(folder, candidates, test))


# --- by content -----------------------------------------------------------------------------------------------------


def _by_content(folder: _Folder, candidates: Uids, test: Callable[[int], bool]) -> Search:
    found: Uids = []
    for uid in candidates:
        if test(uid):
            found.append(uid)
        if folder.clock.is_over():
            yield
    return found


def _header_holds(folder: _Folder, uid: int, key: HeaderKey) -> bool:
    content = folder.store.content(uid) or b""
    needle = key.value.casefold()
    values = _field_values(content[: header_end(content)], key.name.encode("ascii", "replace"))
    return any(needle in envelope.decode_words(value).casefold() for value in values)


def _field_values(header: bytes, name: bytes) -> Iterable[bytes]:
    """Values of all fields of this name (in upper case), unfolded."""
    unfolded = header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    for line in unfolded.split(b"\r\n"):
        found, colon, value = line.partition(b":")
        if colon and found.strip().upper() == name:
            yield value.strip()


def _text(folder: _Folder, key: TextKey, candidates: Uids) -> Search:
    needle = key.value.casefold()

    def test(uid: int) -> bool:
        content = folder.store.content(uid)
        if content is None:
            return False
        return body_text.holds(content, folder.store.structure(uid), needle, is_body_only=key.is_body_only)

    return (yield from _by_content(folder, candidates, test))


_COSTS: Mapping[type, int] = {SizeKey: 1, DateKey: 1, HeaderKey: 2, TextKey: 4}
_RULES: Mapping[type, Callable[[_Folder, Any, Uids], Search]] = {
    AllKey: _all,
    AndKey: _and,
    OrKey: _or,
    NotKey: _not,
    SetKey: _set,
    FlagKey: _flag,
    RecentKey: _recent,
    SizeKey: _size,
    DateKey: _date,
    HeaderKey: _header,
    TextKey: _text,
}
