"""Round after round until told to stop: when files were saved, when the time has come, when somebody asks. It cannot
die of what it is fed.

    wait (files, SIGHUP, interval, retry)  →  look at the content  →  [a word at once]  →  [quiet]  →  a round

Words and rounds are made in threads of their own, one of each at a time: a word about a saved file does not wait for a
round, and a wish to stop waits for neither, but for what is being written.

Broken files leave the last good configuration live, a failed apply has been rolled back, and both are told. What may go
away by itself (another apply holds the lock, the runtime does not answer) is tried again, later each time; so is an
error that nobody has thought of, with its traceback. What ends it is whoever set `stop`, the loss of the lease, and a
round that hangs. It prints nothing: whoever runs it is told of each `Notice`.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from reconciler.applying.hold import HoldError
from reconciler.applying.journal import JournalError
from reconciler.applying.lock import LockedError
from reconciler.daemon.doorbell import Doorbell
from reconciler.daemon.feed import NOTHING, Feed, Look
from reconciler.daemon.lease import LeaseLostError
from reconciler.daemon.ledger import take_releases
from reconciler.daemon.notices import Failed
from reconciler.daemon.planner import Planner, Word
from reconciler.daemon.pulse import Pulse
from reconciler.daemon.rounds import Rounds, Tell
from reconciler.daemon.unrest import Unrest
from reconciler.daemon.watch import Watcher
from reconciler.meanwhile import Meanwhile
from reconciler.review.git import GitError
from reconciler.secret import SecretError
from reconciler.targets.target import TargetError

T = TypeVar("T")

#: Seconds until the first and the latest further try after an error that may go away by itself.
FIRST_RETRY = 2.0
LAST_RETRY = 60.0
#: Seconds after which files are looked at without a notification.
LOOK_EVERY = 2.0
#: Seconds after a word was said at once until everything is read to confirm it.
CONFIRM_AFTER = 2.0
#: Seconds that the last round gets to end, once it writes nothing any more, so that it can be told how it ended.
LAST_WORD = 1.0
#: Seconds that a thread keeps the interpreter while a round goes on. Looking at the files gives it away hundreds of
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
    such rounds). `check` raises LeaseLostError, `beat` says that it is alive, `releases` is where requests lie, `pulse`
    has the signs of life of a round."""

    wish: Wish
    interval: float | None = None
    check: Callable[[], None] = lambda: None
    beat: Callable[[], None] = lambda: None
    releases: Path | None = None
    pulse: Pulse = field(default_factory=Pulse)


