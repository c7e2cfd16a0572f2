"""A state belongs to the environment that it was last applied from; another one is stopped, or told to who only looks.

The history says which that was. What has no environment binds nothing. Of another directory there is a note, unless
it is the same estate in another place: a clone that has the commit, or where the other place is gone. A plan that does
nothing is never stopped, and gives the state away only when that is asked for; a roll back is not stopped either: it
goes to what was live here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.common import print_note, state_directory
from reconciler.cli.inputs import inputs_of, said_by
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
        print_note(f"Note: {note}.")


def switch_to(ctx: click.Context, directory: Path) -> str | None:
    """What the state is given to, when --switch-environment is given and it is not that one's: worth an apply, whether
    the plan does anything or not."""
    environment = locate(directory, inputs_of(ctx).environment)[1]
    last = _last(state_directory(ctx).history)
    if not asks_to_switch(ctx) or environment == (last.environment if last is not None else None):
        return None
    return _named(environment)


def asks_to_switch(ctx: click.Context) -> bool:
    """True when --switch-environment is given."""
    return bool(ctx.meta.get(_SWITCHES))


def refuse_other_choice(ctx: click.Context, saved: str | None) -> None:
    """Raise ExpectedError when the run chooses another environment than a saved plan was made for."""
    chosen = inputs_of(ctx).environment
    if chosen is not None and chosen != saved:
        raise ExpectedError(
            f"the plan was made for {_named(saved)}, and {said_by(ctx)} says {chosen}; nothing was changed: "
            f"leave {said_by(ctx)} out, or make a plan of that environment"
        )


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
        print_note(f"Warning: {wrong}. Apply refuses that: {HOW_TO_SWITCH}.")
    elif (note := _another_place(history, directory, environment)) is not None:
        print_note(f"Note: {note}.")


def other_environment(history: Path, environment: str | None, *, since: str = "") -> str | None:
    """What is wrong, when the newest apply was of another environment, and not before `since`."""
    from datetime import datetime

    last = _last(history)
    if last is None or last.environment in (None, environment):
        return None
    if since and datetime.fromisoformat(last.values["time"]) < datetime.fromisoformat(since):
        return None
    return f"{_said(last)}, and this is {_named(environment)}"


def back_at(history: Path, number: int) -> tuple[str | None, str | None]:
    """The environment whose files were live after this entry, and what to note when another one's are now."""
    from reconciler.applying.history import last_of_files

    then, now = last_of_files(history, at=number), last_of_files(history)
    if then is None:
        return None, None
    if now is None or then.environment == now.environment:
        return then.environment, None
    return then.environment, (
        f"history entry {number} was applied from {_named(then.environment)}, "
        f"and what is live now from {_named(now.environment)}"
    )


def _another_place(history: Path, directory: Path, environment: str | None) -> str | None:
    """What to note of a state that is not another environment's."""
    last = _last(history)
    if last is None or last.environment not in (None, environment):
        return None
    if last.environment != environment:
        return f"{_said(last)}, and this is {_named(environment)}"
    root = locate(directory, environment)[0]
    return None if _is_same_estate(last, root) else f"{_said(last)}, and this is {root}"


def _is_same_estate(last: Entry, root: Path) -> bool:
    """True unless it is known to be another one."""
    origin = last.values["origin"]
    place = Path(origin["estate"] if "estate" in origin else origin["directory"])
    if not place.is_absolute() or place.resolve() == root.resolve():
        return True
    known = _has_commit(root, place, last.values.get("commit"))
    return known if known is not None else _is_gone(place)


def _is_gone(place: Path) -> bool:
    """What may not be looked at is there, as far as anybody knows."""
    try:
        return not place.is_dir()
    except OSError:
        return False


def _has_commit(root: Path, place: Path, commit: str | None) -> bool | None:
    """Whether it is a clone of what was at that place, by the commit and by where in it the estate lies. None when that
    cannot be told: outside of git, or where not all commits are there."""
    from reconciler.review.git import GitError, Repository

    if not commit:
        return None
    try:
        repository = Repository.holding(root)
        below = repository.prefix(root).parts
    except GitError:
        return None
    if below != place.parts[len(place.parts) - len(below) :]:
        return False
    try:
        repository.commit(commit.removesuffix("+"))
    except GitError:
        return None if repository.is_shallow else False
    return True


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
