"""The durable half of the queue: an append-only journal in segments, with one sync for all that waits (group
commit).

Entries given to `append` in one turn of the event loop, or while the disk is busy, are written and synced
together by one thread; each entry's callback then runs on the loop. A segment that holds no live message is
removed, oldest first, so that a DONE record never goes before the MESSAGE it is about; when too many segments
are kept by a few old messages those are written again at the end. After an error the file is cut back to its
last good record. It does not know what a message is: the queue does, and is the only caller.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runtime.transport.records import Damage, Record, RecordKind, encode_record, read_records, scan
from runtime.transport.spool import SpoolFile, sync_directory

log = logging.getLogger("runtime.transport")

#: Octets after which a new segment is begun.
SEGMENT_SIZE = 64 * 1024 * 1024
#: Finished segments that are kept for KEPT_SECONDS all the same: who hands a message in again after a crash must be
#: told that it was taken, and the journal alone knows.
KEPT_SEGMENTS = 3
KEPT_SECONDS = 600.0
#: Segments beyond which the oldest one's live messages are written again, so that it can go.
MAX_SEGMENTS = 8
#: Seconds that an entry nobody waits for may stay unwritten.
LAZY_DELAY = 0.05
#: Seconds before a failed write that nobody waits for is tried again.
RETRY_DELAY = 1.0

Callback = Callable[[OSError | None], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies."""

    segment: int
    offset: int
    size: int


@dataclass(slots=True)
class _Entry:
    kind: RecordKind
    message_id: int
    data: bytes
    spool: SpoolFile | None
    done: Callback | None
    place: Place | None = None


@dataclass(slots=True)
class _Segments:
    """Which live messages each segment holds. Event loop only."""

    live: dict[int, set[int]] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)

    def add(self, message_id: int, place: Place) -> None:
        self.remove(message_id)
        self.live.setdefault(place.segment, set()).add(message_id)
        self.places[message_id] = place

    def remove(self, message_id: int) -> None:
        place = self.places.pop(message_id, None)
        if place is not None:
            self.live[place.segment].discard(message_id)


