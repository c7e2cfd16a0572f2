"""A pull request → a `Review`: what head declares against the commit where it left base.

    revisions → trees → declared estates, one an environment → difference, guardrails → Review

Compared is what a pull request shows: head against its merge base, so that what happened on base meanwhile is nobody's
change. Objects are read from git, nothing is checked out and nothing is written but the cache. Called by the CLI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from reconciler.declared.layout import BASE, EITHER, OVERLAYS, POLICIES, clash, environments
from reconciler.declared.load import Loaded, load
from reconciler.guardrails.files import estate_policies
from reconciler.guardrails.guard import SHIPPED_WORD, Guard
from reconciler.guardrails.policy import PolicySet
from reconciler.model import Desired, Plan
from reconciler.review.difference import compare
from reconciler.review.findings import Judged, findings
from reconciler.review.git import Blobs, Repository, Tree
from reconciler.review.git_source import GitSource, secret_marks, unseen_files
from reconciler.review.model import Comparison, Findings, Review, Side
from reconciler.review.places import Places
from reconciler.review.read_before import ReadBefore

_EMPTY = Desired({}, digest="")


@dataclass(frozen=True, slots=True)
class Request:
    """What to review. `directory` is the estate as trees name it; no `environments` means all there are. `now` is when
    guardrails are judged; `guard` names policies beside the estate's own: when it names none, the shipped ones count.
    `cache`: where parsed files are kept between reviews."""

    directory: PurePosixPath
    base: str
    head: str
    now: datetime
    environments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    guard: Guard = field(default_factory=Guard)
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """One revision of one estate, as it was read."""

    source: GitSource
    loaded: Loaded

    @property
    def desired(self) -> Desired | None:
        """What it declares; None when it has errors."""
        return self.loaded.desired


Live = Callable[[Desired], Plan]


class ReviewError(Exception):
    """What was asked for cannot be reviewed; the text says why and how to go on."""


def review_revisions(repository: Repository, request: Request, *, live: Live | None = None) -> Review:
    """Review a pull request. `live` plans an estate against what is live. Raises GitError,
    ReviewError, and what `live` raises."""
    head = repository.commit(request.head)
    base = repository.merge_base(repository.commit(request.base), head)
    trees = repository.tree(base), repository.tree(head)
    request = _located(request, {**trees[0], **trees[1]})
    with ExitStack() as stack:
        blobs = stack.enter_context(Blobs(repository))
        sources = [
            GitSource(repository, tree=tree, directory=request.directory, blobs=blobs, name=name)
            for tree, name in zip(trees, (base[:12], request.head), strict=True)
        ]
        reviewer = _Reviewer(sources[0], sources[1], request, Places(repository.root), live)
        comparisons = tuple(reviewer.comparisons())
    return Review(
        directory=str(request.directory),
        base=request.base,
        head=request.head,
        base_commit=base,
        head_commit=head,
        comparisons=comparisons,
        guarding=tuple(_changed_below(request.directory / POLICIES, *trees)),
    )


class _Reviewer:
    """Compares two sources, one environment after another."""

    def __init__(
        self, base: GitSource, head: GitSource, request: Request, places: Places, live: Live | None
    ) -> None:
        self._base = base
        self._head = head
        self._request = request
        self._places = places
        self._live = live
        self._policies = _policies(head, request.guard)
        self._policies_before = _with_waivers_of(base, self._policies, head)
        self._cache = ReadBefore(request.cache, head.root)

    def comparisons(self) -> Iterator[Comparison]:
        """Each environment that was asked for, or that either revision has."""
        names = self._request.environments or self._environments() or (None,)
        if self._live is not None and len(names) > 1:
            raise ReviewError("one live estate has one environment; name it with --environment")
        for name in names:
            yield self._comparison(name)
        self._cache.close()

    def _environments(self) -> tuple[str, ...]:
        return tuple(sorted({name for source in (self._base, self._head) for name in environments(source)}))

    def _comparison(self, name: str | None) -> Comparison:
        base, head = self._declared(self._base, name), self._declared(self._head, name)
        comparison = Comparison(name, self._side(base), self._side(head))
        if head.desired is None:
            return comparison
        # Where base is broken nothing is compared, but head is still held against the guardrails, as if all were new.
        before = base.desired if base.desired is not None else _EMPTY
        found = compare(
            before,
            head.desired,
            base_marks=secret_marks(before, base.source),
            head_marks=secret_marks(head.desired, head.source),
        )
        live = self._live(head.desired) if self._live is not None else None
        comparison = replace(
            comparison,
            findings=self._findings(
                Judged(
                    before,
                    found.live,
                    Plan(before.digest, (), (), {}),
                    base.source,
                    self._policies_before,
                ),
                Judged(head.desired, found.live, found.plan, head.source, self._policies),
                name,
            ),
            live=live and self._places.plan(live),
        )
        if base.desired is None:
            return comparison
        concerns = tuple(self._places.concern(concern) for concern in found.concerns)
        return replace(comparison, plan=self._places.plan(found.plan), concerns=concerns)

    def _labels(self, name: str | None) -> Mapping[str, str]:
        """Those of the run; an overlay's name is the label `environment` unless the run says otherwise."""
        own = {} if name is None else {"environment": name}
        return own | dict(self._request.guard.labels)

    def _findings(self, base: Judged, head: Judged, name: str | None) -> Findings:
        found = findings(base, head, now=self._request.now, environment=self._labels(name), overlay=name)
        return Findings(
            new=tuple(map(self._places.finding, found.new)),
            remaining=tuple(map(self._places.finding, found.remaining)),
            fixed=tuple(map(self._places.finding, found.fixed)),
            waived=tuple(map(self._places.finding, found.waived)),
            allowed=tuple(map(self._places.finding, found.allowed)),
            problems=tuple(map(self._places.diagnostic, found.problems)),
            excused=tuple(map(self._places.finding, found.excused)),
        )

    def _declared(self, source: GitSource, name: str | None) -> Declared:
        """What a revision declares; nothing at all where it does not have the directory or the environment yet."""
        other = self._head if source is self._base else self._base
        if not _exists(source, name) and _exists(other, name):
            return Declared(source, Loaded(_EMPTY, (), {}))
        chosen = name if environments(source) else None
        variables = self._request.variables
        asked = self._request.guard.directories
        loaded = load(source, cache=self._cache, environment=chosen, variables=variables, policies=asked)
        if source is self._base and _misses_variables(loaded):
            # A variable that head adds is unknown to base, where nothing can use it.
            known = {
                name: value
                for name, value in variables.items()
                if not _misses_variables(load(source, environment=chosen, variables={name: value}))
            }
            loaded = load(source, cache=self._cache, environment=chosen, variables=known, policies=asked)
        return Declared(source, loaded)

    def _side(self, declared: Declared) -> Side:
        notes = (
            (*declared.source.submodules(), *unseen_files(declared.desired, declared.source))
            if declared.desired is not None and declared.source is self._head
            else ()
        )
        return Side(
            digest=(declared.desired.digest or None) if declared.desired is not None else None,
            diagnostics=tuple(map(self._places.diagnostic, (*declared.loaded.diagnostics, *notes))),
            sources=self._places.sources(declared.loaded.sources),
        )


