"""The messages of one POP3 session: a snapshot, numbered once, with the deletions that QUIT will commit.

Nothing is locked: messages that arrive during the session are not in it, and one that another session removed is
answered as gone (RFC 1939 8 allows a snapshot). Sizes are asked for when a command first needs them, so a logon costs
nothing a message. No store is touched here. Called by the POP3 back end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

#: Octets of each message that is still there, by UID.
Sizes = Callable[[Sequence[int]], Mapping[int, int]]


class Maildrop:
    """`uids` in the order of their numbers, which count from 1."""

    __slots__ = ("_deleted", "_known_sizes", "_read_sizes", "_uid_validity", "_uids")

    def __init__(self, uid_validity: int, uids: Sequence[int], read_sizes: Sizes) -> None:
        self._uid_validity = uid_validity
        self._uids = tuple(uids)
        self._read_sizes = read_sizes
        self._known_sizes: Mapping[int, int] | None = None
        self._deleted: set[int] = set()

    def find(self, number: int) -> int | None:
        """The UID; None for a number that never was, or that is marked as deleted."""
        if 1 <= number <= len(self._uids) and number not in self._deleted:
            return self._uids[number - 1]
        return None

    def present(self) -> Iterator[tuple[int, int]]:
        """Numbers and UIDs of the messages that are there and not marked as deleted."""
        sizes = self._sizes
        for number, uid in enumerate(self._uids, 1):
            if number not in self._deleted and uid in sizes:
                yield number, uid

    def size(self, uid: int) -> int | None:
        """Octets; None when the message was gone before anybody asked."""
        return self._sizes.get(uid)

    def unique_id(self, uid: int) -> str:
        """UIDL: the same in every session for as long as the message is there (RFC 1939 7)."""
        return f"{self._uid_validity}.{uid}"

    def totals(self) -> tuple[int, int]:
        """STAT: count and octets."""
        sizes = [self._sizes[uid] for _, uid in self.present()]
        return len(sizes), sum(sizes)

    def delete(self, number: int) -> None:
        self._deleted.add(number)

    def reset(self) -> None:
        self._deleted.clear()

    def deleted_uids(self) -> tuple[int, ...]:
        """What the UPDATE state removes."""
        return tuple(sorted(self._uids[number - 1] for number in self._deleted))

    @property
    def _sizes(self) -> Mapping[int, int]:
        if self._known_sizes is None:
            self._known_sizes = self._read_sizes(self._uids)
        return self._known_sizes
