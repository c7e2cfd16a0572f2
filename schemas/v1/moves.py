"""The fields that say where mail lies: they are set once, because nothing carries the mail after them.

A mailbox lies in the database that it names, a database on the server that it names. Another name there would show an
empty mailbox while the mail stays behind, so the planner refuses it before anything is written and the control API
refuses it once more. Pure; called by both.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.v1.base import Spec
from schemas.v1.mailbox import Mailbox
from schemas.v1.mailbox_database import MailboxDatabase

_WHY = {
    "database": "mail cannot be moved between databases yet",
    "server": "databases cannot be moved between servers yet",
}


class Move(NamedTuple):
    """What a new spec would move: the field, from where, to where."""

    path: str
    old: str
    new: str

    @property
    def refusal(self) -> str:
        """The sentence that refuses it, without the name of the resource."""
        return f"{_WHY[self.path]}; its mail lies in {self.old} and would not be found in {self.new}"


def move_of(old: Spec, new: Spec) -> Move | None:
    """What `new` would move of what is live as `old`; None: everything stays where it is."""
    if isinstance(old, Mailbox) and isinstance(new, Mailbox):
        found = Move("database", old.database, new.database)
    elif isinstance(old, MailboxDatabase) and isinstance(new, MailboxDatabase):
        found = Move("server", old.server, new.server)
    else:
        return None
    return None if found.old == found.new else found
