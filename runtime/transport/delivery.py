"""Final delivery: a queued message into the INBOX of one mailbox, once.

The store's commit and the queue's record are two steps, so a process killed between them leaves a message that is
delivered and still queued. Every delivered message begins with our own trace field, which holds the queue's marker; a
message that was taken by an earlier process is delivered only when no message of that marker is in the INBOX. The one
window left: its owner moves or expunges it between the restart and that look. Called by the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from runtime.protocols.smtp import replies
from runtime.protocols.smtp.replies import Reply
from runtime.store.interface import Folder, OverQuotaError, Store
from runtime.transport.categorizer import LocalRoute
from runtime.transport.headers import DELIVERED, return_path
from runtime.transport.queue import QueuedMessage

MAILBOX_FULL = replies.reply("554 5.2.2 Mailbox full")
#: The trace field stands within this many octets of the beginning.
_TRACE_LENGTH = 2048
#: Messages looked at together, newest first.
_BLOCK = 200
#: Clocks may have been set between the two processes.
_CLOCK_MARGIN = timedelta(hours=1)


class MailboxDelivery:
    """Delivers into the databases of one store. `since` is the Unix time from which unrecorded deliveries may date."""

    def __init__(self, store: Store, since: float) -> None:
        self._store = store
        self._since = datetime.fromtimestamp(since, UTC) - _CLOCK_MARGIN
        self._markers: dict[tuple[str, str], frozenset[bytes]] = {}

    async def deliver(self, message: QueuedMessage, content: bytes, route: LocalRoute) -> Reply | None:
        """None when the message is in the mailbox, on disk; the reason when the mailbox cannot take it. Raises
        StoreError and OSError for what may pass."""
        mailbox = await self._store.mailbox(route.database, route.mailbox)
        inbox = mailbox.open("INBOX")
        if message.is_recovered and message.marker.encode() in self._delivered(inbox, route):
            return None
        try:
            await inbox.append(return_path(message.envelope.sender) + content)
        except OverQuotaError:
            return MAILBOX_FULL
        return None

    def _delivered(self, inbox: Folder, route: LocalRoute) -> frozenset[bytes]:
        key = (route.database, route.mailbox)
        if key not in self._markers:
            self._markers[key] = frozenset(_markers(inbox, self._since))
        return self._markers[key]


def _markers(inbox: Folder, since: datetime) -> Iterator[bytes]:
    """The markers of the messages that arrived since then, newest first."""
    uids = list(inbox.uids())
    for end in range(len(uids), 0, -_BLOCK):
        found = [
            one.uid for one in inbox.summaries(uids[max(0, end - _BLOCK) : end]) if one.internal_date >= since
        ]
        for uid in found:
            match = DELIVERED.match((inbox.content(uid) or b"")[:_TRACE_LENGTH])
            if match is not None:
                yield match["marker"]
        if not found:
            return
