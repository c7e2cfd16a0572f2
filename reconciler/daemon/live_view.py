"""The live state as the daemon follows it: read whole once, then only what was written since.

What is live and equal to what is declared is held once, as the declared value. Which resources moved after a moment is
remembered until a later one is settled on. It only looks. Two threads may ask at the same time: one that makes a whole
plan, and one that makes a quick one. Used by `planner`.
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


@dataclass(frozen=True, slots=True)
class News:
    """What is live now, with the services as they were, and which resources were written or deleted since then."""

    live: LiveState
    moved: frozenset[Key]


class LiveView:
    """One reader's live state. Raises TargetError as the reader does, and then knows what it knew before."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._resources: dict[Key, Observed] = {}
        self._moved: dict[Key, int] = {}
        self._version = 0
        self._whole_at = 0
        self._at: LiveChanges | None = None

    def refresh(self, known: Mapping[Key, Spec]) -> Moment:
        """Everything as it is now; the services, which take longest, before what they wait for. `known`: as for
        `Reader.observe`."""
        services = self._reader.services()
        with self._lock:
            self._follow(known)
            return Moment(LiveState(dict(self._resources), services), self._version)

    def since(self, moment: Moment, known: Mapping[Key, Spec]) -> News | None:
        """What has moved since; one question to the target. None when that is anything, as after another runtime has
        started."""
        with self._lock:
            self._follow(known)
            if moment.version < self._whole_at:
                return None
            moved = frozenset(key for key, version in self._moved.items() if version > moment.version)
            return News(LiveState(dict(self._resources), moment.live.services), moved)

    def settle(self, moment: Moment) -> None:
        """Nobody will ask for what moved before."""
        with self._lock:
            self._moved = {key: version for key, version in self._moved.items() if version > moment.version}

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
        if news.is_whole:
            self._whole_at = self._version
            self._moved.clear()
        else:
            self._moved.update(dict.fromkeys((*gone, *news.changed), self._version))
