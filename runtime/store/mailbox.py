"""A mailbox of a SQLite mailbox database: implements `MailboxStore`. One object a mailbox.

Knows its folders and their counters, opens folders, and hands changes to the writer. The event loop's thread only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from runtime.store import folder_operations
from runtime.store.changes import Change, FoldersChanged
from runtime.store.folder import SqliteFolder
from runtime.store.folder_names import INBOX, folder_key, parents
from runtime.store.folder_state import FolderState, state_of
from runtime.store.interface import FolderInfo, NoSuchFolderError
from runtime.store.message_writer import SpooledMessage

if TYPE_CHECKING:
    from runtime.store.database import Database


class SqliteMailbox:
    """Made by its database."""

    def __init__(self, database: Database, name: str, contents: FoldersChanged) -> None:
        self._database = database
        self.name = name
        self._id = contents.mailbox_id
        self._states: dict[int, FolderState] = {}
        self._by_name: Mapping[str, FolderState] = {}
        self._with_children: frozenset[str] = frozenset()
        self._subscriptions: frozenset[str] = frozenset()
        self._take_folders(contents)

    def folders(self) -> tuple[FolderInfo, ...]:
        ordered = sorted(self._by_name, key=lambda name: (name != INBOX, name))
        return tuple(self._info(self._by_name[name]) for name in ordered)

    def subscriptions(self) -> tuple[str, ...]:
        return tuple(sorted(self._subscriptions, key=lambda name: (name != INBOX, name)))

    def folder_info(self, name: str) -> FolderInfo:
        return self._info(self._state(name))

    def open(self, name: str) -> SqliteFolder:
        return self._database.open_folder(self._state(name))

    async def create(self, name: str) -> None:
        """Also raises StoreError when the mailbox has as many folders as it may."""
        await self._database.write(partial(folder_operations.create, mailbox_id=self._id, name=name))

    async def delete(self, name: str) -> None:
        """Raises NoSuchFolderError, FolderProtectedError, FolderHasChildrenError."""
        await self._database.write(partial(folder_operations.delete, mailbox_id=self._id, name=name))

    async def rename(self, old: str, new: str) -> None:
        """Raises NoSuchFolderError, FolderExistsError, FolderNameError, FolderProtectedError."""
        await self._database.write(partial(folder_operations.rename, mailbox_id=self._id, old=old, new=new))

    async def subscribe(self, name: str, *, on: bool) -> None:
        """Raises FolderNameError."""
        await self._database.write(
            partial(folder_operations.subscribe, mailbox_id=self._id, name=name, is_on=on)
        )

    def new_message(self) -> SpooledMessage:
        return SpooledMessage(self._database.blobs)

    def apply(self, change: Change) -> None:
        """The database tells what was committed."""
        if isinstance(change, FoldersChanged):
            self._take_folders(change)
            return
        state = self._states.get(change.folder_id)
        if state is None:
            return
        state.apply(change)
        if change.kind == "removed":
            self._database.reader.forget(change.folder_id, change.uids)
        folder = self._database.opened_folder(change.folder_id)
        if folder is not None:
            folder.apply(change)

    def _take_folders(self, contents: FoldersChanged) -> None:
        records = {record.id: record for record in contents.folders}
        for folder_id in self._states.keys() - records.keys():
            del self._states[folder_id]
            self._database.forget_folder(folder_id)
        for record in contents.folders:
            known = self._states.setdefault(record.id, state_of(record))
            known.name = record.name
        self._by_name = {state.name: state for state in self._states.values()}
        self._with_children = frozenset(parent for name in self._by_name for parent in parents(name))
        self._subscriptions = contents.subscriptions

    def _state(self, name: str) -> FolderState:
        found = self._by_name.get(folder_key(name))
        if found is None:
            raise NoSuchFolderError("There is no such folder.")
        return found

    def _info(self, state: FolderState) -> FolderInfo:
        return state.info(
            is_subscribed=state.name in self._subscriptions, has_children=state.name in self._with_children
        )
