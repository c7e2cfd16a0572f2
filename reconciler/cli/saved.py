"""Saved plans: `plan --out FILE` writes one, `plan show FILE` looks at one, `apply FILE` carries it out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.applying.hold import active
from reconciler.cli.common import (
    DONE,
    ERROR,
    current_author,
    open_reader,
    print_note,
    print_text,
    say,
    state_directory,
    tells_errors,
)
from reconciler.cli.formats import plan_format_option, print_rendered
from reconciler.cli.guarded import guarding_of, planned_again
from reconciler.cli.guardrails import guardrail_options, tell_findings
from reconciler.cli.selecting import prune_of, selection_of
from reconciler.declared.layout import locate
from reconciler.expected import ExpectedError
from reconciler.model import LiveState, Plan, Prune
from reconciler.pipeline import Planned
from reconciler.rendering.text import printable
from reconciler.saved import document
from reconciler.saved.admit import admit, instance_of
from reconciler.saved.check import Remaining
from reconciler.saved.document import SavedPlan
from reconciler.saved.save import new_origin, saved_plan
from reconciler.saved.used import UsedPlans
from reconciler.state import StateDirectory
from reconciler.targets.target import NotRunningError, Reader

if TYPE_CHECKING:
    from reconciler.guardrails.guard import Guard

estate_option = click.option(
    "--estate",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the files of the estate are now, if not where a saved plan was made.",
)


def save(planned: Planned, reader: Reader, directory: Path, out: Path, *, guard: Guard) -> None:
    """Write the plan to `out`, all or nothing. Raises ExpectedError when a guardrail stands against it."""
    if planned.judged.verdict.is_blocking:
        raise ExpectedError(f"{out} was not written: a guardrail stands against this plan")
    author = current_author(directory)
    origin = new_origin(
        instance=instance_of(reader),
        estate=locate(directory, None)[0].absolute(),
        made_by=author.user,
        commit=author.commit,
    )
    saved = saved_plan(
        planned.plan, desired=planned.desired, live=planned.live, digests=planned.digests, origin=origin
    )
    saved = replace(saved, guarding=guarding_of(guard, directory, planned.desired))
    _write(out, document.written(saved, reader.digest_key()))
    print_note(f"Saved as {out}; `reconcile apply {out}` does this and nothing else.")


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise ExpectedError(f"{path} cannot be written: {error.strerror}") from error


def used_plans(state: StateDirectory) -> UsedPlans:
    """Where a state directory keeps which plans were applied."""
    return UsedPlans(state.used_plans)


def admitted(ctx: click.Context, saved: SavedPlan, reader: Reader) -> tuple[Remaining, LiveState]:
    """What is left to do now of a saved plan. Raises SavedPlanError."""
    state = state_directory(ctx)
    return admit(saved, reader, used_plans(state), holds=active(state.holds))


def refuse_incomplete(plan: Plan) -> None:
    """Raise ExpectedError for a plan that was made without knowing all that is live."""
    if not plan.is_complete:
        key, error = plan.unreadable[0]
        more = f", and {len(plan.unreadable) - 1} more" if len(plan.unreadable) > 1 else ""
        raise ExpectedError(
            f"this plan is incomplete and nothing was changed: {key} cannot be read ({error}){more}; "
            f"correct that, or leave it out with --exclude {key}"
        )


def refuse_options(ctx: click.Context) -> None:
    """Raise ExpectedError when a saved plan is to be narrowed or widened: it is carried out as it is."""
    if selection_of(ctx).is_partial or prune_of(ctx) != Prune():
        raise ExpectedError(
            "a saved plan is carried out as it is; give these options to `reconcile plan --out`"
        )


def tell_already(remaining: Remaining) -> None:
    """Say what of the plan is so without us."""
    for key in remaining.already:
        print_note(f"{key} is so already.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@estate_option
@guardrail_options
@plan_format_option
@click.pass_context
@tells_errors
def show(ctx: click.Context, file: Path, estate: Path | None, guard: Guard, output: str) -> int:
    """Show a saved plan, and whether it could be applied now, as the guardrails are now.

    Works on a stale or used plan, and without a runtime. Exit code 0: it could be applied; 1: it could not.
    """
    saved = document.read(file, estate=estate)
    print_rendered(saved.plan, output)
    verdict, is_good = _verdict(ctx, saved, guard, file)
    who = f"Made by {saved.origin.made_by} at {saved.origin.made} for the runtime {saved.origin.instance}."
    say(who, err=output != "text")
    say(f"Digest {saved.digest}", err=output != "text")
    print_text(verdict, err=output != "text")
    return DONE if is_good else ERROR


def _verdict(ctx: click.Context, saved: SavedPlan, guard: Guard, file: Path) -> tuple[str, bool]:
    try:
        with open_reader(ctx) as reader:
            remaining, live = admitted(ctx, saved, reader)
        planned = planned_again(saved, remaining, live, guard, file=file)
    except NotRunningError as error:
        return printable(f"Whether it can be applied is not known: {error}"), False
    except ExpectedError as error:
        first, *below = map(printable, error.lines)
        return "\n".join((f"It cannot be applied: {first}", *below)), False
    tell_findings(planned)
    if planned.judged.verdict.is_blocking:
        return "It cannot be applied: a guardrail stands against it.", False
    if remaining.already:
        return f"It can be applied; {len(remaining.already)} of its changes are so already.", True
    return "It can be applied.", True
