"""Round after round until told to stop: when files were saved, when the time has come, when somebody asks. It cannot
die of what it is fed.

    wait (files, SIGHUP, interval, retry)  →  look at the content  →  [a word at once]  →  [quiet]  →  a round

A round that only tells reads in another thread first, so that a word about a saved file never waits for it.

Broken files leave the last good configuration live, a failed apply has been rolled back, and both are told. What may go
away by itself (another apply holds the lock, the runtime does not answer) is tried again, later each time; so is an
error that nobody has thought of, with its traceback. Only the loss of the lease ends it, and whoever set `stop`. It
prints nothing: whoever runs it is told of each `Notice`.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from reconciler.applying.apply import ApplyLeftError
from reconciler.applying.hold import HoldError
from reconciler.applying.journal import JournalError
from reconciler.applying.lock import LockedError
from reconciler.daemon.doorbell import Doorbell
from reconciler.daemon.feed import NOTHING, Feed, Look
from reconciler.daemon.lease import LeaseLostError
from reconciler.daemon.ledger import take_releases
from reconciler.daemon.notices import Failed
from reconciler.daemon.planner import Ahead, Planner
from reconciler.daemon.rounds import Rounds, Tell
from reconciler.daemon.watch import Watcher
from reconciler.review.git import GitError
from reconciler.secret import SecretError
from reconciler.targets.target import TargetError

T = TypeVar("T")

#: Seconds until the first and the latest further try after an error that may go away by itself.
FIRST_RETRY = 2.0
LAST_RETRY = 60.0
#: Seconds after which files are looked at without a notification.
LOOK_EVERY = 2.0
#: Seconds of quiet before what was saved is applied, so that half a checkout is not; and how long to wait for it.
QUIET = 0.2
LONGEST_UNREST = 10.0
#: Seconds after a word was said at once until everything is read to confirm it.
CONFIRM_AFTER = 2.0
#: Seconds that a thread keeps the interpreter while it reads ahead. Looking at the files gives it away hundreds of
#: times, and with the usual 5 ms would wait a second to get it back.
SWITCH_INTERVAL = 0.0005


class Wish:
    """What somebody outside wants of the loop; a signal handler may set it at any moment."""

    def __init__(self) -> None:
        self.bell = Doorbell()
        self.stop = False
        self.now = False

    def ask_stop(self) -> None:
        """End after the current write."""
        self.stop = True
        self.bell.ring()

    def ask_now(self) -> None:
        """Do a round now."""
        self.now = True
        self.bell.ring()

    def is_stopping(self) -> bool:
        """What `Applier` asks before each write."""
        return self.stop


@dataclass(frozen=True, slots=True)
class Outside:
    """What the loop has of the process around it. `interval`: seconds between rounds when nothing is saved (None: no
    such rounds). `check` raises LeaseLostError, `beat` says that it is alive, `releases` is where requests lie."""

    wish: Wish
    interval: float | None = None
    check: Callable[[], None] = lambda: None
    beat: Callable[[], None] = lambda: None
    releases: Path | None = None


class _Reading:
    """What a round needs, on its way in a thread of its own. `is_outdated`: something was saved since it began."""

    def __init__(self, read: Callable[[], Ahead], ring: Callable[[], None], *, has_news: bool) -> None:
        self.has_news = has_news
        self.is_outdated = False
        self._read = read
        self._ring = ring
        self._found: Ahead | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """True when the result is there."""
        return self._found is not None or self._error is not None

    def result(self) -> Ahead:
        """Raises what reading raised."""
        if self._error is not None:
            raise self._error
        assert self._found is not None
        return self._found

    def _run(self) -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            self._found = self._read()
        except Exception as error:  # noqa: BLE001 - raised again by `result`
            self._error = error
        finally:
            sys.setswitchinterval(usual)
        self._ring()


class Loop:
    """One feed, followed."""

    def __init__(self, feed: Feed, planner: Planner, rounds: Rounds, *, tell: Tell, outside: Outside) -> None:
        self._feed = feed
        self._planner = planner
        self._rounds = rounds
        self._tell = tell
        self._wish = outside.wish
        self._outside = outside
        self._retry_in = FIRST_RETRY
        self._due: float | None = None
        self._is_stale = True
        self._reading: _Reading | None = None
        self._look_error: str | None = None

    def run(self) -> None:
        """Until the wish to stop. Raises LeaseLostError."""
        watcher = Watcher(self._feed.watched, self._wish.bell.ring) if self._feed.watched else None
        self._feed.start(self._wish.bell.ring, self._tell)
        if watcher is not None:
            watcher.start()
        try:
            self._look()
            self.round(has_news=True)
            while not self._wish.stop:
                self._wait_and_act()
        finally:
            self._feed.stop()
            if watcher is not None:
                watcher.stop()

    def round(self, *, has_news: bool) -> bool:
        """One round; true when nothing stood in its way. Errors are told, never raised, but for the lease's."""
        self._begin()
        return self._round(has_news=has_news, ahead=None)

    def _begin(self) -> None:
        self._wish.now = False
        self._due = None if self._outside.interval is None else time.monotonic() + self._outside.interval

    def _round(self, *, has_news: bool, ahead: Callable[[], Ahead] | None) -> bool:
        def run() -> bool:
            if ahead is not None:
                self._planner.adopt(ahead())
            return self._rounds.run(has_news=has_news, reads=has_news or self._is_stale)

        is_done = self._guarded(run) is not None
        if is_done:
            self._is_stale = False
            self._retry_in = FIRST_RETRY
            self._due_in(self._rounds.next_try())
        return is_done

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _wait_and_act(self) -> None:
        self._wish.bell.wait(self._patience())
        self._outside.beat()
        self._outside.check()
        if self._wish.stop:
            return
        look = self._look()
        if look.has_changed:
            self._react(look)
        self._finish_reading()
        if self._is_asked() or (self._due is not None and time.monotonic() >= self._due):
            self._act(has_news=look.has_changed or self._wish.now)

    def _patience(self) -> float:
        """Seconds until the next look. What is due while a reading goes on waits for it, and its end rings."""
        if self._due is None or self._reading is not None:
            return LOOK_EVERY
        return min(LOOK_EVERY, self._due - time.monotonic())

    def _act(self, *, has_news: bool) -> None:
        """A round now, or as soon as what it needs has been read; one that writes reads under its lock."""
        if self._rounds.heals:
            self.round(has_news=has_news)
        elif self._reading is None:
            self._begin()
            reads = has_news or self._is_stale or self._rounds.must_read
            read = partial(self._planner.look_ahead, reads=reads)
            self._reading = _Reading(read, self._wish.bell.ring, has_news=has_news)

    def _finish_reading(self) -> None:
        """The round of what was read; none when something was saved meanwhile, since another one is due then."""
        if (reading := self._reading) is None or not reading.is_done:
            return
        self._reading = None
        if not reading.is_outdated:
            self._round(has_news=reading.has_news, ahead=reading.result)

    def _look(self) -> Look:
        """What cannot be looked at has not changed; that is told once."""
        try:
            look = self._feed.look()
        except (GitError, OSError) as error:
            if str(error) != self._look_error:
                self._tell(Failed(str(error), LOOK_EVERY))
            self._look_error = str(error)
            return NOTHING
        self._look_error = None
        return look

    def _is_asked(self) -> bool:
        """Also takes in what was released since."""
        patterns = take_releases(self._outside.releases) if self._outside.releases else []
        self._rounds.release(patterns)
        return self._wish.now or bool(patterns)

    def _react(self, look: Look) -> None:
        """Say at once what a saved file means, if that can be; then a round, at once or when it is quiet."""
        self._is_stale = True
        if self._reading is not None:
            self._reading.is_outdated = True
        plan = self._guarded(lambda: self._planner.quick(look.edited))
        if plan is not None:
            self._rounds.tell_quick(plan, self._planner.live)
        if self._rounds.heals:
            self._wait_until_quiet()
            self._wish.now = True
        elif plan is not None:
            self._due_in(CONFIRM_AFTER)
        else:
            self._wish.now = True

    def _wait_until_quiet(self) -> None:
        until = time.monotonic() + LONGEST_UNREST
        while time.monotonic() < until and not self._wish.stop:
            self._wish.bell.wait(QUIET)
            if not self._look().has_changed:
                return

    def _due_in(self, seconds: float | None) -> None:
        if seconds is not None:
            at = time.monotonic() + seconds
            self._due = at if self._due is None else min(self._due, at)

    # -- not dying -----------------------------------------------------------------------------------------------------

    def _guarded(self, act: Callable[[], T]) -> T | None:
        """What `act` returns, or None when it raised and that has been told."""
        try:
            return act()
        except (LeaseLostError, ApplyLeftError):
            raise
        except (LockedError, TargetError, GitError) as error:
            self._try_again(str(error))
        except (JournalError, HoldError, SecretError, OSError) as error:
            self._tell(Failed(str(error), None))
        except Exception as error:  # noqa: BLE001 - told with its traceback; a watcher outlives it
            self._try_again(f"{type(error).__name__}: {error}", traceback.format_exc())
        return None

    def _try_again(self, error: str, trace: str | None = None) -> None:
        self._due_in(self._retry_in * random.SystemRandom().uniform(0.9, 1.1))
        self._tell(Failed(error, self._retry_in, trace))
        self._retry_in = min(LAST_RETRY, self._retry_in * 2)
