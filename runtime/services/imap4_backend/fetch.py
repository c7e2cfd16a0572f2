"""FETCH: messages and data items → response bytes.

Without bodies the answer for many messages at a time is one template filled from columns of values that were
rendered at delivery; with bodies the content goes out as it lies in the store, a message at a time and in slices of
it. Both are generators, so that a slow client holds one message and one piece of an answer, whatever it asked for.
Nothing is written to the store here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TypeAlias

from runtime.net.session import Octets
from runtime.protocols.imap4.values import FetchItem, Section
from runtime.services.imap4_backend.sections import cut
from runtime.services.imap4_backend.selected import Selected
from runtime.store.interface import Summary
from runtime.store.mime import Part

#: Messages rendered at once when no body is asked for.
BATCH = 512
#: Octets of summaries that are rendered at once: who sends a message decides how large one is.
SUMMARIES = 1024 * 1024
#: Small pieces are put together up to this size before they are written.
PIECE = 64 * 1024
#: Octets of a section that are given out at once.
SLICE = 256 * 1024
#: A piece without octets, behind each section that was cut out of a large message: that took time, whatever came of
#: it, and whoever writes may look at the clock.
BREATH = b""
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


def respond(request: Request) -> Iterator[Octets]:
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
    start = 0
    while start < len(request.uids):
        found, count = selected.folder.first_summaries(request.uids[start : start + BATCH], budget=SUMMARIES)
        numbers = request.numbers[start : start + count]
        is_whole = len(found) == count
        known = numbers if is_whole else selected.numbered([summary.uid for summary in found])
        columns = [_COLUMNS[item.name](selected, found) for item in request.items]
        yield b"".join(map(template.__mod__, zip(known, *columns, strict=True)))
        start += count


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


def _with_bodies(request: Request) -> Iterator[Octets]:
    """All that is read of a message is read before its first piece is given out: an error cannot cut a response in
    two."""
    wanted = _Wanted.of(request.items)
    for number, uid in zip(request.numbers, request.uids, strict=True):
        message = _read(request.selected, number, uid, wanted)
        if message is not None:
            yield from _message(request, message)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What has to be read of a message beside its content."""

    summary: bool
    structure: bool

    @classmethod
    def of(cls, items: Iterable[FetchItem]) -> _Wanted:
        return cls(
            summary=any(item.name in _NEEDS_SUMMARY for item in items),
            structure=any(item.section and item.section.path for item in items),
        )


@dataclass(frozen=True, slots=True)
class _Message:
    number: int
    uid: int
    content: bytes
    summary: Summary | None
    structure: Part | None


def _read(selected: Selected, number: int, uid: int, wanted: _Wanted) -> _Message | None:
    """None when somebody has removed the message meanwhile."""
    folder = selected.folder
    content = folder.content(uid)
    found = folder.summaries([uid]) if wanted.summary else [None]
    if content is None or not found:
        return None
    return _Message(number, uid, content, found[0], folder.structure(uid) if wanted.structure else None)


def _message(request: Request, message: _Message) -> Iterator[Octets]:
    """One response, a piece at a time: however many sections it has, no more than one piece is waiting."""
    items = request.items
    if message.uid in request.changed and _FLAGS not in items:
        items = (*items, _FLAGS)
    before = b"* %d FETCH (" % message.number
    for item in items:
        yield before
        if item.section is not None:
            yield from _section(item.section, item.label, message)
        else:
            form = _FORMS.get(item.name, item.label + b" %b")
            yield form % _value(request.selected, item.name, message)
        before = b" "
    yield b")\r\n"


def _value(selected: Selected, name: str, message: _Message) -> bytes | int:
    if name == "FLAGS":
        return selected.flags_rendered(message.uid)
    if name == "UID" or message.summary is None:
        return message.uid
    (value,) = _COLUMNS[name](selected, [message.summary])
    return value


def _section(section: Section, label: bytes, message: _Message) -> Iterator[Octets]:
    found = cut(message.content, section, message.structure)
    if found is None:
        yield label + b" NIL"
    else:
        yield b"%b {%d}\r\n" % (label, len(found))
        yield from (found[start : start + SLICE] for start in range(0, len(found), SLICE))
    if len(message.content) >= PIECE:
        yield BREATH


def _together(pieces: Iterable[Octets]) -> Iterator[Octets]:
    """Small pieces joined; a large one is passed on uncopied, and so is a BREATH."""
    waiting: list[Octets] = []
    size = 0
    for piece in pieces:
        if piece and len(piece) < PIECE:
            waiting.append(piece)
            size += len(piece)
            if size < PIECE:
                continue
        if waiting:
            yield b"".join(waiting)
            waiting, size = [], 0
        if not piece or len(piece) >= PIECE:
            yield piece
    if waiting:
        yield b"".join(waiting)
