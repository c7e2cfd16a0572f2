"""What `plan` and `apply` do once there may be something to do: plan or tell why not, show it, and its exit code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.applying.hold import active
from reconciler.cli.common import (
    CHANGES,
    DONE,
    ERROR,
    print_diagnostics,
    print_json,
    state_directory,
    tell_interrupted,
)
from reconciler.cli.environment import refuse_other_environment, tell_other_environment
from reconciler.cli.formats import FINDINGS, print_findings, print_judged
from reconciler.cli.guardrails import tell_findings
from reconciler.cli.inputs import ahead_of, inputs_of
from reconciler.cli.selecting import prune_of, selection_of
from reconciler.declared.layout import locate
from reconciler.declared.outline import OutlineFile
from reconciler.declared.remarks import remarks
from reconciler.declared.source import DirectorySource
from reconciler.model import Diagnostic
from reconciler.pipeline import Planned, Rejected, guarded, plan_directory
from reconciler.rendering.diagnostics import diagnostics_json
from reconciler.targets.target import Reader
from reconciler.verdict import UNJUDGED

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard


def show_whole(
    ctx: click.Context,
    directory: Path,
    reader: Reader,
    *,
    output: str,
    guard: Guard,
    out: Path | None,
    outline: OutlineFile | None,
) -> int:
    """Plan, print, save it to `out` if that is asked for, and return the exit code. `outline`: where to leave what
    spares the next run all this, when there is nothing to do."""
    planned = plan_or_tell(ctx, directory, reader, output=output, guard=guard)
    if planned is None:
        return ERROR
    if not planned.plan.is_empty:
        (tell_other_environment if out is None else refuse_other_environment)(ctx, directory)
    if out is not None:
        from reconciler.cli.saved import save

        guard = replace(guard, environment=inputs_of(ctx).environment)
        save(planned, reader, directory, out, guard=guard)
    found = tell_remarks(planned, directory, output)
    tell_interrupted(ctx)
    print_plan(planned, output, found)
    if outline is not None and _is_at_rest(planned):
        outline.keep(planned.desired, files=planned.files, remarks=found)
    return exit_code(planned)


def _is_at_rest(planned: Planned) -> bool:
    """True when there is nothing to do and nothing to tell."""
    plan = planned.plan
    said = (plan.undeclared, plan.unreadable, plan.refused, plan.held, plan.uncompared, planned.diagnostics)
    return plan.is_empty and not any(said) and planned.judged is UNJUDGED


def plan_or_tell(
    ctx: click.Context, directory: Path, reader: Reader, *, output: str, guard: Guard | None = None
) -> Planned | None:
    """The plan, held against the policies that `guard` asks for; or None, when the files are broken and that has been
    told. Without a `guard` nobody will apply it, so it may say what an apply refuses."""
    planned = plan_directory(
        directory,
        reader,
        cache=state_directory(ctx).cache,
        inputs=inputs_of(ctx),
        selection=selection_of(ctx),
        prune=prune_of(ctx),
        holds=active(state_directory(ctx).holds),
        only_looks=guard is None,
        ahead=ahead_of(ctx, directory),
    )
    if guard is not None:
        planned = guarded(planned, directory, replace(guard, environment=inputs_of(ctx).environment))
    if output == "json" and isinstance(planned, Rejected):
        print_json(diagnostics_json(planned.diagnostics))
        return None
    if output in FINDINGS and isinstance(planned, Rejected):
        print_findings(planned.diagnostics, output, what="plan")
        return None
    print_diagnostics(planned.diagnostics, planned.sources)
    if isinstance(planned, Rejected):
        return None
    tell_findings(planned)
    return planned


def tell_remarks(planned: Planned, directory: Path, output: str) -> tuple[Diagnostic, ...]:
    """The warnings of `validate` about the files, on standard error; the formats that list findings have them there."""
    root, _ = locate(directory, None)
    found = remarks(planned.desired, DirectorySource(root))
    if output not in FINDINGS:
        print_diagnostics(found, {})
    return found


def print_plan(planned: Planned, output: str, found: tuple[Diagnostic, ...] = ()) -> None:
    """For people or for programs. `found`: remarks about the files."""
    print_judged(planned.plan, planned.judged, output, (*planned.diagnostics, *found))


def exit_code(planned: Planned) -> int:
    """2 for changes; 1 when a guardrail stands against the plan, or when part of the live state could not be read,
    which is not the same as nothing to do."""
    if planned.judged.verdict.is_blocking:
        return ERROR
    if not planned.plan.is_empty:
        return CHANGES
    return ERROR if planned.plan.unreadable else DONE
