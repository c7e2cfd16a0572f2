"""A directory of YAML → Desired, or everything that is wrong with it.

    find files → read (cache, or libyaml) → check each document → resolve all together → Desired

Every problem of a run is collected; a file that cannot be read does not stop the others. Nothing is written but the
parse cache, no secret is read, and nothing is asked of a target. Every verb starts here.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.declared.cache import ParseCache, content_hash
from reconciler.declared.certificates import resolve_certificates
from reconciler.declared.check import Declaration, check
from reconciler.declared.clashes import clashes
from reconciler.declared.digest import configuration_digest
from reconciler.declared.excerpts import masked
from reconciler.declared.files import SourceFile, directory_error, empty_error, find, read_file
from reconciler.declared.positions import Document
from reconciler.declared.reader import read
from reconciler.declared.resolve import Resolver, known_names
from reconciler.declared.secrets import missing_files
from reconciler.declared.sentences import SECRET_CODES
from reconciler.model import Desired, Diagnostic, Severity


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files say. `desired` is None when there are errors; `sources` holds the text of every file that a
    diagnostic points into, with whatever looks like a secret in clear left out."""

    desired: Desired | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[Path, str]


def load(directory: Path, *, cache: Path | None = None) -> Loaded:
    """Read, check and resolve every YAML file below `directory`. `cache`: where parsed files are kept between runs.

    Diagnostics are sorted by file, line and column; none is raised.
    """
    if (problem := directory_error(directory)) is not None:
        return Loaded(None, (problem,), {})
    with _paused_collector():
        return _load(directory, ParseCache(cache, directory))


def _load(directory: Path, cache: ParseCache) -> Loaded:
    found = _Found()
    for name in find(directory):
        source = read_file(directory / name)
        if isinstance(source, Diagnostic):
            found.unread.append(source)
        else:
            _take(source, cache, found)
    cache.save()
    if not (found.declarations or found.problems or found.unread):
        return Loaded(None, (empty_error(directory),), {})
    desired, clashing = _resolve(found)
    problems = [*found.problems, *found.unread, *clashing]
    has_errors = any(problem.severity is Severity.ERROR for problem in problems)
    return Loaded(None if has_errors else desired, _sorted(problems), _sources(problems))


@dataclass(frozen=True, slots=True)
class _Found:
    """What the files hold. `broken` are documents with problems, `unread` what could not be read as documents."""

    declarations: list[Declaration] = field(default_factory=list)
    broken: list[Document] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    unread: list[Diagnostic] = field(default_factory=list)


def _take(source: SourceFile, cache: ParseCache, found: _Found) -> None:
    """Add what one file declares, from the cache or by reading and checking it."""
    key = content_hash(source.content)
    declarations = cache.get(key, source.path)
    if declarations is None:
        documents, unread = read(source.content, source.path)
        checked = [(document, *check(document, source.path)) for document in documents]
        declarations = [declaration for _, declaration, _ in checked if declaration is not None]
        found.unread.extend(unread)
        found.broken.extend(document for document, declaration, _ in checked if declaration is None)
        found.problems.extend(problem for _, _, problems in checked for problem in problems)
        if not unread and len(declarations) == len(documents):
            cache.put(key, declarations)
    found.declarations.extend(declarations)


def _resolve(found: _Found) -> tuple[Desired, list[Diagnostic]]:
    """What the declarations mean together."""
    resolver = Resolver(found.declarations, known_names(found.broken, is_complete=not found.unread))
    resolver.run()
    resources = resolver.resources
    certificates, unusable = resolve_certificates(resources)
    resources.update(certificates)
    problems = [*resolver.problems, *unusable, *missing_files(resources.values()), *clashes(resources)]
    return Desired(resources, configuration_digest(resources, resolver.meanings)), problems


def _sorted(problems: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file, line and column; a problem of one document that is many resources is said once."""
    return tuple(dict.fromkeys(sorted(problems, key=_place)))


def _place(problem: Diagnostic) -> tuple[str, int, int, str]:
    where = problem.position
    return (
        (str(where.file), where.line, where.column, problem.message) if where else ("", 0, 0, problem.message)
    )


def _sources(problems: Iterable[Diagnostic]) -> Mapping[Path, str]:
    """The text of every file that a problem points into."""
    places = [problem.position for problem in problems if problem.position and problem.position.line]
    secrets = [problem.position for problem in problems if problem.code in SECRET_CODES and problem.position]
    found: dict[Path, str] = {}
    for file in sorted({place.file for place in places}):
        source = read_file(file)
        if not isinstance(source, Diagnostic):
            text = source.content.decode("utf-8-sig", errors="replace")
            found[file] = masked(text, (place for place in secrets if place.file == file))
    return found


@contextmanager
def _paused_collector() -> Iterator[None]:
    """Nothing here makes garbage cycles; looking for them while thousands of specs arise takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
