"""The durable submission queue: a message is on disk before anybody is told that it was taken.

`Submission` collects a message that arrives in pieces; `MessageQueue` keeps it in the journal (and, beyond 64
KiB, in a spool file) and hands it to the engine; `finish` and `narrow` record what became of it. After a
restart every message that was taken and not finished is there again. What happens to a message is the
engine's business.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.transport.envelope import Envelope
from runtime.transport.journal import Journal
from runtime.transport.records import (
    Record,
    RecordError,
    RecordKind,
    StoredMessage,
    decode_message,
    encode_message,
)
from runtime.transport.spool import SpoolFile, read_spooled, remove_spooled, sweep

log = logging.getLogger("runtime.transport")

#: Content beyond this many octets lies in a file of its own.
SPOOL_ABOVE = 64 * 1024
#: Submissions that are remembered, so that none is taken twice.
RECENT_SUBMISSIONS = 65_536
#: Octets of content kept in memory for delivery; beyond that it is read from the disk again.
MEMORY_BUDGET = 64 * 1024 * 1024


@dataclass(slots=True)
class QueuedMessage:
    """A message that was taken and is not finished. `is_recovered` when it was taken by an earlier process, so that a
    delivery may have happened without being recorded. `content` is None when it is to be read from the disk."""

    id: int
    envelope: Envelope
    marker: str
    size: int
    is_spooled: bool
    is_recovered: bool
    content: bytes | None


#: (message, None) when it is on disk, (None, error) when it could not be written, (None, None) when the queue took the
#: same submission before: it is on disk, or what was to be done for it is done.
Taken = Callable[[QueuedMessage | None, OSError | None], None]


class Submission:
    """One message on its way into the queue. `finish` or `discard` it."""

    def __init__(self, owner: MessageQueue, message_id: int, marker: str) -> None:
        self.id = message_id
        self.marker = marker
        self.size = 0
        self._owner = owner
        self._parts: list[bytes] = []
        self._spool: SpoolFile | None = None

    def write(self, data: bytes) -> None:
        """Raises OSError when the disk is full."""
        self.size += len(data)
        if self._spool is not None:
            self._spool.write(data)
            return
        self._parts.append(data)
        if self.size > SPOOL_ABOVE:
            self._spool = self._owner.new_spool(self.id)
            self._spool.write(b"".join(self._parts))
            self._parts.clear()

    def finish(self, envelope: Envelope, taken: Taken) -> None:
        """Make it durable, then call `taken` on the loop."""
        content = None if self._spool is not None else b"".join(self._parts)
        stored = StoredMessage(envelope, self.marker, self.size, content)
        self._owner.take(self.id, stored, self._spool, taken)

    def discard(self) -> None:
        """Forget it; safe to call twice."""
        self._parts.clear()
        if self._spool is not None:
            self._spool.discard()
            self._spool = None


class MessageQueue:
    """One server's queue in one directory. One process, one event loop."""

    def __init__(self, directory: Path) -> None:
        self._spool_directory = directory / "spool"
        self._journal = Journal(directory / "journal")
        self._messages: dict[int, QueuedMessage] = {}
        self._held: dict[str, int] = {}
        self._boot = secrets.token_hex(8)
        self._next_id = 1
        self._in_memory = 0

    def open(self) -> tuple[QueuedMessage, ...]:
        """Read what an earlier process left, oldest first, and begin to take messages. Raises OSError."""
        self._spool_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for record in self._journal.replay():
            self._apply(record)
        sweep(self._spool_directory, [one.id for one in self._messages.values() if one.is_spooled])
        # Ids rise over restarts too, also when nothing is left to tell the last one: they begin at the clock.
        self._next_id = max(self._next_id, int(time.time() * 1000) << 8)
        self._journal.open()
        return tuple(self._messages[message_id] for message_id in sorted(self._messages))

    def _apply(self, record: Record) -> None:
        self._next_id = max(self._next_id, record.message_id + 1)
        if record.kind is not RecordKind.MESSAGE:
            ended = self._messages.pop(record.message_id, None)
            if ended is not None and record.kind is RecordKind.VOID:
                self._held.pop(ended.envelope.submission, None)
            return
        try:
            stored = decode_message(record.payload)
        except RecordError:
            log.exception("message %d of the queue cannot be read and is skipped", record.message_id)
            return
        self._messages[record.message_id] = _recovered(record.message_id, stored)
        self._hold(stored.envelope.submission, record.message_id)

    def _hold(self, submission: str, message_id: int) -> None:
        if submission:
            self._held[submission] = message_id
            if len(self._held) > RECENT_SUBMISSIONS:
                del self._held[next(iter(self._held))]

    def held(self, submission: str) -> int | None:
        """The id of the message that a submission brought lately, finished or not."""
        return self._held.get(submission)

    def __len__(self) -> int:
        return len(self._messages)

    def submission(self) -> Submission:
        """Begin a message."""
        message_id = self._next_id
        self._next_id += 1
        return Submission(self, message_id, f"{self._boot}.{message_id}")

    def new_spool(self, message_id: int) -> SpoolFile:
        return SpoolFile(self._spool_directory, message_id)

    def take(self, message_id: int, stored: StoredMessage, spool: SpoolFile | None, taken: Taken) -> None:
        """Write the record, unless it is of a submission that the queue has; called by a submission."""
        submission = stored.envelope.submission
        if submission in self._held:
            self._decline(message_id, submission, spool, taken)
            return

        def written(error: OSError | None) -> None:
            if error is None:
                taken(self._keep(message_id, stored), None)
                return
            if spool is not None:
                spool.discard()
            self._held.pop(submission, None)
            # The record may have reached the disk although the sync failed: say that it does not count.
            self._journal.append(RecordKind.VOID, message_id, b"")
            taken(None, error)

        self._hold(submission, message_id)
        payload = encode_message(stored)
        self._journal.append(RecordKind.MESSAGE, message_id, payload, spool=spool, done=written)

    def _decline(self, message_id: int, submission: str, spool: SpoolFile | None, taken: Taken) -> None:
        """The same submission again. The first one's record may be on its way still: wait for a record behind it."""
        if spool is not None:
            spool.discard()

        def written(error: OSError | None) -> None:
            is_held = submission in self._held
            taken(None, None if is_held else error or OSError("the first copy could not be written"))

        self._journal.append(RecordKind.VOID, message_id, b"", done=written)

    def _keep(self, message_id: int, stored: StoredMessage) -> QueuedMessage:
        content = stored.content if self._in_memory + stored.size <= MEMORY_BUDGET else None
        self._in_memory += len(content or b"")
        message = replace(_recovered(message_id, stored), is_recovered=False, content=content)
        self._messages[message_id] = message
        return message

    def content(self, message: QueuedMessage) -> bytes:
        """The whole content. Raises OSError."""
        if message.content is not None:
            return message.content
        if message.is_spooled:
            return read_spooled(self._spool_directory, message.id)
        stored = decode_message(self._journal.read(message.id))
        if stored.content is None:
            raise OSError(f"queue record {message.id} has no content")
        return stored.content

    def finish(self, message: QueuedMessage) -> None:
        """Nothing more is to be done for it."""
        if self._messages.pop(message.id, None) is None:
            return
        self._in_memory -= len(message.content or b"") if not message.is_recovered else 0
        self._journal.append(RecordKind.DONE, message.id, b"")
        if message.is_spooled:
            remove_spooled(self._spool_directory, message.id)

    def narrow(self, message: QueuedMessage, done: frozenset[str]) -> None:
        """These recipients need nothing more, others do."""
        content = None if message.is_spooled else self.content(message)
        message.envelope = message.envelope.without(done)
        stored = StoredMessage(message.envelope, message.marker, message.size, content)
        self._journal.append(RecordKind.MESSAGE, message.id, encode_message(stored))

    async def flush(self) -> None:
        """Return when what was recorded so far is on disk."""
        await self._journal.flush()

    async def close(self) -> None:
        await self._journal.close()


def _recovered(message_id: int, stored: StoredMessage) -> QueuedMessage:
    return QueuedMessage(
        id=message_id,
        envelope=stored.envelope,
        marker=stored.marker,
        size=stored.size,
        is_spooled=stored.content is None,
        is_recovered=True,
        content=None,
    )
