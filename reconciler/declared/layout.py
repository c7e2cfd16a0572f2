"""Which files of a source are read: all of a plain directory, or `base/` and one of `overlays/`.

A directory with both is layered, and nothing of it is read before an environment is chosen: by name, or by giving
`DIR/overlays/NAME` as the directory. `DIR/base` stands for DIR, since the base alone is never planned. Called by
`load`, and by whoever has to know what a directory belongs to. Where the two disagree nothing is read.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from reconciler.declared.source import Source
from reconciler.declared.suggest import did_you_mean
from reconciler.declared.syntax import error
from reconciler.expected import ExpectedError
from reconciler.model import Diagnostic, Position, Severity

BASE, OVERLAYS = "base", "overlays"
#: Where an environment is named beside the directory.
OPTION, VARIABLE = "--environment", "RECONCILE_ENVIRONMENT"
EITHER = f"{OPTION} or {VARIABLE}"
#: Where an estate keeps guardrails of its own.
POLICIES = "policies"
#: Where a run names others.
ASKED_OPTION, ASKED_VARIABLE = "--policies", "RECONCILE_POLICIES"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run says about an estate beyond its files: the environment, the values of variables as text, and which
    directories of policies it asks beside the estate's own."""

    environment: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The files to read, in order. `patches` are None in a plain directory."""

    files: Sequence[Path]
    patches: Sequence[Path] | None = None
    problems: tuple[Diagnostic, ...] = ()


class EnvironmentClashError(ExpectedError):
    """The directory is one environment, and another one is chosen."""


def locate(directory: Path, environment: str | None, *, said: str = EITHER) -> tuple[Path, str | None]:
    """The directory that holds base/ and overlays/, and the environment, when given one of its overlays, or its base;
    else the two as they are. `said`: where `environment` comes from, for EnvironmentClashError, which is raised when
    the directory is an overlay of another one."""
    whole = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() would follow symbolic links
    if whole.name == BASE and (whole.parent / OVERLAYS).is_dir():
        is_plain = len(directory.parts) > 1 and directory.parts[-1] == BASE
        return (directory if is_plain else whole).parent, environment
    if whole.parent.name != OVERLAYS or not (whole.parent.parent / BASE).is_dir():
        return directory, environment
    if environment not in (None, whole.name):
        raise EnvironmentClashError(clash(directory, whole.name, environment, said=said))
    is_plain = len(directory.parts) > 2 and directory.parts[-2] == OVERLAYS
    return (directory if is_plain else whole).parent.parent, whole.name


def clash(directory: PurePath, named: str, environment: str | None, *, said: str) -> str:
    """What to say of a directory that is the overlay `named`, when `said` chooses another environment."""
    return (
        f"{directory} is the environment {named}, and {said} says {environment}; nothing was read: "
        f"name the directory {directory.parent / str(environment)}, or leave {said} out"
    )


def layout(source: Source, environment: str | None) -> Layout | Diagnostic:
    """The files of the environment, or why there are none."""
    root, there = source.root, source.directories(source.root)
    if BASE not in there or OVERLAYS not in there:
        files = source.yaml_files(root)
        if below := [root / name for name in there if _is_layered(root / name, files)]:
            message = f"{root} has no {BASE}/ and {OVERLAYS}/, and a directory in it has them"
            return _about(root, message, f"did you mean {' or '.join(f'{path}/' for path in below)}?")
        if environment is None:
            return Layout(files)
        message = (
            f"{root}: there is no environment {environment}: the directory has no {BASE}/ and {OVERLAYS}/"
        )
        return _about(root, message, f"leave {EITHER} out, or create {OVERLAYS}/{environment}/")
    environments = source.directories(root / OVERLAYS)
    if environment is None or environment not in environments:
        return _not_chosen(root, environment, environments)
    patches = source.yaml_files(root / OVERLAYS / environment)
    return Layout(source.yaml_files(root / BASE), patches, tuple(map(_not_read, _stray(source))))


def environments(source: Source) -> tuple[str, ...]:
    """The overlays of a layered directory; none of a plain one."""
    is_layered = BASE in source.directories(source.root)
    return tuple(source.directories(source.root / OVERLAYS)) if is_layered else ()


def _is_layered(directory: Path, files: Sequence[Path]) -> bool:
    """True when some of the files, which are sorted, lie in its base/ and some in its overlays/."""
    starts = [f"{directory / name}/" for name in (BASE, OVERLAYS)]
    found = ((start, bisect_left(files, start, key=str)) for start in starts)
    return all(at < len(files) and str(files[at]).startswith(start) for start, at in found)


def _stray(source: Source) -> list[Path]:
    """YAML files beside base/ and overlays/, where nobody reads them."""
    return [path for path in source.yaml_files(source.root) if path.parent == source.root]


def _not_read(path: Path) -> Diagnostic:
    message = f"this file is not read: it stands beside {BASE}/ and {OVERLAYS}/"
    return Diagnostic(
        "not-read", Severity.WARNING, message, Position(path, 1, 1), f"move it to {BASE}/ or an overlay"
    )


def _not_chosen(root: Path, environment: str | None, environments: Sequence[str]) -> Diagnostic:
    listed = ", ".join(environments) or "none yet"
    if environment is None:
        hint = "choose one with --environment NAME or RECONCILE_ENVIRONMENT"
        return _about(root, f"{root} has overlays, and no environment is chosen; there are: {listed}", hint)
    message = f"{root}: there is no environment {environment}; there are: {listed}"
    return _about(root, message, did_you_mean(environment, environments))


def _about(root: Path, message: str, hint: str | None) -> Diagnostic:
    return error("environment", message, Position(root, 0, 0), hint)
