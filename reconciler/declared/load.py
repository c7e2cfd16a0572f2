"""A directory of YAML → Desired, or everything that is wrong with it.

    find files → read (cache, or libyaml) → overlay → put in variables → check each document → resolve → Desired

Every problem of a run is collected; a file that cannot be read does not stop the others. Nothing is written but the
parse cache, no secret is read, and nothing is asked of a target. Every verb starts here.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.declared.ahead import NOT_AHEAD, Ahead
from reconciler.declared.allowances import allowances, of_estate
from reconciler.declared.cache import Cache, ParseCache, content_hash
from reconciler.declared.certificates import resolve_certificates
from reconciler.declared.check import Declaration, check, is_policy, unasked
from reconciler.declared.clashes import clashes
from reconciler.declared.digest import configuration_digest
from reconciler.declared.excerpts import masked
from reconciler.declared.files import empty_error, read_file
from reconciler.declared.frozen import thaw
from reconciler.declared.item import Item, Record
from reconciler.declared.layout import Layout, layout, locate
from reconciler.declared.older import advice, renew, version_of
from reconciler.declared.overlays import combine, missing_base
from reconciler.declared.positions import Document
from reconciler.declared.referred import referred_files
from reconciler.declared.resolve import Resolver, known_names
from reconciler.declared.secrets import missing_files
from reconciler.declared.sentences import SECRET_CODES
from reconciler.declared.source import DirectorySource, Source
from reconciler.declared.variables import MARK, Variables, declare, noted, substitute
from reconciler.model import Allowance, Desired, Diagnostic, Severity
from schemas.v1.document import VARIABLES


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files say. `desired` is None when there are errors; `sources` holds the text of every file that a
    diagnostic points into, with whatever looks like a secret in clear left out. `allowances` are those of all
    documents when there are errors; without any the resources have them. `files`: what was read, by the hash of its
    content. `variables` are what ${…} stood for. `referred`: when there are errors, the secret and certificate files
    that are known to be named all the same."""

    desired: Desired | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]
    allowances: tuple[Allowance, ...] = ()
    files: Mapping[Path, str] = field(default_factory=dict)
    variables: Variables = field(default_factory=Variables)
    referred: frozenset[Path] = frozenset()


def load(
    source: Source | Path,
    *,
    cache: Path | Cache | None = None,
    environment: str | None = None,
    variables: Mapping[str, str] | None = None,
    policies: Collection[Path] = (),
    ahead: Ahead = NOT_AHEAD,
) -> Loaded:
    """Read, check and resolve the YAML files of a source; a path is a directory, or one of its overlays.

    `cache`: the directory where parsed files are kept between runs, or the cache itself. `environment`: which overlay
    counts. `variables`: values as text, by name. `policies`: directories that the run asks beside the estate's own.
    `ahead`: what is parsed elsewhere meanwhile. Diagnostics are sorted by file, line and column; none is raised.
    """
    if isinstance(source, Path):
        root, environment = locate(source, environment)
        source = DirectorySource(root)
    if (problem := source.problem()) is not None:
        return Loaded(None, (problem,), {})
    chosen = layout(source, environment)
    if isinstance(chosen, Diagnostic):
        return Loaded(None, (chosen,), {})
    with _paused_collector():
        if cache is None or isinstance(cache, Path):
            cache = ParseCache(cache, source.root / (environment or ""))
        return _Loading(source, cache, ahead, policies).run(chosen, variables or {})


