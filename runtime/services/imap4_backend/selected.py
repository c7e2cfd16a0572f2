"""A selected folder as one session has been told of it: which message has which number, and the news not yet told.

Message numbers change only when EXPUNGE is sent, and that is allowed only at certain times (RFC 3501 section
7.4.1), so what happens in the folder is collected here and told by `news`. The folder is shared; this view belongs
to one session.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from runtime.protocols.imap4 import writer
from runtime.protocols.imap4.values import SequenceSet
from runtime.store.interface import Folder, FolderEvent

#: Messages told of in one piece of news.
BATCH = 1024
SYSTEM_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$MDNSent")


class Selected:
    """`uids` are those that the client knows, ascending: a message's number is its position plus one. `on_news` is
    called when something has happened that `news` would tell."""

    __slots__ = (
        "_added",
        "_changed",
        "_on_news",
        "_removed",
        "_stop_watching",
        "folder",
        "is_read_only",
        "recent",
        "uids",
    )

    def __init__(self, folder: Folder, *, is_read_only: bool, on_news: Callable[[], None]) -> None:
        self.folder = folder
        self.is_read_only = is_read_only
        self.uids = array("I", folder.uids())
        self.recent = set(folder.take_recent(keep=is_read_only))
        self._on_news = on_news
        self._added: list[int] = []
        self._removed: set[int] = set()
        self._changed: set[int] = set()
        self._stop_watching = folder.watch(self._on_event)

    def close(self) -> None:
        """Nothing more is collected."""
        self._stop_watching()

    # --- what happens -----------------------------------------------------------------------------------------------

    def _on_event(self, event: FolderEvent) -> None:
        if event.kind == "added":
            self._added.extend(event.uids)
        elif event.kind == "removed":
            self._remove(event.uids)
        elif event.origin is self:
            return
        else:
            self._changed.update(event.uids)
        self._on_news()

    def _remove(self, uids: Iterable[int]) -> None:
        """Messages that the client never heard of go without a word."""
        untold = set(self._added)
        gone = set(uids)
        if untold & gone:
            self._added = [uid for uid in self._added if uid not in gone]
        self._removed |= gone - untold

    def tell_flags(self, uids: Iterable[int]) -> None:
        """Have `news` tell the flags of these messages (the answer to a STORE)."""
        self._changed.update(uids)

    # --- what is told -----------------------------------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        return bool(self._added or self._removed or self._changed)

    def has_much_news(self, *, may_expunge: bool) -> bool:
        """More than fits into one piece."""
        return len(self._changed) + (len(self._removed) if may_expunge else 0) > BATCH

    def news(self, *, may_expunge: bool) -> Iterator[bytes]:
        """EXPUNGE, EXISTS, RECENT and FETCH responses for what has happened since the last time, in pieces. To be
        taken to the end before anything else is told: the numbers follow each other."""
        if self._removed and may_expunge:
            yield from self._tell_removed()
        if self._added:
            yield self._tell_added()
        if self._changed:
            yield from self._tell_changed()

    def _tell_removed(self) -> Iterator[bytes]:
        """From the last to the first, so that each number is still right when it is told."""
        removed, self._removed = self._removed, set()
        found = (self._index(uid) + 1 for uid in sorted(removed, reverse=True))
        numbers = array("I", (number for number in found if number))
        self.uids = array("I", (uid for uid in self.uids if uid not in removed))
        self.recent -= removed
        self._changed -= removed
        for some in _batches(numbers):
            yield b"".join(b"* %d EXPUNGE\r\n" % number for number in some)

    def _tell_added(self) -> bytes:
        self.uids.extend(self._added)
        self._added = []
        self.recent |= self.folder.take_recent(keep=self.is_read_only) & set(self.uids)
        return b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(self.uids), len(self.recent))

    def _tell_changed(self) -> Iterator[bytes]:
        changed, self._changed = self._changed - self._removed, set()
        for uids in _batches(array("I", sorted(changed))):
            found = ((self._index(uid), uid) for uid in uids if uid not in self._removed)
            yield b"".join(
                b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (index + 1, uid, self.flags_rendered(uid))
                for index, uid in found
                if index >= 0
            )

    def greeting(self) -> bytes:
        """The untagged responses of SELECT and EXAMINE."""
        rendered = [self.folder.flags_rendered(uid) for uid in self.uids]
        keywords = {flag for flags in set(rendered) for flag in flags.decode("ascii").split()}
        flags = dict.fromkeys((*SYSTEM_FLAGS, *sorted(keywords)))
        unseen = {flags for flags in set(rendered) if b"\\Seen" not in flags.split()}
        first_unseen = next((number for number, flags in enumerate(rendered, 1) if flags in unseen), 0)
        permanent = () if self.is_read_only else (*flags, "\\*")
        told = [
            b"* FLAGS %b\r\n* %d EXISTS\r\n" % (writer.flags(flags), len(self.uids)),
            b"* %d RECENT\r\n" % len(self.recent),
            b"* OK [UNSEEN %d] Is the first unseen message\r\n" % first_unseen if first_unseen else b"",
            b"* OK [PERMANENTFLAGS %b] Permanent flags\r\n" % writer.flags(permanent),
            b"* OK [UIDVALIDITY %d] UIDVALIDITY value\r\n" % self.folder.uid_validity,
            b"* OK [UIDNEXT %d] The next unique identifier value\r\n" % self.folder.uid_next,
        ]
        return b"".join(told)

    # --- which messages ---------------------------------------------------------------------------------------------

    def _index(self, uid: int) -> int:
        """Position of a UID that the client knows, or -1."""
        index = bisect_left(self.uids, uid)
        return index if index < len(self.uids) and self.uids[index] == uid else -1

    def numbers(self, messages: SequenceSet, *, is_uid: bool) -> Sequence[int]:
        """Numbers of the messages in a set. Raises `GrammarError` for a number that does not exist."""
        if is_uid:
            return array("I", [index + 1 for index in messages.indexes(self.uids)])
        return array("I", list(messages.numbers(len(self.uids))))

    def existing(self, numbers: Iterable[int]) -> Sequence[int]:
        """UIDs of these messages, without those that somebody has removed. Four octets each: a client that does not
        read keeps them."""
        uids = self.uids
        if not self._removed:
            return array("I", [uids[number - 1] for number in numbers])
        return array(
            "I", [uid for uid in (uids[number - 1] for number in numbers) if uid not in self._removed]
        )

    def alive(self) -> list[int]:
        """UIDs of all messages that the client knows and that nobody has removed."""
        return [uid for uid in self.uids if uid not in self._removed]

    def numbered(self, uids: Collection[int]) -> Iterator[int]:
        """The numbers of UIDs that the client knows."""
        return (self._index(uid) + 1 for uid in uids)

    def flags_rendered(self, uid: int) -> bytes:
        """The flags of a message as the session sees them, inside the parentheses."""
        flags = self.folder.flags_rendered(uid)
        if uid not in self.recent:
            return flags
        return flags + b" \\Recent" if flags else b"\\Recent"


def _batches(numbers: array[int]) -> Iterator[array[int]]:
    return (numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH))
