"""Plans for the daemon: one from everything, and one in milliseconds when a file was saved.

The same functions as `reconcile plan`, with what was read before kept in memory: declarations by content hash, the live
state by revision. A quick plan can be made at any time, also while a whole one is on its way in another thread. It only
looks. It keeps the last good configuration, so that drift is still seen, and healed, while the files are broken.
`rounds` and `loop` call it.
"""

from __future__ import annotations

import gc
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.applying.secrets import digests
from reconciler.daemon.feed import Feed
from reconciler.daemon.live_view import LiveView, Moment
from reconciler.daemon.saved import Saved
from reconciler.declared.cache import MemoryCache
from reconciler.declared.incremental import edited
from reconciler.declared.layout import Inputs
from reconciler.declared.load import Loaded, load
from reconciler.declared.referred import referred_files
from reconciler.model import Desired, Diagnostic, Hold, Key, LiveState, Plan, Reach, Selection
from reconciler.pipeline import Planned, Rejected, has_errors
from reconciler.planning.moves import move_problems
from reconciler.planning.plan import make_plan
from reconciler.planning.taken import NAME_TAKEN, taken_names
from reconciler.targets.target import Reader
from schemas.v1.base import Spec
from schemas.v1.certificate import Certificate

Digests = Mapping[Key, Mapping[str, str]]
Holds = Callable[[], tuple[Hold, ...]]


