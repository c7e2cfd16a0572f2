"""The records of the queue's journal: how a queued message, and what became of it, are written and read
again.

A record is a fixed head (kind, message id, length, CRC-32 of all that counts) and a payload. What does not
have the right CRC is the torn end of a crash and is not a record. Pure: bytes and values, no files. The
journal calls it.
"""

from __future__ import annotations

import json
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
    """MESSAGE brings a message in, or replaces it when some recipients are done with; DONE ends it."""

    MESSAGE = 1
    DONE = 2


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


def read_records(data: bytes) -> Iterator[Record]:
    """All records up to the end or to the first that is torn."""
    offset = 0
    while (record := _read_at(data, offset)) is not None:
        yield record
        offset += record.size


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
    return Envelope(str(fields["sender"]), tuple(str(one) for one in recipients), origin, float(accepted))
