"""Plans for the daemon: one from everything, and one in milliseconds when a file was saved.

The same functions as `reconcile plan`, with what was read before kept in memory: declarations by content hash, the live
state by revision. What takes long can be done ahead, in another thread, while quick plans are made. It only looks. It
keeps the last good configuration, so that drift is still seen, and healed, while the files are broken. `rounds` and
`loop` call it.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.applying.secrets import digests
from reconciler.daemon.feed import Feed
from reconciler.daemon.live_view import LiveView, Moment
from reconciler.declared.cache import MemoryCache
from reconciler.declared.incremental import edited
from reconciler.declared.layout import Inputs
from reconciler.declared.load import Loaded, load
from reconciler.model import Desired, Diagnostic, Hold, Key, LiveState, Plan, Reach, Selection
from reconciler.pipeline import NO_INPUTS, Planned, Rejected, has_errors
from reconciler.planning.moves import move_problems
from reconciler.planning.plan import make_plan
from reconciler.targets.target import Reader
from schemas.v1.base import Spec
from schemas.v1.certificate import Certificate

Digests = Mapping[Key, Mapping[str, str]]
Holds = Callable[[], tuple[Hold, ...]]


@dataclass(frozen=True, slots=True)
class _Good:
    """A configuration without errors, its warnings, and the keyed digests of its secrets."""

    loaded: Loaded
    desired: Desired
    digests: Digests
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A plan and what it was made from. `aim` is over the configuration and its secrets: equal for two configurations
    that an apply cannot tell apart. `moves` are changes that would leave mail behind, and are never applied."""

    planned: Planned
    seen: Moment
    digests: Digests
    aim: str
    holds: tuple[Hold, ...] = ()
    moves: tuple[Diagnostic, ...] = ()

    def narrowed(self, selection: Selection) -> Plan:
        """The same for a part of the estate. Raises SelectionError."""
        return make_plan(
            self.planned.desired,
            self.planned.live,
            digests=self.digests,
            selection=selection,
            holds=self.holds,
        )


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was found before a round began: the files (None: they are what they were), and the plan, if there can be
    one."""

    files: _Good | Rejected | None
    view: View | None


class Planner:
    """One feed against one reader. A quick plan is for plain directories alone."""

    def __init__(
        self, feed: Feed, reader: Reader, inputs: Inputs = NO_INPUTS, *, holds: Holds = lambda: ()
    ) -> None:
        self._feed = feed
        self._reader = reader
        self._inputs = inputs
        self._holds = holds
        self._cache = MemoryCache()
        self._live = LiveView(reader)
        self._good: _Good | None = None
        self._last: View | None = None
        self._ahead: Ahead | None = None
        #: The files saved since the good configuration was read, with their hashes then; None: more has changed.
        self._saved: Mapping[Path, str] | None = {}

    @property
    def has_good(self) -> bool:
        """True when there was a configuration without errors since the start."""
        return self._good is not None

    @property
    def live(self) -> LiveState | None:
        """What was live when it was last looked at whole."""
        return self._last.planned.live if self._last else None

    def look_ahead(self, *, reads: bool) -> Ahead:
        """What the next `read` (only if it `reads`) and `plan` would find; may run in another thread, beside `quick`.
        Raises TargetError, GitError."""
        files = self._load() if reads else None
        good = files if isinstance(files, _Good) else self._good
        return Ahead(files, self._view(good) if good else None)

    def adopt(self, ahead: Ahead) -> None:
        """Let the next `read` and `plan` use this."""
        self._ahead = ahead

    def read(self) -> Rejected | None:
        """Read the files; what is wrong with them, if they are not to be used. Raises TargetError, GitError."""
        found = self._ahead.files if self._ahead else None
        found = found or self._load()
        if isinstance(found, Rejected):
            return found
        self._settle_memory()
        self._good = found
        self._saved = {}
        self._feed.refer_to(referred_files(found.desired))
        return None

    def _load(self) -> _Good | Rejected:
        with self._feed.open() as source:
            inputs = self._inputs
            loaded = load(
                source, cache=self._cache, environment=inputs.environment, variables=inputs.variables
            )
        if loaded.desired is None or has_errors(loaded.diagnostics):
            return Rejected(loaded.diagnostics, loaded.sources)
        found, problems = digests(loaded.desired, self._reader.digest_key())
        diagnostics = (*loaded.diagnostics, *problems)
        if has_errors(diagnostics):
            return Rejected(diagnostics, loaded.sources)
        return _Good(loaded, loaded.desired, found, diagnostics)

    def plan(self) -> View | None:
        """The last good configuration against what is live now; None when there is none. Raises TargetError."""
        ahead, self._ahead = self._ahead, None
        if self._good is not None:
            self._last = (ahead and ahead.view) or self._view(self._good)
        return self._last

    def _view(self, good: _Good) -> View:
        seen = self._live.refresh(_specs(good.desired))
        holds = self._holds()
        plan = make_plan(good.desired, seen.live, digests=good.digests, holds=holds)
        planned = Planned(good.desired, seen.live, plan, good.diagnostics, good.loaded.sources, good.digests)
        moves = tuple(move_problems(plan, good.desired, seen.live))
        return View(planned, seen, good.digests, _aim(good), holds, moves)

    def _settle_memory(self) -> None:
        """What was read stays for long: the collector need not walk over it again and again, which would take longer
        than a quick plan. Reading leaves no cycles behind, but the start of the program does."""
        if self._good is None:
            gc.collect()
        gc.freeze()

    def quick(self, before: Mapping[Path, str]) -> Plan | None:
        """A plan after these files were saved (none: anything may have happened) and all that were since the last
        reading, if that can be told without reading everything. Raises TargetError."""
        self._saved = {**before, **self._saved} if before and self._saved is not None else None
        good, last = self._good, self._last
        if good is None or last is None or self._saved is None or self._inputs != NO_INPUTS:
            return None
        with self._feed.open() as source:
            found = edited(good.loaded, source, before=self._saved, cache=self._cache)
        if found is None or self._live.has_moved(last.seen, _specs(found.desired)):
            return None
        if self._holds():
            return None
        return self._plan_some(found.desired, found.keys, last)

    def _plan_some(self, desired: Desired, keys: Iterable[Key], last: View) -> Plan | None:
        """What else is declared was equal to what is live, and neither has changed. How far it reaches is not counted:
        that takes a look at every mailbox."""
        live = last.planned.live
        wanted = {*keys, *(change.key for change in last.planned.plan.changes), *_servers(desired)}
        part = Desired(
            {key: desired.resources[key] for key in wanted if key in desired.resources}, desired.digest
        )
        theirs = LiveState({k: live.resources[k] for k in wanted if k in live.resources}, live.services)
        secrets, problems = digests(part, self._reader.digest_key())
        if problems:
            return None
        plan = make_plan(part, theirs, digests=secrets)
        before = last.planned.plan
        return replace(plan, undeclared=before.undeclared, unreadable=before.unreadable, reach=Reach())


def referred_files(desired: Desired) -> frozenset[Path]:
    """Secret and certificate files that declarations refer to, wherever they lie."""
    resources = desired.resources.values()
    secrets = (
        ref.location for resource in resources for ref in resource.secrets.values() if ref.source != "env"
    )
    certificates = (
        file
        for resource in resources
        if isinstance(resource.spec, Certificate)
        for file in (resource.spec.certificate_file, resource.spec.private_key_file)
    )
    return frozenset(Path(file) for file in (*secrets, *certificates) if file)


def _specs(desired: Desired) -> Mapping[Key, Spec]:
    return {key: resource.spec for key, resource in desired.resources.items()}


def _servers(desired: Desired) -> Iterable[Key]:
    return (key for key in desired.resources if key.kind == "Server")


def _aim(good: _Good) -> str:
    secrets = sorted([*key, sorted(found.items())] for key, found in good.digests.items())
    # A thumbprint that was read from a file is no part of the configuration's digest.
    thumbprints = sorted(
        [*key, resource.spec.thumbprint or ""]
        for key, resource in good.desired.resources.items()
        if isinstance(resource.spec, Certificate)
    )
    return hashlib.sha256(json.dumps([good.desired.digest, secrets, thumbprints]).encode()).hexdigest()
