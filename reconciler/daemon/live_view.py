"""The live state as the daemon follows it: read whole once, then only what was written since.

What is live and equal to what is declared is held once, as the declared value. It only looks. Used by `planner`.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import Key, LiveState, Observed, ServiceState
from reconciler.targets.target import LiveChanges, Reader
from schemas.v1.base import Spec


class LiveView:
    """One reader's live state. Raises TargetError as the reader does, and then knows what it knew before."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._resources: dict[Key, Observed] = {}
        self._services: Mapping[str, ServiceState] = {}
        self._at: LiveChanges | None = None

    def refresh(self, known: Mapping[Key, Spec]) -> LiveState:
        """Everything as it is now. `known`: as for `Reader.observe`."""
        self._follow(known)
        self._services = self._reader.services()
        return LiveState(dict(self._resources), self._services)

    def has_moved(self, known: Mapping[Key, Spec]) -> bool:
        """True when a resource was written or deleted since the last look; one question to the target."""
        return self._at is None or self._follow(known)

    def _follow(self, known: Mapping[Key, Spec]) -> bool:
        news = self._reader.changes_since(self._at, known)
        if news.is_whole:
            self._resources.clear()
        gone = news.deleted & self._resources.keys()
        for key in gone:
            del self._resources[key]
        self._resources.update(news.changed)
        self._at = LiveChanges(news.instance, news.until, {})
        return news.is_whole or bool(gone or news.changed)