def _policies(head: GitSource, guard: Guard) -> PolicySet:
    """Those of head: a pull request that changes a policy is judged by what it proposes, and shown to change it.
    Beside them the shipped ones are asked, unless the run names others."""
    return replace(guard, policies=guard.policies or (SHIPPED_WORD,)).load(head)


def _with_waivers_of(base: GitSource, policies: PolicySet, head: GitSource) -> PolicySet:
    """Head's policies as base is held against them: with base's own waivers in place of head's."""
    own = head.root / POLICIES
    asked = [waiver for waiver in policies.waivers if not waiver.position.file.is_relative_to(own)]
    return replace(policies, waivers=(*asked, *estate_policies(base).waivers))


def _misses_variables(loaded: Loaded) -> bool:
    """True when a value was given for a variable that no file declares."""
    return any(found.code == "unknown-variable" and found.position is None for found in loaded.diagnostics)


def _exists(source: GitSource, name: str | None) -> bool:
    """True when the revision has the environment; a plain directory stands for each."""
    there = environments(source)
    return source.problem() is None and (name is None or not there or name in there)


def _located(request: Request, tree: Tree) -> Request:
    """The estate and the environment, when the directory is one of its overlays; the estate, when it is its base."""
    above = request.directory.parent
    if request.directory.name == BASE and any(name.is_relative_to(above / OVERLAYS) for name in tree):
        return replace(request, directory=above)
    if above.name != OVERLAYS or not any(name.is_relative_to(above.parent / BASE) for name in tree):
        return request
    named = request.directory.name
    if others := set(request.environments) - {named}:
        raise ReviewError(clash(request.directory, named, min(others), said=EITHER))
    return replace(request, directory=above.parent, environments=(named,))


def _changed_below(directory: PurePosixPath, base: Tree, head: Tree) -> Iterable[str]:
    """The files below a directory that differ between two trees."""
    below = {name for name in (*base, *head) if name.is_relative_to(directory)}
    return sorted(str(name) for name in below if base.get(name) != head.get(name))
