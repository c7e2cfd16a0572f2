"""The live state as the daemon follows it: read whole once, then only what was written since.

What is live and equal to what is declared is held once, as the declared value. It only looks. Two threads may ask at
the same time: one that makes a whole plan, and one that makes a quick one. Used by `planner`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model import Key, LiveState, Observed
from reconciler.targets.target import LiveChanges, Reader
from schemas.v1.base import Spec


@dataclass(frozen=True, slots=True)
class Moment:
    """What was live at one moment. `version` is another one as soon as a resource was written or deleted."""

    live: LiveState
    version: int


class LiveView:
    """One reader's live state. Raises TargetError as the reader does, and then knows what it knew before."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._resources: dict[Key, Observed] = {}
        self._version = 0
        self._at: LiveChanges | None = None

    def refresh(self, known: Mapping[Key, Spec]) -> Moment:
        """Everything as it is now; the services, which take longest, before what they wait for. `known`: as for
        `Reader.observe`."""
        services = self._reader.services()
        with self._lock:
            self._follow(known)
            return Moment(LiveState(dict(self._resources), services), self._version)

    def has_moved(self, since: Moment, known: Mapping[Key, Spec]) -> bool:
        """True when a resource was written or deleted since; one question to the target."""
        with self._lock:
            self._follow(known)
            return self._version != since.version

    def _follow(self, known: Mapping[Key, Spec]) -> None:
        news = self._reader.changes_since(self._at, known)
        if news.is_whole:
            self._resources.clear()
        gone = news.deleted & self._resources.keys()
        for key in gone:
            del self._resources[key]
        self._resources.update(news.changed)
        self._at = LiveChanges(news.instance, news.until, {})
        if news.is_whole or gone or news.changed:
            self._version += 1
