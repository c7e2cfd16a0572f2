"""AUTH from the first response to a verdict: the SASL steps, then the authenticator.

Credentials that were verified a moment ago are known at once; others cost a password hash, which runs elsewhere
while the session waits. It counts nothing and replies nothing but challenges: the session does. One a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from runtime.directory.directory import MailboxEntry
from runtime.directory.logon import Authenticator, BusyError
from runtime.protocols.sasl import IdentityError
from runtime.protocols.smtp import events as ev
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.replies import Reply
from runtime.services.smtp_sasl import Credentials, SaslExchange


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whom the client logged on as: None for a wrong name or password, and when no hash could be made now."""

    name: str
    entry: MailboxEntry | None
    is_busy: bool = False


class Logon:
    """The AUTH commands of one session. `address` tells the client's, `is_allowed` says whether a mailbox may use this
    connector; `finished` gets a verdict that had to be waited for."""

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        address: Callable[[], str],
        is_allowed: Callable[[MailboxEntry], bool],
        finished: Callable[[Verdict], None],
    ) -> None:
        self._authenticator = authenticator
        self._address = address
        self._is_allowed = is_allowed
        self._finished = finished
        self._exchange: SaslExchange | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, mechanism: str, initial: ev.SecretBytes | None) -> Reply | Verdict | None:
        """A challenge or refusal to send, a verdict, or None: `finished` will be called."""
        self._exchange = SaslExchange(mechanism)
        return self.go_on(initial)

    def go_on(self, data: ev.SecretBytes | None) -> Reply | Verdict | None:
        """As `begin`, with the answer to a challenge."""
        if self._exchange is None:
            return replies.BAD_SEQUENCE
        try:
            step = self._exchange.step(data)
        except IdentityError:
            self._exchange = None
            self._start(self._refuse())
            return None
        if isinstance(step, Reply):
            return step
        self._exchange = None
        return self._verify_cached(step)

    def cancel(self) -> None:
        """The client gave up, or is gone."""
        self._exchange = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _verify_cached(self, credentials: Credentials) -> Verdict | None:
        entry = self._authenticator.verify_cached(credentials.name, credentials.password.reveal())
        if entry is not None and self._is_allowed(entry):
            return Verdict(credentials.name, entry)
        self._start(self._verify(credentials))
        return None

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)

    async def _refuse(self) -> None:
        """A failed logon like any other, but for the hash: it too is answered from the loop, and late."""
        self._task = None
        self._finished(Verdict("", None))

    async def _verify(self, credentials: Credentials) -> None:
        try:
            entry = await self._authenticator.verify(
                credentials.name, credentials.password.reveal(), address=self._address()
            )
        except BusyError:
            self._task = None
            self._finished(Verdict(credentials.name, None, is_busy=True))
            return
        self._task = None
        is_right = entry is not None and self._is_allowed(entry)
        self._finished(Verdict(credentials.name, entry if is_right else None))
