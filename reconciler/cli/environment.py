"""A state belongs to the environment that it was last applied from; another one is stopped, or told to who only looks.

The history says which that was. What has no environment binds nothing: of another directory there is a note. A plan
that does nothing is never stopped, a roll back neither: it goes to what was live here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import state_directory
from reconciler.cli.inputs import inputs_of
from reconciler.declared.layout import locate
from reconciler.expected import ExpectedError

if TYPE_CHECKING:
    from reconciler.applying.history import Entry

HOW_TO_SWITCH = "choose its own state with --state DIR, or apply it here once with --switch-environment"
_SWITCHES = "reconciler.environment.switches"


def _keep(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[_SWITCHES] = value


switch_option = click.option(
    "--switch-environment",
    is_flag=True,
    expose_value=False,
    callback=_keep,
    help="Go on though what is live was last applied from another environment.",
)


def refuse_other_environment(ctx: click.Context, directory: Path) -> None:
    """Raise ExpectedError when the state is another environment's, unless --switch-environment is given; note when it
    was last applied from another directory."""
    environment = locate(directory, inputs_of(ctx).environment)[1]
    history = state_directory(ctx).history
    if (wrong := other_environment(history, environment)) is not None and not ctx.meta.get(_SWITCHES):
        raise ExpectedError(f"{wrong}; nothing was changed: {HOW_TO_SWITCH}")
    if (note := _another_place(history, directory, environment)) is not None:
        click.echo(f"Note: {note}.", err=True)


def refuse_saved_elsewhere(ctx: click.Context, *, environment: str | None, made: str) -> None:
    """The same for a plan that was saved at this time (ISO 8601): saving it asked then, so only what was applied since
    counts."""
    history = state_directory(ctx).history
    wrong = other_environment(history, environment, since=made)
    if wrong is not None and not ctx.meta.get(_SWITCHES):
        raise ExpectedError(f"{wrong}; nothing was changed: {HOW_TO_SWITCH}")


def tell_other_environment(ctx: click.Context, directory: Path) -> None:
    """Warn whoever only looks; note when the state was last applied from another directory."""
    environment = locate(directory, inputs_of(ctx).environment)[1]
    history = state_directory(ctx).history
    if (wrong := other_environment(history, environment)) is not None:
        click.echo(f"Warning: {wrong}. Apply refuses that: {HOW_TO_SWITCH}.", err=True)
    elif (note := _another_place(history, directory, environment)) is not None:
        click.echo(f"Note: {note}.", err=True)


def other_environment(history: Path, environment: str | None, *, since: str = "") -> str | None:
    """What is wrong, when the newest apply was of another environment, and not before `since`."""
    from datetime import datetime

    last = _last(history)
    if last is None or last.environment in (None, environment):
        return None
    if since and datetime.fromisoformat(last.values["time"]) < datetime.fromisoformat(since):
        return None
    return f"{_said(last)}, and this is {_named(environment)}"


def _another_place(history: Path, directory: Path, environment: str | None) -> str | None:
    """What to note of a state that no environment binds."""
    last = _last(history)
    if last is None or last.environment is not None or "estate" not in last.values["origin"]:
        return None
    root = locate(directory, environment)[0]
    is_same = Path(last.values["origin"]["estate"]).resolve() == root.resolve()
    if is_same and environment is None:
        return None
    return f"{_said(last)}, and this is {_named(environment) if environment else root}"


def _last(history: Path) -> Entry | None:
    if not history.exists():
        return None
    from reconciler.applying.history import last_of_files

    return last_of_files(history)


def _said(last: Entry) -> str:
    from reconciler.rendering.history_text import estate_of

    values = last.values
    return (
        f"the live servers were last applied from {estate_of(values['origin'])} "
        f"(history entry {last.number}, by {values['user']} at {values['time']})"
    )


def _named(environment: str | None) -> str:
    return f"the environment {environment}" if environment else "an estate without environments"
