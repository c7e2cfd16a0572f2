"""The records of the queue's journal: how a queued message, and what became of it, are written and read
again.

A record is a fixed head (kind, message id, length, CRC-32 of all that counts) and a payload. What does not
have the right CRC is not a record: the torn end of a crash, or damage, behind which reading goes on at the
next record. Pure: bytes and values, no files. The journal calls it.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from runtime.transport.envelope import Envelope, EnvelopeError, Origin

#: kind, message id, payload length, CRC-32 of the three and the payload.
_HEAD = struct.Struct("<BQII")
_CHECKED = struct.Struct("<BQI")
_LENGTH = struct.Struct("<I")


class RecordKind(IntEnum):
    """MESSAGE brings a message in, or replaces it when some recipients are done with; DONE ends it; VOID says that it
    was never taken, whatever of it is on disk."""

    MESSAGE = 1
    DONE = 2
    VOID = 3


#: What the head of a record and the beginning of its payload look like, for the search behind a damaged one: ids have
#: two octets of zero on top, a MESSAGE's payload begins with a length and JSON, the others have none.
_LOOKS_LIKE_RECORD = re.compile(
    rb"(?=\x01.{6}\0\0.{4}.{4}.{4}\{\"|[\x02\x03].{6}\0\0\0\0\0\0.{4})", re.DOTALL
)


class RecordError(ValueError):
    """The record is whole but does not say what a record of its kind says."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record and where it lies in its segment (octets)."""

    kind: RecordKind
    message_id: int
    payload: bytes
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """The payload of MESSAGE. `content` is None when the content lies in a spool file of this queue; `marker` names the
    message for ever: no other message of any queue has it."""

    envelope: Envelope
    marker: str
    size: int
    content: bytes | None


def encode_record(kind: RecordKind, message_id: int, payload: bytes) -> bytes:
    """The octets of a record."""
    crc = zlib.crc32(payload, zlib.crc32(_CHECKED.pack(kind, message_id, len(payload))))
    return _HEAD.pack(kind, message_id, len(payload), crc) + payload


@dataclass(frozen=True, slots=True)
class Damage:
    """Octets of a segment that are no record although they are no torn end either."""

    offset: int
    size: int


def read_records(data: bytes) -> Iterator[Record]:
    """All records that can be read."""
    return (found for found in scan(data) if isinstance(found, Record))


def scan(data: bytes) -> Iterator[Record | Damage]:
    """All records and the damage between them, up to the end or to a torn end."""
    offset = 0
    while offset < len(data):
        found = _read_at(data, offset) or _damage_at(data, offset)
        if found is None:
            return
        yield found
        offset += found.size


def _damage_at(data: bytes, offset: int) -> Damage | None:
    """What is lost from `offset` on; None when it is the torn end of a crash. The next record is where the head says;
    only when none is there is it searched, since what a client wrote may look like a record."""
    stated = _stated_end(data, offset)
    if stated < len(data) and _read_at(data, stated) is not None:
        return Damage(offset, stated - offset)
    for match in _LOOKS_LIKE_RECORD.finditer(data, offset + 1):
        if _read_at(data, match.start()) is not None:
            return Damage(offset, match.start() - offset)
    return Damage(offset, len(data) - offset) if stated <= len(data) else None


def _stated_end(data: bytes, offset: int) -> int:
    if offset + _HEAD.size > len(data):
        return offset + _HEAD.size
    return offset + _HEAD.size + int(_HEAD.unpack_from(data, offset)[2])


def _read_at(data: bytes, offset: int) -> Record | None:
    start = offset + _HEAD.size
    if start > len(data):
        return None
    kind, message_id, length, crc = _HEAD.unpack_from(data, offset)
    payload = data[start : start + length]
    expected = zlib.crc32(payload, zlib.crc32(_CHECKED.pack(kind, message_id, length)))
    if len(payload) != length or crc != expected or kind not in set(RecordKind):
        return None
    return Record(RecordKind(kind), message_id, payload, offset, _HEAD.size + length)


def encode_message(message: StoredMessage) -> bytes:
    """The payload of MESSAGE."""
    fields = {**message.envelope.fields(), "marker": message.marker, "size": message.size}
    fields["is_spooled"] = message.content is None
    head = json.dumps(fields, separators=(",", ":")).encode()
    return _LENGTH.pack(len(head)) + head + (message.content or b"")


def decode_message(payload: bytes) -> StoredMessage:
    """Raises RecordError."""
    try:
        (length,) = _LENGTH.unpack_from(payload)
        fields = json.loads(payload[_LENGTH.size : _LENGTH.size + length])
        content = None if fields["is_spooled"] else payload[_LENGTH.size + length :]
        return StoredMessage(_envelope(fields), str(fields["marker"]), int(fields["size"]), content)
    except (struct.error, ValueError, KeyError, TypeError, EnvelopeError) as error:
        raise RecordError(f"a queued message cannot be read: {error!r}") from error


def _envelope(fields: dict[str, object]) -> Envelope:
    recipients, accepted = fields["recipients"], fields["accepted"]
    if not isinstance(recipients, list) or not isinstance(accepted, float | int):
        raise RecordError("an envelope has not the fields of an envelope")
    origin = Origin.from_fields(fields["origin"])
    # A queue that was written before submissions had ids holds records without them.
    submission = str(fields.get("submission", ""))
    return Envelope(
        str(fields["sender"]), tuple(str(one) for one in recipients), origin, float(accepted), submission
    )