class _Loading:
    """One run: what the files hold, stage by stage. `broken` are documents with problems, `refused` those of them in
    the newest form, `unread` is what could not be read as documents."""

    def __init__(self, source: Source, cache: Cache, ahead: Ahead, policies: Collection[Path]) -> None:
        self.source = source
        self.cache = cache
        self.ahead = ahead
        self.asked = policies
        self.digest = ""  # of the variables
        self.variables = Variables()
        self.files: dict[Path, str] = {}
        self.base: list[Item] = []
        self.records: list[Record] = []
        self.declarations: list[Declaration] = []
        self.broken: list[Document] = []
        self.refused: list[tuple[Document, Path]] = []
        self.problems: list[Diagnostic] = []
        self.unread: list[Diagnostic] = []

    def run(self, chosen: Layout, given: Mapping[str, str]) -> Loaded:
        self.problems.extend(chosen.problems)
        base = self._read(chosen.files, is_partial=chosen.patches is not None)
        patches = self._read(chosen.patches or (), is_partial=True)
        items = base if chosen.patches is None else self._overlaid(base, patches)
        variables = self._variables([item for item in items if _is_variables(item)], given)
        self.base = base
        for item in items:
            if not _is_variables(item):
                self._declare(item, variables)
        if not self.unread:
            self.problems.extend(variables.unused())
        self._keep()
        return self._loaded()

    def _loaded(self) -> Loaded:
        if not (self.declarations or self.problems or self.unread):
            return Loaded(None, (empty_error(self.source.root),), {})
        desired, clashing = self._resolved()
        documents = [(found.document, found.file) for found in self.declarations if found.document.notes]
        problems = [*noted([*self.problems, *clashing], documents), *self.unread]
        has_errors = any(problem.severity is Severity.ERROR for problem in problems)
        sources = _sources(problems, self.source)
        if has_errors:
            referred = referred_files(desired.resources.values())
            allowed = tuple(self._allowances(desired))
            return Loaded(None, _sorted(problems), sources, allowed, referred=referred)
        return Loaded(desired, _sorted(problems), sources, files=self.files, variables=self.variables)

    def _allowances(self, desired: Desired) -> Iterator[Allowance]:
        yield from of_estate(desired)
        for document, file in self.refused:
            yield from (one for one in allowances(document, file) if one.rule)

    def _read(self, files: Iterable[Path], *, is_partial: bool) -> list[Item]:
        """The documents of the files, from the cache or by reading them."""
        items: list[Item] = []
        for path in files:
            file = read_file(path, self.source.read)
            if isinstance(file, Diagnostic):
                self.unread.append(file)
                continue
            record = Record(path, content_hash(file.content), MARK.encode() in file.content)
            self.files[path] = record.key
            if not self.cache.fill(record):
                self._parse(record, file.content, is_partial=is_partial)
            self.records.append(record)
            items.extend(record.items)
        return items

    def _parse(self, record: Record, content: bytes, *, is_partial: bool) -> None:
        unread: tuple[Diagnostic, ...] = ()
        documents = self.ahead.documents(record.path, record.key)
        if documents is None:
            from reconciler.declared.reader import read  # the YAML library, where nothing spares it

            documents, unread = read(content, record.path)
        declared = [document for document in documents if not is_policy(document)]
        policies = filter(is_policy, documents)
        self.problems.extend(unasked(policies, record.path, root=self.source.root, asked=self.asked))
        record.items = [Item(document, (record,)) for document in declared]
        # What is a policy lies with the file's place too, and a cache knows files by their content alone.
        record.is_clean = not unread and len(declared) == len(documents)
        self.unread.extend(unread)
        self._renew(record, is_partial=is_partial)
        if not (is_partial or record.has_references):
            self._check_now(record)

    def _check_now(self, record: Record) -> None:
        """Check what nothing will be put into, while the next file is parsed elsewhere. What is not good is checked
        again, and told, when it is its turn."""
        for item in record.items:
            if not _is_variables(item):
                item.declaration, _ = check(item.document, item.file)

    def _renew(self, record: Record, *, is_partial: bool) -> None:
        """Bring documents of an older version into the newest form; a file that holds some is never kept."""
        old = [(item, version) for item in record.items if (version := version_of(item.document))]
        for item, _ in old:
            document, problems = renew(item.document, record.path, is_partial=is_partial)
            self.problems.extend(problems)
            if document is None:
                self.broken.append(item.document)
                record.items.remove(item)
            else:
                item.document = document
        if old:
            record.is_clean = False
            self.problems.append(advice(record.path, old[0][1], len(old)))

    def _overlaid(self, base: list[Item], patches: list[Item]) -> list[Item]:
        combined = combine(base, patches)
        self.problems.extend(combined.problems)
        return combined.items

    def _variables(self, items: list[Item], given: Mapping[str, str]) -> Variables:
        variables, problems = declare(items, given)
        self.problems.extend(problems)
        variables.is_complete = variables.is_complete and not self.unread
        self.variables, self.digest = variables, variables.digest
        return variables

    def _declare(self, item: Item, variables: Variables) -> None:
        """Add what one document declares: as a former run left it, or by checking it."""
        document = item.document
        if item.has_references:
            document, problems, is_whole = substitute(item, variables)
            if not is_whole:
                return self._refuse(item, document, problems)
            if item.bound != self.digest:
                item.frozen = item.declaration = None
        if item.declaration is None and item.frozen is not None:
            item.declaration = thaw(item.frozen, document, item.file)
        if item.declaration is None:
            item.declaration, problems = check(document, item.file)
        if item.declaration is not None:
            return self.declarations.append(item.declaration)
        added = (missing_base(item, self.base),) if item.is_added else ()
        return self._refuse(item, document, (*added, *noted(problems, [(document, item.file)])))

    def _refuse(self, item: Item, document: Document, problems: Iterable[Diagnostic]) -> None:
        item.complain()
        self.broken.append(document)
        self.refused.append((document, item.file))
        self.problems.extend(problems)

    def _keep(self) -> None:
        for record in self.records:
            if record.is_clean:
                self.cache.keep(record, self.digest)
            else:
                self.cache.drop(record)
        self.cache.save()
        for record in self.records:
            record.items = []  # which know their record: no cycle shall be left for the collector

    def _resolved(self) -> tuple[Desired, list[Diagnostic]]:
        """What the declarations mean together."""
        resolver = Resolver(self.declarations, known_names(self.broken, is_complete=not self.unread))
        resolver.run()
        for document, file in self.refused:
            resolver.check_refused(document, file)
        resources = resolver.resources
        certificates, unusable = resolve_certificates(resources, self.source)
        resources.update(certificates)
        problems = [*resolver.problems, *unusable, *clashes(resources, unsure=resolver.unsure())]
        if self.source.holds_secrets:
            problems.extend(missing_files(resources.values()))
        # What a certificate from a file is, is known only now that the file has been read.
        digests = {key: found for key, found in resolver.digests.items() if key not in certificates}
        digest = configuration_digest(resources, digests, root=self.source.root)
        return Desired(resources, digest, digests), problems


