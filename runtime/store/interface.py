"""The store as the services see it: mailboxes of folders of messages.

One back-end host owns a mailbox database, so every call comes from one process and one event loop. Reads are plain
methods (they answer from memory or one short query); writes are coroutines that return only when the data is on disk.
Folder names are Unicode text with "/" between levels; they are data and never paths. UIDs are never reused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from runtime.store.mime import Part

FlagChange = Literal["add", "remove", "replace"]


class StoreError(Exception):
    """A store operation was refused; the text is fit for a client."""


class NoSuchFolderError(StoreError): ...


class FolderExistsError(StoreError): ...


class FolderNameError(StoreError): ...


class OverQuotaError(StoreError): ...


class FolderProtectedError(StoreError):
    """INBOX and the standard folders can be neither deleted nor, INBOX apart, renamed."""


class FolderHasChildrenError(StoreError):
    """A folder is deleted only when it has no children (RFC 9051 HASCHILDREN)."""


class StoreUnavailableError(StoreError):
    """The store could not do it now (disk full, input/output error). Nothing was changed; it may be tried again."""


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """A row of LIST: `special_use` is e.g. "\\Sent" or None."""

    id: int
    name: str
    uid_validity: int
    uid_next: int
    messages: int
    unseen: int
    recent: int
    highest_modseq: int
    is_subscribed: bool
    has_children: bool
    special_use: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What FETCH answers without the body. `envelope`, `body` and `body_structure` are rendered IMAP data, made once at
    delivery; `size` is the exact size in octets; `internal_date` is timezone-aware."""

    uid: int
    size: int
    internal_date: datetime
    modseq: int
    envelope: bytes
    body: bytes
    body_structure: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message went (APPENDUID)."""

    uid_validity: int
    uid: int


@dataclass(frozen=True, slots=True)
class Copied:
    """COPYUID: `source` and `destination` pair up by position."""

    uid_validity: int
    source: tuple[int, ...]
    destination: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FolderEvent:
    """Told to watchers on the event loop, in commit order, after the commit. `uids` ascend."""

    kind: Literal["added", "removed", "flags"]
    uids: tuple[int, ...]
    #: Who caused it: the token given to the write call, or None. A session does not echo its own silent changes.
    origin: object | None


class MessageWriter(Protocol):
    """Collects a message that arrives in pieces: in memory up to 64 KiB, in a spool file beyond."""

    @property
    def size(self) -> int: ...

    def write(self, data: bytes) -> None: ...

    def discard(self) -> None:
        """Forget it and remove the spool file. Safe to call twice and after the message was appended."""


class Folder(Protocol):
    """An open folder, shared by all sessions of this process."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def uid_validity(self) -> int: ...

    @property
    def uid_next(self) -> int: ...

    @property
    def highest_modseq(self) -> int: ...

    def uids(self) -> Sequence[int]:
        """All UIDs, ascending. A live view: copy it to keep it."""

    def flags(self, uid: int) -> frozenset[str]:
        """Flags as IMAP spells them ("\\Seen", "$MDNSent"); without \\Recent."""

    def flags_rendered(self, uid: int) -> bytes:
        """The same as cached bytes, "(\\Seen $MDNSent)" inner text without parentheses, for FETCH."""

    def keywords(self) -> frozenset[str]:
        """Keywords (flags without a backslash) that messages of this folder carry or carried since it was opened."""

    def take_recent(self, *, keep: bool) -> frozenset[int]:
        """UIDs that no session has been told of as \\Recent; taken away unless `keep` (EXAMINE)."""

    def summaries(self, uids: Sequence[int]) -> list[Summary]:
        """In the order of `uids`; UIDs that are gone are left out."""

    def first_summaries(self, uids: Sequence[int], *, budget: int) -> tuple[list[Summary], int]:
        """Summaries of the first of these ascending UIDs, read until they have more than `budget` octets, and of how
        many UIDs that is an answer (of one at least). For many messages: one summary may have a megabyte."""

    def content(self, uid: int) -> bytes | None:
        """The message as it arrived, lines ended by CRLF; None when it is gone."""

    def structure(self, uid: int) -> Part | None:
        """The MIME parts with their offsets in `content`."""

    async def append(
        self,
        message: MessageWriter | bytes,
        *,
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
        origin: object | None = None,
    ) -> Appended: ...

    async def change_flags(
        self, uids: Collection[int], change: FlagChange, flags: Iterable[str], *, origin: object | None = None
    ) -> tuple[int, ...]:
        """The UIDs whose flags really changed."""

    async def expunge(self, uids: Collection[int], *, origin: object | None = None) -> tuple[int, ...]:
        """Remove these messages for good; returns those that were there."""

    async def copy(self, uids: Collection[int], destination: str) -> Copied:
        """All or nothing. Raises NoSuchFolderError."""

    async def move(
        self, uids: Collection[int], destination: str, *, origin: object | None = None
    ) -> Copied: ...

    def watch(self, listener: Callable[[FolderEvent], None]) -> Callable[[], None]:
        """Call `listener` after each commit that touched this folder; call the result to stop."""


class MailboxStore(Protocol):
    """One mailbox. "INBOX" always exists (any case)."""

    @property
    def name(self) -> str: ...

    def folders(self) -> tuple[FolderInfo, ...]:
        """All folders, INBOX first, then by name."""

    def subscriptions(self) -> tuple[str, ...]:
        """Subscribed names, also of folders that are gone (RFC 3501 6.3.6)."""

    def folder_info(self, name: str) -> FolderInfo:
        """STATUS. Raises NoSuchFolderError."""

    def open(self, name: str) -> Folder:
        """Raises NoSuchFolderError."""

    async def create(self, name: str) -> None:
        """With all missing parents. Raises FolderExistsError, FolderNameError."""

    async def delete(self, name: str) -> None: ...

    async def rename(self, old: str, new: str) -> None:
        """With all children; renaming INBOX moves its messages (RFC 3501 6.3.5)."""

    async def subscribe(self, name: str, *, on: bool) -> None: ...

    def new_message(self) -> MessageWriter: ...


class Store(Protocol):
    """All mailbox databases of one server."""

    async def mailbox(self, database: str, mailbox: str) -> MailboxStore:
        """Open the mailbox, creating it (with INBOX and the standard folders) at first use. `mailbox` is the
        Mailbox's resource name. One object a mailbox: every caller gets the same."""

    async def close(self) -> None: ...
