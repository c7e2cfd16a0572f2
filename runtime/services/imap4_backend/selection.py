"""Commands about the session itself: which folder is selected, and those that only ask or leave.

SELECT, EXAMINE, CLOSE, UNSELECT, CHECK, NOOP, CAPABILITY, ID, NAMESPACE, LOGOUT. Called by `session`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runtime.protocols.imap4 import events, writer
from runtime.services import imap4_words as words
from runtime.services.imap4_backend.reply import Answer, Reply
from runtime.services.imap4_backend.selected import Selected

if TYPE_CHECKING:
    from runtime.services.imap4_backend.session import ImapSession


_NOTHING = {name: Reply(f"{name} completed.") for name in ("NOOP", "CHECK")}


def _select(session: ImapSession, command: events.OnMailbox) -> Reply:
    """A folder that was selected before is left even when this fails (RFC 3501 section 6.3.1)."""
    session.deselect()
    is_read_only = command.name == "EXAMINE"
    folder = session.mailbox.open(command.mailbox.text)
    selected = Selected(folder, is_read_only=is_read_only, on_news=session.news_has_come)
    session.select(selected)
    code = b"READ-ONLY" if is_read_only else b"READ-WRITE"
    return Reply(f"{command.name} completed.", selected.greeting(), code)


def _close(session: ImapSession, _: events.Simple) -> Answer:
    """Deleted messages go without a word (RFC 3501 section 6.4.2)."""
    selected = session.selected
    assert selected is not None
    folder = selected.folder
    known = [] if selected.is_read_only else selected.alive()
    deleted = [uid for uid in known if "\\Deleted" in folder.flags(uid)]
    session.deselect()
    if not deleted:
        return Reply("CLOSE completed.")

    async def expunge() -> Reply:
        await folder.expunge(deleted, origin=selected)
        return Reply("CLOSE completed.")

    return expunge()


def _unselect(session: ImapSession, _: events.Simple) -> Reply:
    session.deselect()
    return Reply("UNSELECT completed.")


def _nothing(_: ImapSession, command: events.Simple) -> Reply:
    """The news come with every reply."""
    return _NOTHING[command.name]


def _capability(_: ImapSession, __: events.Simple) -> Reply:
    return Reply("CAPABILITY completed.", words.capability(words.Situation(is_logged_on=True)))


def _id(_: ImapSession, __: events.Identify) -> Reply:
    return Reply("ID completed.", words.identity())


def _namespace(_: ImapSession, __: events.Simple) -> Reply:
    """RFC 2342: one personal namespace."""
    return Reply("NAMESPACE completed.", writer.untagged(b'NAMESPACE (("" "/")) NIL NIL'))


def _logout(session: ImapSession, _: events.Simple) -> Reply:
    session.deselect()
    return Reply("LOGOUT completed.", writer.bye(words.SIGN_OFF))


HANDLERS: Mapping[str, Callable[[ImapSession, Any], Answer]] = {
    "SELECT": _select,
    "EXAMINE": _select,
    "CLOSE": _close,
    "UNSELECT": _unselect,
    "NOOP": _nothing,
    "CHECK": _nothing,
    "CAPABILITY": _capability,
    "ID": _id,
    "NAMESPACE": _namespace,
    "LOGOUT": _logout,
}
