"""Reading a mailbox database on the event loop: one connection that never writes, and the caches in front of it.

Rows it reads may be newer than what the loop was told, never older: a commit is visible here before its results arrive.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from operator import attrgetter

from runtime.store.blobs import BlobDirectory
from runtime.store.caches import RecentlyUsed, SummaryCache
from runtime.store.interface import NoSuchFolderError, Summary
from runtime.store.message_list import MessageList
from runtime.store.mime import Part, parse_message

SUMMARY_BUDGET = 64 * 1024 * 1024
CONTENT_BUDGET = 16 * 1024 * 1024
STRUCTURE_BUDGET = 20_000
#: Messages read ahead when a folder is read in order, and the largest body that takes part.
READ_AHEAD = 16
READ_AHEAD_SIZE = 64 * 1024

_SUMMARY = (
    "SELECT m.uid, b.size, m.date, m.zone, m.modseq, b.envelope, b.body, b.body_structure"
    " FROM messages m JOIN bodies b ON b.id = m.body_id WHERE m.folder_id = ? AND "
)
_CONTENT = (
    "SELECT m.uid, b.blob, b.content"
    " FROM messages m JOIN bodies b ON b.id = m.body_id WHERE m.folder_id = ? AND "
)
_ENVELOPE, _STRUCTURE = attrgetter("envelope"), attrgetter("body_structure")


class Reader:
    """The event loop's view of the database's rows."""

    def __init__(self, connection: sqlite3.Connection, blobs: BlobDirectory) -> None:
        self._connection = connection
        self._blobs = blobs
        self.summary_cache = SummaryCache(SUMMARY_BUDGET)
        self._contents: RecentlyUsed[bytes] = RecentlyUsed(CONTENT_BUDGET)
        self._structures: RecentlyUsed[Part] = RecentlyUsed(STRUCTURE_BUDGET)
        self._last_read = (0, 0)

    def close(self) -> None:
        self._connection.close()

    def load(self, folder_id: int) -> tuple[int, MessageList]:
        """MODSEQ and messages of a folder at one moment. Raises NoSuchFolderError."""
        self._connection.execute("BEGIN")
        try:
            found = self._connection.execute(
                "SELECT modseq FROM folders WHERE id = ?", (folder_id,)
            ).fetchone()
            rows = self._connection.execute(
                "SELECT uid, flags FROM messages WHERE folder_id = ? ORDER BY uid", (folder_id,)
            ).fetchall()
        finally:
            self._connection.execute("COMMIT")
        if found is None:
            raise NoSuchFolderError("There is no such folder.")
        return found[0], MessageList(rows)

    def summaries(self, folder_id: int, uids: Sequence[int]) -> list[Summary]:
        """In the order of `uids`, without those that are gone."""
        return self._summaries(folder_id, uids, None)[0]

    def first_summaries(self, folder_id: int, uids: Sequence[int], budget: int) -> tuple[list[Summary], int]:
        """See `Folder.first_summaries`. What the cache holds counts too: it may outlive its place there."""
        found, count = self._summaries(folder_id, uids, budget)
        fitting = _fitting(found, budget)
        if fitting < len(found):
            return found[:fitting], bisect_right(uids, found[fitting - 1].uid)
        return found, count

    def _summaries(
        self, folder_id: int, uids: Sequence[int], budget: int | None
    ) -> tuple[list[Summary], int]:
        kept = self.summary_cache.of_folder(folder_id)
        found = [kept.get(uid) for uid in uids]
        if None not in found:
            return found, len(uids)  # type: ignore[return-value]  # just checked, at the speed of C
        read, is_all = self._read_summaries(folder_id, {uid for uid in uids if uid not in kept}, budget)
        answered = uids if is_all else uids[: bisect_right(uids, next(reversed(read)))]
        chosen = [kept.get(uid) or read.get(uid) for uid in answered]
        self.summary_cache.add(folder_id, list(read.values()))
        return [summary for summary in chosen if summary is not None], len(answered)

    def content(self, folder_id: int, uid: int) -> bytes | None:
        """A message's octets. Reads ahead when messages are asked for in ascending order."""
        known = self._contents.get((folder_id, uid))
        if known is None:
            known = self._read_content(folder_id, uid)
        self._last_read = folder_id, uid
        return known

    def structure(self, folder_id: int, uid: int) -> Part | None:
        known = self._structures.get((folder_id, uid))
        if known is None:
            content = self.content(folder_id, uid)
            if content is None:
                return None
            known = parse_message(content)
            self._structures.put((folder_id, uid), known, _count_parts(known))
        return known

    def forget(self, folder_id: int, uids: Sequence[int]) -> None:
        """These messages were removed."""
        for uid in uids:
            self.summary_cache.drop(folder_id, uid)
            self._contents.drop((folder_id, uid))
            self._structures.drop((folder_id, uid))

    def _read_summaries(
        self, folder_id: int, wanted: AbstractSet[int], budget: int | None
    ) -> tuple[dict[int, Summary], bool]:
        """By UID, ascending; False when the budget ended it."""
        read: dict[int, Summary] = {}
        size = 0
        rows = self._summary_rows(folder_id, wanted)
        for row in rows:
            if row[0] in wanted:
                read[row[0]] = _summary(*row)
                size += len(row[5]) + len(row[6]) + len(row[7])
                if budget is not None and size > budget:
                    rows.close()
                    return read, False
        return read, True

    def _summary_rows(self, folder_id: int, wanted: AbstractSet[int]) -> sqlite3.Cursor:
        first, last = min(wanted), max(wanted)
        if last - first < 2 * len(wanted):
            return self._connection.execute(
                _SUMMARY + "m.uid BETWEEN ? AND ? ORDER BY m.uid", (folder_id, first, last)
            )
        return self._connection.execute(
            _SUMMARY + "m.uid IN (SELECT value FROM json_each(?)) ORDER BY m.uid",
            (folder_id, json.dumps(sorted(wanted))),
        )

    def _read_content(self, folder_id: int, uid: int) -> bytes | None:
        last_folder, last_uid = self._last_read
        if last_folder == folder_id and last_uid < uid <= last_uid + READ_AHEAD:
            rows = self._connection.execute(
                _CONTENT + "m.uid >= ? AND (m.uid = ? OR b.size <= ?) ORDER BY m.uid LIMIT ?",
                (folder_id, uid, uid, READ_AHEAD_SIZE, READ_AHEAD),
            ).fetchall()
        else:
            rows = self._connection.execute(_CONTENT + "m.uid = ?", (folder_id, uid)).fetchall()
        wanted = None
        for found, blob, content in rows:
            if found == uid:
                wanted = content if blob is None else self._blobs.read(blob)
            elif blob is None:
                self._contents.put((folder_id, found), content, len(content))
        if wanted is not None and len(wanted) <= READ_AHEAD_SIZE:
            self._contents.put((folder_id, uid), wanted, len(wanted))
        return wanted


def _fitting(found: Sequence[Summary], budget: int) -> int:
    """How many of these are the first that have more than `budget` octets together."""
    size = sum(map(len, map(_ENVELOPE, found))) + 2 * sum(map(len, map(_STRUCTURE, found)))
    if size <= budget:  # BODY is never longer than BODYSTRUCTURE
        return len(found)
    size = 0
    for count, summary in enumerate(found, 1):
        size += len(summary.envelope) + len(summary.body) + len(summary.body_structure)
        if size > budget:
            return count
    return len(found)


@lru_cache(maxsize=64)
def _zone(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes))


def _summary(  # noqa: PLR0917 - a row
    uid: int,
    size: int,
    date: int,
    zone: int,
    modseq: int,
    envelope: bytes,
    body: bytes,
    body_structure: bytes,
) -> Summary:
    when = datetime.fromtimestamp(date, _zone(zone))
    return Summary(uid, size, when, modseq, envelope, body, body_structure)


def _count_parts(part: Part) -> int:
    parts = [part]
    for here in parts:
        parts.extend(here.children)
        if here.message is not None:
            parts.append(here.message)
    return len(parts)
