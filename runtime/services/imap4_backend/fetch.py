"""FETCH: messages and data items → response bytes.

Without bodies the answer for some hundred messages at a time is one template filled from columns of values that
were rendered at delivery; with bodies the content goes out as it lies in the store, a message at a time. Both are
generators, so that a slow client holds one piece and not a mailbox. Nothing is written to the store here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TypeAlias

from runtime.protocols.imap4.values import FetchItem, Section
from runtime.services.imap4_backend.sections import cut
from runtime.services.imap4_backend.selected import Selected
from runtime.store.interface import Summary

#: Messages rendered at once when no body is asked for.
BATCH = 512
#: Small pieces are put together up to this size before they are written.
PIECE = 64 * 1024
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_FLAGS = FetchItem("FLAGS", b"FLAGS")

_Column: TypeAlias = Iterable[bytes | int]


@dataclass(frozen=True, slots=True)
class Request:
    """What to answer for which messages. `uids` exist, `numbers` are theirs; `changed` are those whose \\Seen this very
    FETCH has set, whose flags are told too."""

    selected: Selected
    items: tuple[FetchItem, ...]
    uids: Sequence[int]
    numbers: Sequence[int]
    changed: Collection[int] = ()


def respond(request: Request) -> Iterator[bytes]:
    """The untagged FETCH responses, in pieces of a size fit for writing."""
    if any(item.section for item in request.items):
        return _together(_with_bodies(request))
    return _from_columns(request)


# --- without bodies -------------------------------------------------------------------------------------------------


def internal_date(moment: datetime) -> bytes:
    """date-time, "17-Jul-1996 02:44:25 -0700" with the quotes."""
    offset = moment.utcoffset()
    minutes = round(offset.total_seconds() / 60) if offset else 0
    sign = b"-" if minutes < 0 else b"+"
    zone = divmod(abs(minutes), 60)
    clock = (moment.hour, moment.minute, moment.second)
    date = (moment.day, _MONTHS[moment.month - 1], moment.year)
    return b'"%2d-%b-%04d %02d:%02d:%02d %b%02d%02d"' % (*date, *clock, sign, *zone)


_FORMS: Mapping[str, bytes] = {
    "FLAGS": b"FLAGS (%b)",
    "UID": b"UID %d",
    "RFC822.SIZE": b"RFC822.SIZE %d",
}
_NEEDS_SUMMARY = frozenset(("RFC822.SIZE", "INTERNALDATE", "ENVELOPE", "BODY", "BODYSTRUCTURE"))


def _flags(selected: Selected, found: list[Summary]) -> _Column:
    render = selected.flags_rendered if selected.recent else selected.folder.flags_rendered
    return [render(summary.uid) for summary in found]


_COLUMNS: Mapping[str, Callable[[Selected, list[Summary]], _Column]] = {
    "FLAGS": _flags,
    "UID": lambda _, found: map(attrgetter("uid"), found),
    "RFC822.SIZE": lambda _, found: map(attrgetter("size"), found),
    "INTERNALDATE": lambda _, found: (internal_date(summary.internal_date) for summary in found),
    "ENVELOPE": lambda _, found: map(attrgetter("envelope"), found),
    "BODY": lambda _, found: map(attrgetter("body"), found),
    "BODYSTRUCTURE": lambda _, found: map(attrgetter("body_structure"), found),
}


def _template(items: Iterable[FetchItem]) -> bytes:
    forms = (_FORMS.get(item.name, item.label + b" %b") for item in items)
    return b"* %d FETCH (" + b" ".join(forms) + b")\r\n"


def _from_columns(request: Request) -> Iterator[bytes]:
    if not any(item.name in _NEEDS_SUMMARY for item in request.items):
        yield from _flags_only(request)
        return
    selected, template = request.selected, _template(request.items)
    for uids, numbers in _batches(request):
        found = selected.folder.summaries(uids)
        is_whole = len(found) == len(uids)
        known = numbers if is_whole else selected.numbered([summary.uid for summary in found])
        columns = [_COLUMNS[item.name](selected, found) for item in request.items]
        yield b"".join(map(template.__mod__, zip(known, *columns, strict=True)))


def _flags_only(request: Request) -> Iterator[bytes]:
    """FLAGS and UID come from memory."""
    selected, template = request.selected, _template(request.items)
    for uids, numbers in _batches(request):
        columns: list[_Column] = [
            uids if item.name == "UID" else [selected.flags_rendered(uid) for uid in uids]
            for item in request.items
        ]
        yield b"".join(map(template.__mod__, zip(numbers, *columns, strict=True)))


def _batches(request: Request) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    return (
        (request.uids[start : start + BATCH], request.numbers[start : start + BATCH])
        for start in range(0, len(request.uids), BATCH)
    )


# --- with bodies ----------------------------------------------------------------------------------------------------


def _with_bodies(request: Request) -> Iterator[bytes]:
    """All pieces of one message are made before the first is given out: an error cannot cut a response in two."""
    folder = request.selected.folder
    needs_summary = any(item.name in _NEEDS_SUMMARY for item in request.items)
    for number, uid in zip(request.numbers, request.uids, strict=True):
        content = folder.content(uid)
        found = folder.summaries([uid]) if needs_summary else [None]
        if content is not None and found:
            yield from _message(request, _Message(number, uid, content, found[0]))


@dataclass(frozen=True, slots=True)
class _Message:
    number: int
    uid: int
    content: bytes
    summary: Summary | None


def _message(request: Request, message: _Message) -> list[bytes]:
    items = request.items
    if message.uid in request.changed and _FLAGS not in items:
        items = (*items, _FLAGS)
    pieces = [b"* %d FETCH (" % message.number]
    for item in items:
        if item.section is not None:
            pieces += _section(request, item.section, item.label, message)
        else:
            pieces.append(
                _FORMS.get(item.name, item.label + b" %b") % _value(request.selected, item.name, message)
            )
        pieces.append(b" ")
    pieces[-1] = b")\r\n"
    return pieces


def _value(selected: Selected, name: str, message: _Message) -> bytes | int:
    if name == "FLAGS":
        return selected.flags_rendered(message.uid)
    if name == "UID" or message.summary is None:
        return message.uid
    (value,) = _COLUMNS[name](selected, [message.summary])
    return value


def _section(request: Request, section: Section, label: bytes, message: _Message) -> tuple[bytes, ...]:
    found = cut(message.content, section, lambda: request.selected.folder.structure(message.uid))
    if found is None:
        return (label + b" NIL",)
    return (b"%b {%d}\r\n" % (label, len(found)), found)


def _together(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces joined; a large one is passed on uncopied."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        if len(piece) >= PIECE:
            if waiting:
                yield b"".join(waiting)
            waiting, size = [], 0
            yield piece
            continue
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