def _is_variables(item: Item) -> bool:
    return isinstance(item.document.value, dict) and item.document.value.get("kind") == VARIABLES


def _sorted(problems: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file, line and column; a problem of one document that is many resources is said once."""
    return tuple(dict.fromkeys(sorted(problems, key=_place)))


def _place(problem: Diagnostic) -> tuple[str, int, int, str]:
    where = problem.position
    return (
        (str(where.file), where.line, where.column, problem.message) if where else ("", 0, 0, problem.message)
    )


def _sources(problems: Iterable[Diagnostic], source: Source) -> Mapping[Path, str]:
    """The text of every file that a problem points into."""
    places = [problem.position for problem in problems if problem.position and problem.position.line]
    secrets = [problem.position for problem in problems if problem.code in SECRET_CODES and problem.position]
    found: dict[Path, str] = {}
    for file in sorted({place.file for place in places}):
        read_again = read_file(file, source.read)
        if not isinstance(read_again, Diagnostic):
            text = read_again.content.decode("utf-8-sig", errors="replace")
            found[file] = masked(text, (place for place in secrets if place.file == file))
    return found


@contextmanager
def _paused_collector() -> Iterator[None]:
    """Nothing here makes garbage cycles; looking for them while thousands of specs arise takes a third of the time.

    What arose counts as old afterwards, so that the first collection need not walk through all of it either."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if was_enabled:
            gc.enable()
