"""UIDs and flags of an open folder as compact arrays: eight octets a message.

UIDs ascend. The position of a UID is guessed (folders have few gaps) and otherwise searched for. Kept by the open
folder; the event loop's thread only.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from runtime.store.flags import FlagTable

#: Removing more messages than this at once builds the arrays anew instead of shifting them each time.
_FEW = 16


class MessageList:
    """The messages of a folder."""

    def __init__(self, rows: Iterable[tuple[int, str]] = ()) -> None:
        """From (UID, canonical flags), UIDs ascending."""
        self.table = FlagTable()
        self.uids = array("I")
        self._flags = array("I")
        number = self.table.number
        for uid, text in rows:
            self.uids.append(uid)
            self._flags.append(number(text))

    def position(self, uid: int) -> int | None:
        """Where `uid` stands, None when it is not there."""
        uids = self.uids
        if not uids:
            return None
        guess = uid - uids[0]
        if 0 <= guess < len(uids) and uids[guess] == uid:
            return guess
        found = bisect_left(uids, uid)
        return found if found < len(uids) and uids[found] == uid else None

    def flag_number(self, uid: int) -> int | None:
        """The number of the message's flags in `table`."""
        at = self.position(uid)
        return None if at is None else self._flags[at]

    def from_uid(self, uid: int) -> Sequence[int]:
        """The UIDs that are at least `uid`."""
        return self.uids[bisect_left(self.uids, uid) :]

    def add(self, uids: Sequence[int], flags: Sequence[str]) -> None:
        """All higher than those that are there."""
        for uid, text in zip(uids, flags, strict=True):
            self.uids.append(uid)
            self._flags.append(self.table.number(text))

    def set_flags(self, uids: Sequence[int], flags: Sequence[str]) -> None:
        for uid, text in zip(uids, flags, strict=True):
            at = self.position(uid)
            if at is not None:
                self._flags[at] = self.table.number(text)

    def remove(self, uids: Sequence[int]) -> None:
        if len(uids) > _FEW:
            gone = set(uids)
            kept = [at for at, uid in enumerate(self.uids) if uid not in gone]
            self._flags = array("I", [self._flags[at] for at in kept])
            self.uids[:] = array("I", [self.uids[at] for at in kept])
            return
        for uid in uids:
            at = self.position(uid)
            if at is not None:
                del self.uids[at]
                del self._flags[at]