class Journal:
    """Use from one event loop: `replay`, then `open`, then `append`; `close` at the end."""

    def __init__(self, directory: Path, *, segment_size: int = SEGMENT_SIZE) -> None:
        self._directory = directory
        self._segment_size = segment_size
        self._segments = _Segments()
        self._pending: list[_Entry] = []
        self._is_committing = False
        self._is_scheduled = False
        self._lazy: asyncio.TimerHandle | None = None
        self._waiters: list[asyncio.Future[OSError | None]] = []
        self._work: queue.SimpleQueue[list[_Entry] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="queue-journal", daemon=True)
        self._in_flight: Counter[int] = Counter()
        self._damaged: set[int] = set()
        self._reclaim_at = 0.0
        # Owned by the thread once it runs:
        self._fd = -1
        self._must_rotate = False
        self._number = 0
        self._offset = 0

    def replay(self) -> Iterator[Record]:
        """Every record of every segment in the order written; notes where messages lie."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in self._numbers():
            self._segments.live[number] = set()
            for found in scan(self._path(number).read_bytes()):
                if isinstance(found, Damage):
                    self._note_damage(found, number)
                else:
                    self._note(found, number)
                    yield found
            self._number = number

    def _note_damage(self, damage: Damage, segment: int) -> None:
        self._damaged.add(segment)
        log.error(
            "%d octets at %d of the queue's segment %s are damaged: messages in them are lost, what follows is read on",
            damage.size,
            damage.offset,
            self._path(segment),
        )

    def _note(self, record: Record, segment: int) -> None:
        if record.kind is RecordKind.MESSAGE:
            self._segments.add(record.message_id, Place(segment, record.offset, record.size))
        else:
            self._segments.remove(record.message_id)

    def open(self) -> None:
        """Begin a new segment (never write behind a torn end) and start the thread. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self._rotate()
        self._thread.start()
        self._reclaim()

    def append(
        self,
        kind: RecordKind,
        message_id: int,
        payload: bytes,
        *,
        spool: SpoolFile | None = None,
        done: Callback | None = None,
    ) -> None:
        """Write a record; `done` is called on the loop when it is on disk, or with the error. Without `done` nobody
        waits and it is written with others, within LAZY_DELAY seconds."""
        self._add(_Entry(kind, message_id, encode_record(kind, message_id, payload), spool, done))

    def _add(self, entry: _Entry) -> None:
        self._pending.append(entry)
        self._in_flight[entry.message_id] += 1
        if entry.done is not None:
            self._schedule()
        elif self._lazy is None:
            self._lazy = self._loop.call_later(LAZY_DELAY, self._schedule)

    def read(self, message_id: int) -> bytes:
        """The payload of a live message's record. Raises OSError, KeyError."""
        record = next(read_records(self._read_raw(self._segments.places[message_id])), None)
        if record is None:
            raise OSError(f"queue record {message_id} cannot be read back")
        return record.payload

    async def flush(self) -> None:
        """Return when everything appended is written, or could not be."""
        while self._pending or self._is_committing:
            waiter: asyncio.Future[OSError | None] = self._loop.create_future()
            self._waiters.append(waiter)
            self._schedule()
            if await waiter is not None:
                return

    async def close(self) -> None:
        """Flush and end the thread."""
        if not self._thread.is_alive():
            return
        await self.flush()
        self._work.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._stop_timer()

    # On the event loop

    def _schedule(self) -> None:
        """Commit at the end of this turn of the loop, so that one sync serves all that came in it."""
        self._stop_timer()
        if not self._is_scheduled and not self._is_committing:
            self._is_scheduled = True
            self._loop.call_soon(self._begin)

    def _stop_timer(self) -> None:
        if self._lazy is not None:
            self._lazy.cancel()
            self._lazy = None

    def _begin(self) -> None:
        self._is_scheduled = False
        self._is_committing = True
        batch, self._pending = self._pending, []
        self._work.put(batch)

    def _finished(self, batch: list[_Entry], error: OSError | None) -> None:
        self._is_committing = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(error)
        if any(entry.done is not None for entry in self._pending):
            self._schedule()
        for entry in batch:
            self._settle(entry, error)
        if error is not None:
            self._keep_unwritten(batch)
        self._reclaim()

    def _settle(self, entry: _Entry, error: OSError | None) -> None:
        if error is None and entry.place is not None:
            if entry.kind is RecordKind.MESSAGE:
                self._segments.add(entry.message_id, entry.place)
            else:
                self._segments.remove(entry.message_id)
        if error is None or entry.done is not None:
            self._in_flight[entry.message_id] -= 1
            if not self._in_flight[entry.message_id]:
                del self._in_flight[entry.message_id]
        if entry.done is not None:
            self._tell(entry.done, error)

    def _tell(self, done: Callback, error: OSError | None) -> None:
        """A fault in the session of one client must not keep the others from their answers."""
        try:
            done(error)
        except Exception:
            log.exception("the sender of a queued message could not be told")

    def _keep_unwritten(self, batch: list[_Entry]) -> None:
        """What nobody waits for must be known after a restart all the same; it stays in front, so in order."""
        self._pending[:0] = [entry for entry in batch if entry.done is None]
        if self._pending and self._lazy is None and not self._is_scheduled:
            self._lazy = self._loop.call_later(RETRY_DELAY, self._schedule)

    def _reclaim(self) -> None:
        """Remove segments; what fails is tried again later, and keeps nobody from an answer."""
        if self._loop.time() < self._reclaim_at:
            return
        try:
            self._remove_finished()
            if len(self._segments.live) > MAX_SEGMENTS:
                self._evacuate(min(self._segments.live))
        except OSError:
            log.exception("finished segments of the queue could not be removed")
            self._reclaim_at = self._loop.time() + RETRY_DELAY

    def _remove_finished(self) -> None:
        """From the oldest on while they hold nothing live; a damaged one is put aside for a person to look at."""
        live = self._segments.live
        for number in sorted(live):
            if number >= self._number or live[number] or self._is_recent(number):
                return
            path = self._path(number)
            if number in self._damaged:
                path.rename(path.with_suffix(".damaged"))
                self._damaged.discard(number)
            else:
                path.unlink(missing_ok=True)
            del live[number]

    def _is_recent(self, number: int) -> bool:
        if number < self._number - KEPT_SEGMENTS:
            return False
        return time.time() - self._path(number).stat().st_mtime < KEPT_SECONDS

    def _evacuate(self, number: int) -> None:
        """Write the live messages of a segment again. One with a newer record on its way leaves by itself."""
        for message_id in sorted(self._segments.live[number]):
            if number < self._number and message_id not in self._in_flight:
                data = self._read_raw(self._segments.places[message_id])
                self._add(_Entry(RecordKind.MESSAGE, message_id, data, None, None))

    def _read_raw(self, place: Place) -> bytes:
        fd = os.open(self._path(place.segment), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(fd, place.size, place.offset)
        finally:
            os.close(fd)

    # In the thread

    def _run(self) -> None:
        while (batch := self._work.get()) is not None:
            error: OSError | None = None
            try:
                self._write(batch)
            except Exception as failure:
                # Whatever it is, those who wait for this batch must hear of it and the next batch must be written.
                error = (
                    failure if isinstance(failure, OSError) else OSError(f"queue not written: {failure!r}")
                )
                log.exception("the queue could not be written")
                self._cut_back()
            self._loop.call_soon_threadsafe(self._finished, batch, error)

    def _write(self, batch: list[_Entry]) -> None:
        if self._must_rotate or self._offset >= self._segment_size:
            self._rotate()
        for entry in batch:
            if entry.spool is not None:
                entry.spool.commit()
        places = list(_places(batch, self._number, self._offset))
        data = b"".join([entry.data for entry in batch])
        _write_all(self._fd, data, self._offset)
        os.fdatasync(self._fd)
        self._offset += len(data)
        for entry, place in zip(batch, places, strict=True):
            entry.place = place

    def _cut_back(self) -> None:
        """After a failed write: nothing half-written may stand before what is written next."""
        if self._fd < 0:
            return
        try:
            os.ftruncate(self._fd, self._offset)
            os.fsync(self._fd)
        except OSError:
            log.exception("the queue's segment could not be cut back, a new one is begun")
            self._must_rotate = True

    def _rotate(self) -> None:
        """Begin a new segment. The old one stays the current one, with its descriptor, until the new one is durable."""
        path = self._path(self._number + 1)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            sync_directory(self._directory)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        old, self._fd = self._fd, fd
        self._number += 1
        self._offset = 0
        self._must_rotate = False
        if old >= 0:
            os.close(old)

    # Names

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:010}.queue"

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self._directory.glob("*.queue") if path.stem.isdigit())


def _places(batch: list[_Entry], segment: int, offset: int) -> Iterator[Place]:
    for entry in batch:
        yield Place(segment, offset, len(entry.data))
        offset += len(entry.data)


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written
