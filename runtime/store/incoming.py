"""A message on its way into the database: described, and where it is large, put into a blob first.

Small messages are described on the event loop (less than a thread change costs); larger ones in a worker thread, which
hands the operation to the writer itself, so that a caller that goes away leaves nothing half done.
"""

from __future__ import annotations

import mmap
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runtime.store.blobs import BlobDirectory
from runtime.store.message_writer import ROW_LIMIT
from runtime.store.mime import Octets, parse_message, render_bodies, render_envelope
from runtime.store.operations import Delivery, NewMessage

#: Octets up to which a message is described on the event loop.
INLINE_LIMIT = 16 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(2, 1, 1, tzinfo=UTC)
_LAST = datetime(9998, 12, 31, tzinfo=UTC)


def describe(data: Octets, *, content: bytes | None, blob: str | None) -> NewMessage:
    """What is computed once, at delivery."""
    part = parse_message(data)
    body, body_structure = render_bodies(part, data)
    return NewMessage(content, blob, len(data), render_envelope(data, part), body, body_structure)


def take_in(message: bytes | Path, blobs: BlobDirectory) -> NewMessage:
    """Describe a message and store a large one durably. Blocks. Raises OSError and leaves no file behind then."""
    if isinstance(message, Path):
        return _take_in_file(message, blobs)
    if len(message) <= ROW_LIMIT:
        return describe(message, content=message, blob=None)
    return describe(message, content=None, blob=blobs.write(message))


def _take_in_file(path: Path, blobs: BlobDirectory) -> NewMessage:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return describe(data, content=None, blob=blobs.adopt(path))
    except OSError:
        path.unlink(missing_ok=True)
        raise


def delivery(flags: str, internal_date: datetime | None, origin: object | None) -> Delivery:
    """`flags` is canonical. A date without a zone is taken as UTC; none means now."""
    when = internal_date if internal_date is not None else datetime.now(UTC)
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    zone = (when.utcoffset() or timedelta()) // timedelta(minutes=1)
    since = min(max(when, _FIRST), _LAST) - _EPOCH
    return Delivery(flags, since // timedelta(seconds=1), zone, origin)