def _giving_way(act: Callable[[], T]) -> T:
    """What `act` returns; other threads get the interpreter back sooner than usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        return act()
    finally:
        sys.setswitchinterval(usual)


class Loop:
    """One feed, followed. What may hang goes on in other threads, so that a wish to stop never waits for the target."""

    def __init__(self, feed: Feed, planner: Planner, rounds: Rounds, *, tell: Tell, outside: Outside) -> None:
        self._feed = feed
        self._planner = planner
        self._rounds = rounds
        self._tell = tell
        self._wish = outside.wish
        self._outside = outside
        self._retry_in = FIRST_RETRY
        self._due: float | None = None
        self._unrest = Unrest()
        self._is_stale = True
        self._round: Meanwhile[bool | None] | None = None
        self._round_reads = True
        self._is_outdated = False  # something was saved since the round that goes on began
        self._word: Meanwhile[Word | None] | None = None
        self._asks_again = False  # something was saved since the word was asked for
        self._look_error: str | None = None

    def run(self) -> None:
        """Until the wish to stop, and the end of what is being written. Raises LeaseLostError, RoundHangsError."""
        watcher = Watcher(self._feed.watched, self._wish.bell.ring) if self._feed.watched else None
        self._feed.start(self._wish.bell.ring, self._tell)
        if watcher is not None:
            watcher.start()
        try:
            self._look()
            self._begin_round(has_news=True)
            while not self._wish.stop:
                self._wait_and_act()
        finally:
            self._wish.ask_stop()
            self._feed.stop()
            if watcher is not None:
                watcher.stop()
            self._settle()

    def round(self, *, has_news: bool) -> bool:
        """One round, to its end; true when nothing stood in its way. Errors are told, never raised, but for the
        lease's."""
        self._begin_round(has_news=has_news)
        return self._end_round()

    # -- rounds --------------------------------------------------------------------------------------------------------

    def _begin_round(self, *, has_news: bool) -> None:
        self._wish.now = False
        self._due = None if self._outside.interval is None else time.monotonic() + self._outside.interval
        self._round_reads = has_news or self._is_stale
        self._is_stale = self._is_outdated = False
        run = partial(
            self._rounds.run, has_news=has_news, reads=self._round_reads, is_in_vain=self._is_in_vain
        )
        self._outside.pulse.sign()
        self._round = Meanwhile(partial(_giving_way, run), ring=self._wish.bell.ring, name="round")

    def _is_in_vain(self) -> bool:
        """A round that only tells says nothing about files that have been saved again meanwhile."""
        return self._wish.stop or (self._is_outdated and not self._rounds.heals)

    def _end_round(self) -> bool:
        running, self._round = self._round, None
        is_done = running is not None and self._guarded(running.result) is not None
        if is_done:
            self._retry_in = FIRST_RETRY
            self._due_in(self._rounds.next_try())
        else:
            self._is_stale = self._is_stale or self._round_reads
        return is_done

    def _settle(self) -> None:
        """Wait for what is being written, and tell what became of it."""
        while not self._rounds.settle(within=LOOK_EVERY):
            self._outside.pulse.check()
            self._outside.beat()
        if self._round is not None and self._round.ends(within=LAST_WORD):
            self._end_round()

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _wait_and_act(self) -> None:
        self._wish.bell.wait(self._patience())
        if self._round is not None and not self._round.is_done:
            self._outside.pulse.check()
        self._outside.beat()
        self._outside.check()
        if self._wish.stop:
            return
        if self._word is not None and self._word.is_done:
            self._tell_word(self._word)
        if self._round is not None and self._round.is_done:
            self._end_round()
        look = self._look()
        if look.has_changed:
            self._react(look)
        self._act()

    def _patience(self) -> float:
        """Seconds until the next look. What goes on rings at its end, and what is due waits for that."""
        at = self._due if self._unrest.until is None else self._unrest.until
        if at is None or self._is_busy():
            return LOOK_EVERY
        return min(LOOK_EVERY, at - time.monotonic())

    def _is_busy(self) -> bool:
        return self._round is not None or self._word is not None

    def _act(self) -> None:
        """Begin the round that is due, asked for, or of files that are quiet now."""
        if self._is_busy() or self._unrest.goes_on():
            return
        is_due = self._due is not None and time.monotonic() >= self._due
        if self._is_asked() or is_due:
            self._begin_round(has_news=self._wish.now)

    def _look(self) -> Look:
        """What cannot be looked at has not changed; that is told once."""
        if self._is_pinned():
            return NOTHING
        try:
            look = self._feed.look()
        except (GitError, OSError) as error:
            if str(error) != self._look_error:
                self._tell(Failed(str(error), LOOK_EVERY))
            self._look_error = str(error)
            return NOTHING
        self._look_error = None
        return look

    def _is_pinned(self) -> bool:
        """An apply of a commit must not see the next one; there is no word at once about those."""
        return self._round is not None and self._rounds.heals and self._feed.watched is None

    def _is_asked(self) -> bool:
        """Also takes in what was released since."""
        patterns = take_releases(self._outside.releases) if self._outside.releases else []
        self._rounds.release(patterns)
        return self._wish.now or bool(patterns)

    def _react(self, look: Look) -> None:
        """Find out at once what a saved file means, if that can be; then comes a round, at once or when it is quiet."""
        self._is_stale = self._is_outdated = True
        self._planner.note_saved(look.edited)
        if self._rounds.heals:
            self._unrest.begin()
            self._wish.now = True
        if self._word is None:
            self._ask_for_word()
        else:
            self._asks_again = True

    def _ask_for_word(self) -> None:
        self._asks_again = False
        self._word = Meanwhile(self._planner.quick, ring=self._wish.bell.ring, name="word")

    def _tell_word(self, word: Meanwhile[Word | None]) -> None:
        self._word = None
        found = self._guarded(word.result)
        if found is not None:
            self._rounds.tell_quick(found)
        if self._asks_again:
            self._ask_for_word()
        elif found is None:
            self._wish.now = True
        else:
            self._due_in(CONFIRM_AFTER)

    def _due_in(self, seconds: float | None) -> None:
        if seconds is not None:
            at = time.monotonic() + seconds
            self._due = at if self._due is None else min(self._due, at)

    # -- not dying -----------------------------------------------------------------------------------------------------

    def _guarded(self, act: Callable[[], T]) -> T | None:
        """What `act` returns, or None when it raised and that has been told."""
        try:
            return act()
        except LeaseLostError:
            raise
        except (LockedError, TargetError, GitError) as error:
            self._try_again(str(error))
        except (JournalError, HoldError, SecretError, OSError) as error:
            self._tell(Failed(str(error), None, is_last=self._wish.stop))
        except Exception as error:  # noqa: BLE001 - told with its traceback; a watcher outlives it
            self._try_again(f"{type(error).__name__}: {error}", traceback.format_exc())
        return None

    def _try_again(self, error: str, trace: str | None = None) -> None:
        if self._wish.stop:
            self._tell(Failed(error, None, trace, is_last=True))
            return
        self._due_in(self._retry_in * random.SystemRandom().uniform(0.9, 1.1))
        self._tell(Failed(error, self._retry_in, trace))
        self._retry_in = min(LAST_RETRY, self._retry_in * 2)