@dataclass(frozen=True, slots=True)
class Good:
    """A configuration without errors, its warnings, and the keyed digests of its secrets."""

    loaded: Loaded
    desired: Desired
    digests: Digests
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A plan and what it was made from. `aim` is over the configuration and its secrets: equal for two configurations
    that an apply cannot tell apart. `moves` are changes that would leave mail behind, and are never applied."""

    good: Good
    planned: Planned
    seen: Moment
    aim: str
    holds: tuple[Hold, ...] = ()
    moves: tuple[Diagnostic, ...] = ()

    @property
    def taken(self) -> tuple[Diagnostic, ...]:
        """Those of them that ask for a name of another live resource, for which the files are not used at all."""
        return tuple(move for move in self.moves if move.code == NAME_TAKEN)

    def narrowed(self, selection: Selection) -> Plan:
        """The same for a part of the estate. Raises SelectionError."""
        plan = make_plan(
            self.planned.desired,
            self.planned.live,
            digests=self.good.digests,
            selection=selection,
            holds=self.holds,
        )
        return replace(plan, environment=self.planned.plan.environment)


@dataclass(frozen=True, slots=True)
class Word:
    """A plan that was made quickly, and what was live then."""

    plan: Plan
    live: LiveState


class Planner:
    """One feed against one reader. One thread makes whole plans (`read`, `view`, `adopt`), another one may make quick
    ones meanwhile, and a third notes what was saved."""

    def __init__(self, feed: Feed, reader: Reader, inputs: Inputs, *, holds: Holds) -> None:
        self._feed = feed
        self._reader = reader
        self._inputs = inputs
        self._holds = holds
        self._cache = MemoryCache()
        self._live = LiveView(reader)
        self._saved = Saved()
        self._lock = threading.Lock()
        self._last: View | None = None

    @property
    def has_good(self) -> bool:
        """True when there was a configuration without errors since the start."""
        return self._last is not None

    def read(self) -> Good | Rejected:
        """Read the files; again when they refer to others than before, which count as looked at only from then on.
        Raises TargetError, GitError."""
        while True:
            loaded = self._load()
            found = self._checked(loaded)
            if not self._feed.refer_to(self._referred(loaded)):
                return found

    def _referred(self, loaded: Loaded) -> frozenset[Path]:
        """Broken files may wait for what they refer to, and what is in use goes on."""
        if loaded.desired is not None:
            return referred_files(loaded.desired.resources.values())
        in_use = self._last.good.desired.resources.values() if self._last else ()
        return loaded.referred | referred_files(in_use)

    def _load(self) -> Loaded:
        with self._lock:
            self._saved.begin_reading()
        with self._feed.open() as source:
            inputs = self._inputs
            return load(
                source,
                cache=self._cache,
                environment=inputs.environment,
                variables=inputs.variables,
                policies=inputs.policies,
            )

    def _checked(self, loaded: Loaded) -> Good | Rejected:
        if loaded.desired is None or has_errors(loaded.diagnostics):
            return Rejected(loaded.diagnostics, loaded.sources)
        found, problems = digests(loaded.desired, self._reader.digest_key())
        diagnostics = (*loaded.diagnostics, *problems)
        if has_errors(diagnostics):
            return Rejected(diagnostics, loaded.sources)
        return Good(loaded, loaded.desired, found, diagnostics)

    def view(self, good: Good | None = None) -> View | None:
        """This configuration, or the last good one, against what is live now; None when there is none. Raises
        TargetError."""
        good = good or (self._last.good if self._last else None)
        if good is None:
            return None
        seen = self._live.refresh(_specs(good.desired))
        holds = self._holds()
        plan = make_plan(good.desired, seen.live, digests=good.digests, holds=holds)
        plan = replace(plan, environment=self._inputs.environment)
        planned = Planned(good.desired, seen.live, plan, good.diagnostics, good.loaded.sources, good.digests)
        moves = tuple(move_problems(plan, good.desired, seen.live))
        return View(good, planned, seen, _aim(good), holds, moves)

    def adopt(self, view: View) -> None:
        """What is read and planned from now on starts here."""
        is_new = self._last is None or view.good is not self._last.good
        if is_new:
            self._settle_memory()
        with self._lock:
            self._last = view
            if is_new:
                self._saved.adopt_reading()
        self._live.settle(view.seen)

    def _settle_memory(self) -> None:
        """What was read stays for long: the collector need not walk over it again and again, which would take longer
        than a quick plan. Reading leaves no cycles behind, but the start of the program does."""
        if self._last is None:
            gc.collect()
        gc.freeze()

    def note_saved(self, before: Mapping[Path, str]) -> None:
        """These files were saved, and held something with these hashes before; none: anything may have happened."""
        with self._lock:
            self._saved.note(before)

    def quick(self) -> Word | None:
        """A plan after all files that were saved since the last adopted reading began, if that can be told without
        reading everything. Raises TargetError."""
        with self._lock:
            last, saved = self._last, self._saved.all()
        if last is None or saved is None:
            return None
        with self._feed.open() as source:
            environment = self._inputs.environment
            found = edited(last.good.loaded, source, before=saved, cache=self._cache, environment=environment)
        if found is None or self._holds():
            return None
        news = self._live.since(last.seen, _specs(found.desired))
        if news is None:
            return None
        return self._plan_some(found.desired, found.keys | news.moved, last=last, live=news.live)

    def _plan_some(
        self, desired: Desired, keys: frozenset[Key], *, last: View, live: LiveState
    ) -> Word | None:
        """What else is declared was equal to what is live, and neither has changed. How far it reaches is not counted:
        that takes a look at every mailbox."""
        before = last.planned.plan
        pending = {key for change in before.changes for key in (change.key, change.live_key)}
        wanted = {*keys, *pending, *_servers(desired)}
        part = Desired(
            {key: desired.resources[key] for key in wanted if key in desired.resources}, desired.digest
        )
        theirs = LiveState({k: live.resources[k] for k in wanted if k in live.resources}, live.services)
        secrets, problems = digests(part, self._reader.digest_key())
        if problems:
            return None
        plan = make_plan(part, theirs, digests=secrets)
        if any(taken_names(plan, part, live)):
            return None
        whole = replace(
            plan,
            undeclared=before.undeclared,
            unreadable=before.unreadable,
            reach=Reach(),
            environment=before.environment,
        )
        return Word(whole, live)


def _specs(desired: Desired) -> Mapping[Key, Spec]:
    return {key: resource.spec for key, resource in desired.resources.items()}


def _servers(desired: Desired) -> Iterable[Key]:
    return (key for key in desired.resources if key.kind == "Server")


def _aim(good: Good) -> str:
    secrets = sorted([*key, sorted(found.items())] for key, found in good.digests.items())
    # What was read from a certificate's file is no part of the configuration's digest.
    thumbprints = sorted(
        [*key, resource.spec.thumbprint or "", *resource.spec.chain]
        for key, resource in good.desired.resources.items()
        if isinstance(resource.spec, Certificate)
    )
    return hashlib.sha256(json.dumps([good.desired.digest, secrets, thumbprints]).encode()).hexdigest()
