"""The daemon around its loop: the lease, who is told, and an orderly end. `reconcile daemon` puts it together.

    take the lease (or stand by until it is free)  →  loop  →  give it back

It ends in four ways: it was asked to (0), it lost the lease or a round hangs (1), or it may not wait (HeldError).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from reconciler.daemon import notices
from reconciler.daemon.events import event_of
from reconciler.daemon.lease import Lease, LeaseLostError
from reconciler.daemon.loop import Loop, Wish
from reconciler.daemon.notices import Notice
from reconciler.daemon.pulse import RoundHangsError
from reconciler.daemon.systemd import ServiceManager

#: Seconds between two looks of a standby at the lease.
STANDBY_LOOK = 0.25

Tell = Callable[[Notice], None]


class HeldError(Exception):
    """Another daemon works on this state; the text says which."""


def fan_out(tellers: Iterable[Tell]) -> Tell:
    """Everybody is told of everything, in order, by one thread at a time."""
    listeners = tuple(tellers)
    turn = threading.Lock()

    def tell(notice: Notice) -> None:
        with turn:
            for listener in listeners:
                listener(notice)

    return tell


def tell_manager(manager: ServiceManager) -> Tell:
    """READY=1 as soon as it works or stands by, and a line of status at each event."""
    is_ready = False

    def tell(notice: Notice) -> None:
        nonlocal is_ready
        if not is_ready and isinstance(notice, notices.Standby | notices.RoundEnded | notices.Failed):
            is_ready = True
            manager.ready()
        if isinstance(notice, notices.Stopping):
            manager.stopping()
        elif (event := event_of(notice)) is not None:
            manager.status(event.text)

    return tell


def take_lease(lease: Lease, *, wish: Wish, tell: Tell, waits: bool, beat: Callable[[], None]) -> bool:
    """Take the lease, or wait for it; false when the wish to stop came first. Raises HeldError unless it `waits`."""
    before = lease.current()
    if not lease.take():
        before = lease.current()
        if not waits:
            raise HeldError(
                f"another daemon works on this state ({before}); end it, or leave out --no-wait to stand by"
            )
        tell(notices.Standby(str(before)))
        while not lease.take():
            wish.bell.wait(STANDBY_LOOK)
            beat()
            if wish.stop:
                return False
    holder = lease.holder
    after = str(before) if before is not None and not before.is_released else None
    tell(notices.Leading(holder.token if holder else 0, after))
    return True


def serve(loop: Loop, lease: Lease, *, tell: Tell) -> bool:
    """Run the loop under the lease; true when it was asked to end, false when the lease was lost or a round hangs."""
    try:
        loop.run()
    except LeaseLostError as error:
        tell(notices.LeaseLost(str(error)))
        return False
    except RoundHangsError as error:
        lease.give_back()  # first of all: telling may hang as the round does
        tell(notices.Failed(str(error), None, is_last=True))
        return False
    finally:
        tell(notices.Stopping())
        lease.give_back()
    return True
