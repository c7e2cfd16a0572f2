"""An open folder of a SQLite mailbox database: implements `Folder`. All sessions of the process share it.

It answers from memory what the event loop was told of commits, reads bodies through the reader, and hands every change
to the writer. The event loop's thread only.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.store import operations
from runtime.store.changes import MessagesChanged
from runtime.store.flags import flag_text
from runtime.store.folder_names import folder_key
from runtime.store.folder_state import FolderState
from runtime.store.incoming import INLINE_LIMIT, delivery, describe
from runtime.store.interface import (
    Appended,
    Copied,
    FlagChange,
    FolderEvent,
    MessageWriter,
    StoreError,
    Summary,
)
from runtime.store.message_writer import SpooledMessage, to_crlf
from runtime.store.mime import Part

if TYPE_CHECKING:
    from runtime.store.database import Database

logger = logging.getLogger("runtime.store")

Listener = Callable[[FolderEvent], None]


class SqliteFolder:
    """Made by its mailbox; lives while a session holds it or it was used lately."""

    def __init__(self, database: Database, state: FolderState) -> None:
        self._database = database
        self._state = state
        self._loaded_modseq, self._messages = database.reader.load(state.id)
        self._listeners: dict[object, Listener] = {}

    @property
    def id(self) -> int:
        return self._state.id

    @property
    def name(self) -> str:
        return self._state.name

    @property
    def uid_validity(self) -> int:
        return self._state.uid_validity

    @property
    def uid_next(self) -> int:
        uids = self._messages.uids
        return max(self._state.uid_next, uids[-1] + 1) if uids else self._state.uid_next

    @property
    def highest_modseq(self) -> int:
        return max(self._state.modseq, self._loaded_modseq)

    def uids(self) -> Sequence[int]:
        return self._messages.uids

    def flags(self, uid: int) -> frozenset[str]:
        number = self._messages.flag_number(uid)
        return frozenset() if number is None else self._messages.table.flags(number)

    def flags_rendered(self, uid: int) -> bytes:
        number = self._messages.flag_number(uid)
        return b"" if number is None else self._messages.table.rendered(number)

    def keywords(self) -> frozenset[str]:
        return self._messages.table.keywords()

    def take_recent(self, *, keep: bool) -> frozenset[int]:
        recent = frozenset(self._messages.from_uid(self._state.recent_from))
        if recent and not keep:
            self._state.recent_from, self._state.recent = max(recent) + 1, 0
            self._database.write_later(
                partial(operations.keep_recent_from, folder_id=self.id, uid=self._state.recent_from)
            )
        return recent

    def summaries(self, uids: Sequence[int]) -> list[Summary]:
        return self._database.reader.summaries(self.id, uids)

    def first_summaries(self, uids: Sequence[int], *, budget: int) -> tuple[list[Summary], int]:
        return self._database.reader.first_summaries(self.id, uids, budget)

    def content(self, uid: int) -> bytes | None:
        return self._database.reader.content(self.id, uid)

    def structure(self, uid: int) -> Part | None:
        return self._database.reader.structure(self.id, uid)

    async def append(
        self,
        message: MessageWriter | bytes,
        *,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
        origin: object | None = None,
    ) -> Appended:
        """Raises FlagError, NoSuchFolderError, StoreUnavailableError."""
        how = delivery(flag_text(flags), internal_date, origin)
        data = self._taken(message)
        if isinstance(data, bytes) and len(data) <= INLINE_LIMIT:
            new = describe(data, content=data, blob=None)
            append = partial(operations.append, folder_id=self.id, message=new, delivery=how)
            appended: Appended = await self._database.write(append)
        else:
            appended = await self._database.take_in_and_write(
                data, lambda new: partial(operations.append, folder_id=self.id, message=new, delivery=how)
            )
        return appended

    async def change_flags(
        self, uids: Collection[int], change: FlagChange, flags: Iterable[str], *, origin: object | None = None
    ) -> tuple[int, ...]:
        changed: tuple[int, ...] = await self._database.write(
            partial(
                operations.change_flags,
                folder_id=self.id,
                uids=tuple(uids),
                edit=operations.FlagEdit(change, flag_text(flags)),
                origin=origin,
            )
        )
        return changed

    async def expunge(self, uids: Collection[int], *, origin: object | None = None) -> tuple[int, ...]:
        removed: tuple[int, ...] = await self._database.write(
            partial(operations.expunge, folder_id=self.id, uids=tuple(uids), origin=origin)
        )
        return removed

    async def copy(self, uids: Collection[int], destination: str) -> Copied:
        copied: Copied = await self._database.write(
            partial(operations.copy, folder_id=self.id, uids=tuple(uids), destination=folder_key(destination))
        )
        return copied

    async def move(self, uids: Collection[int], destination: str, *, origin: object | None = None) -> Copied:
        moved: Copied = await self._database.write(
            partial(
                operations.move,
                folder_id=self.id,
                uids=tuple(uids),
                destination=folder_key(destination),
                origin=origin,
            )
        )
        return moved

    def watch(self, listener: Listener) -> Callable[[], None]:
        token = object()
        self._listeners[token] = listener
        return lambda: self._forget_listener(token)

    def apply(self, change: MessagesChanged) -> None:
        """The mailbox tells what was committed. What this folder saw when it was loaded is skipped."""
        if change.modseq <= self._loaded_modseq:
            return
        if change.kind == "added":
            self._messages.add(change.uids, change.flags)
        elif change.kind == "removed":
            self._messages.remove(change.uids)
        else:
            self._messages.set_flags(change.uids, change.flags)
            self._renew_modseq(change)
        self._tell(FolderEvent(change.kind, change.uids, change.origin))

    def vanish(self) -> None:
        """The folder was deleted: every message is gone."""
        uids = tuple(self._messages.uids)
        self._messages.remove(uids)
        if uids:
            self._tell(FolderEvent("removed", uids, None))

    def _taken(self, message: MessageWriter | bytes) -> bytes | Path:
        if isinstance(message, bytes):
            return to_crlf(message)
        if not isinstance(message, SpooledMessage):
            raise StoreError("A message is appended from the writer that its own store made.")
        return message.take()

    def _renew_modseq(self, change: MessagesChanged) -> None:
        cache = self._database.reader.summary_cache
        kept = cache.of_folder(self.id)
        for uid in change.uids:
            summary = kept.get(uid)
            if summary is not None and summary.modseq < change.modseq:
                cache.replace(self.id, dataclasses.replace(summary, modseq=change.modseq))

    def _tell(self, event: FolderEvent) -> None:
        for listener in tuple(self._listeners.values()):
            try:
                listener(event)
            except Exception:
                logger.exception("A listener of a folder failed.")

    def _forget_listener(self, token: object) -> None:
        self._listeners.pop(token, None)
