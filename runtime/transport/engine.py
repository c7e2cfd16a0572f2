"""The transport engine: takes queued messages, delivers them, tries again, reports what failed for good.

One engine a server, kept by the host: it outlives the generations of the transport service, which attach to
it while they run. A few workers take messages one at a time and wait for the store, so that its group commit
has company. Everything it knows of a message beyond the queue (attempts, timers) may be lost in a crash: the
message is then simply tried again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.directory.directory import Directory
from runtime.protocols.smtp import replies
from runtime.protocols.smtp.grammar import split_address
from runtime.protocols.smtp.replies import Reply
from runtime.store.interface import Store, StoreError
from runtime.transport.categorizer import LocalRoute, Plan, RemoteRoute, Unrouted, categorize
from runtime.transport.delivery import MailboxDelivery
from runtime.transport.envelope import OWN_ORIGIN, Envelope
from runtime.transport.headers import received_in_transport
from runtime.transport.hop import HopPool
from runtime.transport.ndr import Reporter, build_report, header_of
from runtime.transport.queue import MessageQueue, QueuedMessage, Submission
from runtime.transport.retry import RetryPolicy

log = logging.getLogger("runtime.transport")

#: Messages being delivered at one time.
WORKERS = 48

STORE_BUSY = replies.reply("451 4.3.0 The mailbox store did not take the message")
EXPIRED = Reply(550, "4.4.7", ("QUEUE.Expired; message expired",))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine stands. `introduction` makes, for our fully qualified name and another server, what introduces us
    there."""

    server: str
    queue_directory: Path
    introduction: Callable[[str, str], Callable[[], bytes]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a generation's snapshot says: our fully qualified name, and where each server's transport is reached."""

    fqdn: str
    endpoints: Mapping[str, tuple[str, int]]


@dataclass(slots=True)
class _Outcome:
    """What one attempt came to."""

    done: set[str] = field(default_factory=set)
    failed: list[Unrouted] = field(default_factory=list)
    deferred: list[Unrouted] = field(default_factory=list)
    is_remote: bool = False

    def add(self, addresses: tuple[str, ...], refusal: Reply | None) -> None:
        if refusal is None:
            self.done.update(addresses)
            return
        where = self.deferred if refusal.is_transient else self.failed
        where.extend(Unrouted(address, refusal) for address in addresses)


class TransportEngine:
    """Queue, workers and retries of one server. Event loop only."""

    def __init__(
        self, directory: Directory, store: Store, place: Place, *, retry: RetryPolicy | None = None
    ) -> None:
        self._directory = directory
        self._store = store
        self._server = place.server
        self._queue = MessageQueue(place.queue_directory)
        self._introduction = place.introduction
        self._retry = retry or RetryPolicy()
        self._ready: asyncio.Queue[QueuedMessage] = asyncio.Queue()
        self._workers: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._attempts: Counter[int] = Counter()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._attached: set[int] = set()
        self._surroundings = Surroundings("", {})
        self._pools: dict[str, HopPool] = {}
        self._delivery: MailboxDelivery | None = None
        self._is_stopping = False

    # The service's side

    def attach(self, generation: int, surroundings: Surroundings) -> None:
        """A generation serves in these surroundings. The first one opens the queue. Raises OSError."""
        if self._delivery is None:
            found = self._queue.open()
            self._delivery = MailboxDelivery(
                self._store, min((one.envelope.accepted for one in found), default=0.0)
            )
            for message in found:
                self._ready.put_nowait(message)
            if found:
                log.info("%d messages are in the queue from before", len(found))
        self._attached.add(generation)
        self._use(surroundings)
        self._start_workers()

    async def detach(self, generation: int) -> None:
        """The generation has ended. With the last one processing stops between messages, and what was recorded is
        flushed; messages wait for the next generation."""
        self._attached.discard(generation)
        if self._attached:
            return
        self._is_stopping = True
        for worker in self._workers - self._busy:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._drop_pools()
        await self._queue.flush()

    async def close(self) -> None:
        """The host stops."""
        for generation in tuple(self._attached):
            await self.detach(generation)
        for timer in self._timers.values():
            timer.cancel()
        await self._queue.close()

    def submission(self) -> Submission:
        """Begin a message; give `take` to its `finish`."""
        return self._queue.submission()

    def held(self, submission: str) -> int | None:
        """The number of the message that a submission brought lately, finished or not."""
        return self._queue.held(submission)

    def take(self, message: QueuedMessage) -> None:
        """The message is on disk: deliver it."""
        self._ready.put_nowait(message)

    def __len__(self) -> int:
        """Messages taken and not finished."""
        return len(self._queue)

    def _use(self, surroundings: Surroundings) -> None:
        if surroundings != self._surroundings:
            self._drop_pools()
        self._surroundings = surroundings

    def _drop_pools(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def _start_workers(self) -> None:
        self._is_stopping = False
        loop = asyncio.get_running_loop()
        for _ in range(WORKERS - len(self._workers)):
            worker = loop.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    # Workers

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._is_stopping:
            message = await self._ready.get()
            self._busy.add(task)
            try:
                await self._process(message)
            except Exception:
                log.exception("message %d could not be processed, it stays in the queue", message.id)
                self._try_later(message, is_remote=False)
            finally:
                self._busy.discard(task)

    async def _process(self, message: QueuedMessage) -> None:
        self._timers.pop(message.id, None)
        plan = categorize(
            message.envelope.recipients,
            directory=self._directory,
            server=self._server,
            endpoints=self._surroundings.endpoints,
        )
        outcome = await self._carry_out(message, plan)
        if outcome.deferred and time.time() - message.envelope.accepted > self._retry.expiration:
            outcome.failed += [Unrouted(one.address, EXPIRED) for one in outcome.deferred]
            outcome.deferred.clear()
        await self._record(message, outcome)

    async def _carry_out(self, message: QueuedMessage, plan: Plan) -> _Outcome:
        outcome = _Outcome(is_remote=bool(plan.remote))
        for one in plan.unrouted:
            outcome.add((one.address,), one.reply)
        content = self._queue.content(message)
        for route in plan.local:
            outcome.add(route.addresses, await self._deliver(message, content, route))
        for way in plan.remote:
            outcome.add(way.addresses, await self._hand_over(message, content, way))
        return outcome

    async def _deliver(self, message: QueuedMessage, content: bytes, route: LocalRoute) -> Reply | None:
        assert self._delivery is not None
        try:
            return await self._delivery.deliver(message, content, route)
        except (StoreError, OSError, sqlite3.Error) as error:
            log.warning("message %d could not be delivered to %s: %s", message.id, route.mailbox, error)
            return STORE_BUSY

    async def _hand_over(self, message: QueuedMessage, content: bytes, way: RemoteRoute) -> Reply | None:
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        envelope = replace(
            message.envelope, recipients=way.addresses, submission=_submission(message.marker, way.addresses)
        )
        hop = self._pool(way.server).message(envelope, lambda _may_write: None)
        hop.write(content)
        hop.finish(lambda reply: None if done.done() else done.set_result(reply))
        reply = await done
        return reply if reply.is_error else None

    def _pool(self, server: str) -> HopPool:
        if server not in self._pools:
            host, port = self._surroundings.endpoints[server]
            self._pools[server] = HopPool(host, port, self._introduction(self._surroundings.fqdn, server))
        return self._pools[server]

    # Afterwards

    async def _record(self, message: QueuedMessage, outcome: _Outcome) -> None:
        if outcome.failed:
            await self._report(message, tuple(outcome.failed))
        if not outcome.deferred:
            del self._attempts[message.id]
            self._queue.finish(message)
            return
        finished = frozenset(outcome.done | {one.address for one in outcome.failed})
        if finished:
            self._queue.narrow(message, finished)
        self._try_later(message, is_remote=outcome.is_remote)

    def _try_later(self, message: QueuedMessage, *, is_remote: bool) -> None:
        self._attempts[message.id] += 1
        delay = self._retry.delay(self._attempts[message.id], is_remote=is_remote)
        loop = asyncio.get_running_loop()
        self._timers[message.id] = loop.call_later(delay, self._ready.put_nowait, message)

    async def _report(self, message: QueuedMessage, failed: tuple[Unrouted, ...]) -> None:
        """A report to the sender, on disk before the message is finished; none about a report."""
        for one in failed:
            log.info("message %d failed for %s: %s", message.id, one.address, one.reply.text)
        if not message.envelope.sender:
            return
        fqdn = self._surroundings.fqdn
        reporter = Reporter(fqdn, split_address(message.envelope.sender)[1])
        content = build_report(message.envelope, failed, header_of(self._queue.content(message)), reporter)
        await self._submit(Envelope("", (message.envelope.sender,), OWN_ORIGIN, time.time()), content, fqdn)

    async def _submit(self, envelope: Envelope, content: bytes, fqdn: str) -> None:
        """Queue a message of our own. Raises OSError."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def taken(message: QueuedMessage | None, error: OSError | None) -> None:
            if message is not None:
                self.take(message)
                written.set_result(None)
            else:
                written.set_exception(error or OSError("the queue did not take the report"))

        submission = self._queue.submission()
        submission.write(received_in_transport(sender=fqdn, fqdn=fqdn, marker=submission.marker) + content)
        submission.finish(envelope, taken)
        await written


def _submission(marker: str, addresses: tuple[str, ...]) -> str:
    """The same for each attempt to hand this message over for these recipients, so that it is taken there once."""
    return hashlib.sha256("\n".join((marker, *sorted(addresses))).encode()).hexdigest()[:32]
