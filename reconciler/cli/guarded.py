"""Guardrails where no files are planned: a saved plan and a roll back are held against the policies of their estate.

A saved plan says what it was held against; of a roll back the history does, by the newest apply of a directory. Options
add to that. What is judged is what would be live afterwards. Policies that are asked for and not there are an error.
The guardrails themselves are imported when a verb that needs them is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import JsonValue

from reconciler.applying.history import entries
from reconciler.cli.common import (
    print_diagnostics,
    print_note,
    state_directory,
)
from reconciler.cli.inputs import inputs_of
from reconciler.declared.layout import POLICIES, locate
from reconciler.expected import ExpectedError
from reconciler.model import Desired, LiveState, Position
from reconciler.pipeline import Planned, has_errors
from reconciler.planning.afterwards import Surroundings, afterwards
from reconciler.saved.check import Remaining
from reconciler.saved.document import Guarding, SavedPlan
from reconciler.verdict import Judged

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard


def guarding_of(guard: Guard, directory: Path, desired: Desired) -> Guarding:
    """What a plan of the directory was held against, to be kept with it."""
    root, environment = locate(directory, guard.environment)
    return Guarding(
        policies=tuple(_kept(one) for one in guard.policies),
        labels=guard.labels,
        environment=environment,
        has_own=_is_there(root / POLICIES),
        resources={key: one.labels for key, one in desired.resources.items() if one.labels},
        allowed={key: one.allowed for key, one in desired.resources.items() if one.allowed},
    )


def origin_of(guard: Guard, directory: Path) -> Mapping[str, JsonValue]:
    """Where an apply of the directory comes from, for the history: enough to hold its roll back against the same."""
    root, environment = locate(directory, guard.environment)
    found: dict[str, JsonValue] = {
        "estate": str(root.absolute()),
        "environment": environment,
        "policies": [_kept(one) for one in guard.policies],
        "labels": dict(guard.labels),
        "hasPolicies": _is_there(root / POLICIES),
    }
    return {name: value for name, value in found.items() if value}


def origin_of_reference(guard: Guard, ref: str, directory: Path, repository: Path) -> Mapping[str, JsonValue]:
    """The same for `directory` at a reference of a clone, which no checkout needs to have."""
    found: dict[str, JsonValue] = {
        "repository": str(repository.absolute()),
        "ref": ref,
        "directory": str(directory),
        "environment": guard.environment,
        "policies": [_kept(one) for one in guard.policies],
        "labels": dict(guard.labels),
    }
    return {name: value for name, value in found.items() if value}


def origin_of_saved(saved: SavedPlan, guard: Guard) -> Mapping[str, JsonValue]:
    """The same for a saved plan, with its digest."""
    asked = _again(saved, guard)
    found: dict[str, JsonValue] = {
        "savedPlan": saved.digest,
        "estate": str(saved.origin.estate),
        "environment": asked.environment,
        "policies": [_kept(one) for one in asked.policies],
        "labels": dict(asked.labels),
        "hasPolicies": saved.guarding.has_own,
    }
    return {name: value for name, value in found.items() if value}


def planned_again(
    saved: SavedPlan, remaining: Remaining, live: LiveState, guard: Guard, *, file: Path
) -> Planned:
    """What is left of a saved plan, held against the policies that it was made with, those of its estate as they are
    now, and those that `guard` adds. Raises ExpectedError when they are not there."""
    planned = Planned(remaining.desired, live, remaining.plan, (), {}, {})
    guarding = saved.guarding
    estate = _estate(saved.origin.estate, has_own=guarding.has_own, what="this plan")
    undeclared = frozenset(saved.plan.undeclared)
    around = Surroundings(
        elsewhere=Position(file, 1, 1),
        labels=guarding.resources,
        counts=lambda key: key not in undeclared,
        allowed=guarding.allowed,
    )
    if estate is None and not remaining.plan.is_empty:
        print_note(
            f"{saved.origin.estate} is not there, so policies that it may have by now were not asked; "
            "--estate DIR says where it is."
        )
    return _judged(planned, _again(saved, guard), estate, around)


def judged_return(
    ctx: click.Context, planned: Planned, guard: Guard, estate: Path | None, *, elsewhere: Position
) -> Planned:
    """A plan that goes back, held against the policies of the estate: `estate`, or what the newest apply was of. Raises
    ExpectedError when they are not there, or the files beside them are broken."""
    inputs = inputs_of(ctx)
    origin = _newest_origin(ctx)
    recorded_environment: str | None = origin.get("environment")
    environment = inputs.environment or recorded_environment
    asked = _merged(guard, tuple(origin.get("policies", ())), origin.get("labels", {}), environment)
    if estate is None:
        if "repository" in origin and not planned.plan.is_empty:
            raise ExpectedError(
                f"the newest apply was of {origin['directory']} at {origin['ref']} of the repository "
                f"{origin['repository']}; check that out and name it with --estate DIR, so that its policies are asked"
            )
        recorded = Path(origin["estate"]) if "estate" in origin else None
        root = _estate(recorded, has_own=bool(origin.get("hasPolicies")), what="the newest apply")
    else:
        root, environment = locate(estate, inputs.environment)
        environment = environment or recorded_environment
        asked = replace(asked, environment=environment)
    if root is None and not (asked.policies or planned.plan.is_empty):
        click.echo(
            "The history has no apply of a directory, so no policies were asked; "
            "--estate DIR and --policies name some.",
            err=True,
        )
    if root is None or not asked.load(root).policies:
        return _judged(planned, asked, root, Surroundings(elsewhere))
    declared = _declared(ctx, root, asked)
    around = Surroundings(
        elsewhere=elsewhere,
        labels={key: one.labels for key, one in declared.resources.items() if one.labels},
        counts=declared.resources.__contains__,
        allowed={key: one.allowed for key, one in declared.resources.items() if one.allowed},
    )
    return _judged(planned, asked, root, around)


def _judged(planned: Planned, guard: Guard, estate: Path | None, around: Surroundings) -> Planned:
    """Without lines of files beside the findings: they may say something else by now."""
    whole = afterwards(planned.plan, writes=planned.desired, live=planned.live, around=around)
    judged = guard.judge(replace(planned, desired=whole), estate)
    return replace(planned, judged=Judged(judged.verdict))


def _again(saved: SavedPlan, guard: Guard) -> Guard:
    guarding = saved.guarding
    return _merged(guard, guarding.policies, guarding.labels, guarding.environment)


def _merged(
    guard: Guard, policies: tuple[str, ...], labels: Mapping[str, str], environment: str | None
) -> Guard:
    return replace(
        guard,
        policies=tuple(dict.fromkeys((*policies, *guard.policies))),
        labels={**labels, **guard.labels},
        environment=environment,
    )


def _estate(directory: Path | None, *, has_own: bool, what: str) -> Path | None:
    """The directory, if it is here. Raises ExpectedError when its policies are needed and gone."""
    if directory is None or (_is_there(directory) and (_is_there(directory / POLICIES) or not has_own)):
        return directory
    if not has_own:
        return None
    raise ExpectedError(
        f"{what} was held against the policies of {directory}, and they are not there; "
        "say with --estate DIR where the files of the estate are now"
    )


def _newest_origin(ctx: click.Context) -> Mapping[str, Any]:
    """Of the newest apply that was of a directory, or of a git reference; empty when there is none."""
    found: Mapping[str, Any] = {}
    for entry in entries(state_directory(ctx).history):
        origin = entry.values.get("origin") or {}
        if "estate" in origin or "repository" in origin:
            found = origin
    return found


def _declared(ctx: click.Context, root: Path, asked: Guard) -> Desired:
    """The files beside the policies: they say which labels a resource has, and which warnings it allows."""
    from reconciler.declared.load import load

    loaded = load(
        root,
        cache=state_directory(ctx).cache,
        environment=asked.environment,
        variables=inputs_of(ctx).variables,
        policies=asked.directories,
    )
    if loaded.desired is None or has_errors(loaded.diagnostics):
        print_diagnostics(loaded.diagnostics, loaded.sources)
        raise ExpectedError(
            f"policies may ask for labels, and the files of {root} that say them are broken; correct them, "
            "or name a directory that is whole with --estate DIR"
        )
    return loaded.desired


def _kept(policies: str) -> str:
    """As it is found again from another working directory."""
    from reconciler.guardrails.guard import SHIPPED_WORD

    return policies if policies == SHIPPED_WORD else str(Path(policies).absolute())


def _is_there(directory: Path) -> bool:
    """What may not be looked at is not there for us."""
    try:
        return directory.is_dir()
    except OSError:
        return False
