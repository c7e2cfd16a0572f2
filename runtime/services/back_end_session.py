"""A logged-on user at a back end: what IMAP4 and POP3 sessions share.

A protocol's module subclasses `BackEndSession`. This class knows how a session ends (drain, idle, lost
connection), not one command. Made by `back_end.BackEnd` once a front end has introduced the user.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from runtime.directory.directory import MailboxEntry
from runtime.net.session import Connection
from runtime.protocol_log.pop_imap import SessionLog
from runtime.services.backend_hop import Logon
from runtime.store.interface import MailboxStore


class SessionEnd(StrEnum):
    """Why a back end ends a session; the value is the log's ErrMsg token."""

    TIMEOUT = "AuthenticatedConnectionTimeout"
    SHUTDOWN = "ServiceStopping"


class Keeper(Protocol):
    """What a session needs of its back end."""

    @property
    def idle_timeout(self) -> float:
        """AuthenticatedConnectionTimeout in seconds."""

    def forget(self, session: BackEndSession) -> None:
        """The session's connection is gone."""


@dataclass(frozen=True, slots=True)
class Introduced:
    """A user whom a front end introduced, with the mailbox open: what a session is made of."""

    back_end: Keeper
    connection: Connection
    logon: Logon
    entry: MailboxEntry
    mailbox: MailboxStore
    log: SessionLog | None


class BackEndSession(ABC):
    """One logged-on user. Subclasses implement the abstract methods; `on_data` gets the client's bytes."""

    __slots__ = ("back_end", "connection", "entry", "is_draining", "is_over", "log", "logon", "mailbox")

    def __init__(self, introduced: Introduced) -> None:
        self.back_end = introduced.back_end
        self.connection = introduced.connection
        self.logon = introduced.logon
        self.entry = introduced.entry
        self.mailbox = introduced.mailbox
        self.log = introduced.log
        self.is_draining = False
        self.is_over = False

    # What a protocol's module implements

    @abstractmethod
    def on_data(self, data: bytes) -> None: ...

    @abstractmethod
    def on_drain(self) -> None:
        """The service wants this session to end (`is_draining` is set): call `end` between two commands, now when
        none is running. It is ended anyway when the drain's time is up."""

    @abstractmethod
    def farewell(self, end: SessionEnd) -> bytes:
        """The last line to the client; b"" for silence."""

    def on_gone(self) -> None:  # noqa: B027 - need not be overridden
        """The connection is gone: stop what still runs, release what is held."""

    # What it uses

    def touch(self) -> None:
        """A command arrived: AuthenticatedConnectionTimeout begins anew."""
        self.connection.set_timeout(self.back_end.idle_timeout)

    def end(self, end: SessionEnd) -> None:
        """Say goodbye and close. Does nothing the second time."""
        if not self.is_over:
            self.connection.write(self.farewell(end))
            self.close()

    def close(self) -> None:
        """Close after what was written."""
        self.is_over = True
        self.connection.close()

    # What the back end and the driver call

    def drain(self) -> None:
        if not self.is_over and not self.is_draining:
            self.is_draining = True
            self.on_drain()

    def on_connect(self, connection: Connection) -> None:  # noqa: B027 - need not be overridden
        """Never called: the session begins on an open connection."""

    def on_tls(self) -> None:  # noqa: B027 - need not be overridden
        """Never called: TLS ends at the front end."""

    def on_eof(self) -> None:
        """The client stopped sending; what it asked before is answered already."""
        self.close()

    def on_disconnect(self, error: Exception | None) -> None:
        self.is_over = True
        self.back_end.forget(self)
        self.on_gone()

    def on_write_paused(self) -> None:
        """The client is slow. A subclass that can wait overrides this; reading no more commands is the least."""
        self.connection.pause_reading()

    def on_write_resumed(self) -> None:
        self.connection.resume_reading()

    def on_timeout(self) -> None:
        self.end(SessionEnd.TIMEOUT)
