"""APPEND: a message on its way into a folder.

The folder is checked before the client sends anything; the message goes into the store's writer as it comes and is
never collected here. Called by `session`.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.protocols.imap4 import events
from runtime.services.imap4_backend.reply import Answer, RefusedError, Reply
from runtime.store.interface import MailboxStore, MessageWriter, NoSuchFolderError, StoreError


@dataclass(slots=True)
class Upload:
    """A message that is being received. When the store takes no more, the rest is dropped and `store` says why."""

    mailbox: MailboxStore
    command: events.Append
    writer: MessageWriter
    refused: StoreError | None = None

    def write(self, data: bytes) -> None:
        """Some more octets of the message."""
        if self.refused is not None:
            return
        try:
            self.writer.write(data)
        except StoreError as error:
            self.refused = error

    def store(self) -> Answer:
        """The message is complete: put it into the folder."""
        if self.refused is not None:
            raise self.refused
        if not self.command.size:
            self.writer.discard()
            raise RefusedError("The message is empty.")
        return self._append()

    async def _append(self) -> Reply:
        command = self.command
        try:
            appended = await self.mailbox.open(command.mailbox.text).append(
                self.writer, flags=command.flags, internal_date=command.internal_date
            )
        finally:
            self.writer.discard()
        code = b"APPENDUID %d %d" % (appended.uid_validity, appended.uid)
        return Reply("APPEND completed.", code=code)


def begin_upload(mailbox: MailboxStore, command: events.Append) -> Upload:
    """Raises `RefusedError` with TRYCREATE when there is no such folder (RFC 3501 section 6.3.11)."""
    try:
        mailbox.open(command.mailbox.text)
    except NoSuchFolderError as error:
        raise RefusedError(str(error), code=b"TRYCREATE") from error
    return Upload(mailbox, command, mailbox.new_message())
