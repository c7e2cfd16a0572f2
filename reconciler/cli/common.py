"""What several verbs share: options, opening the runtime, telling errors.

Results go to standard output, everything else to standard error. An error that the user can do something about ends the
verb with its sentence and exit code 1; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import functools
import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from reconciler.expected import ExpectedError
from reconciler.model import Diagnostic
from reconciler.state import StateDirectory
from reconciler.targets.embedded import EmbeddedReader, EmbeddedTarget

if TYPE_CHECKING:
    from reconciler.applying.history import Author

P = ParamSpec("P")
R = TypeVar("R")

DONE, ERROR, CHANGES = 0, 1, 2


directory_argument = click.argument(
    "directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
format_option = click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)


def tells_errors(verb: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that a user can act on into one message and exit code 1."""

    @functools.wraps(verb)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except ExpectedError as error:
            from reconciler.rendering.text import printable

            raise click.ClickException("\n".join(map(printable, error.lines))) from error

    return told


def state_directory(ctx: click.Context) -> StateDirectory:
    """Where --state or RECONCILE_STATE points."""
    return StateDirectory.at(str(ctx.find_root().obj))


def open_reader(ctx: click.Context) -> EmbeddedReader:
    """The runtime of this state directory, to look at; connects at the first question."""
    return EmbeddedReader(state_directory(ctx))


def open_target(ctx: click.Context) -> EmbeddedTarget:
    """The runtime of this state directory, to change."""
    return EmbeddedTarget(state_directory(ctx))


def current_author(directory: Path) -> Author:
    """Who runs this command, from which commit of the files; those of an overlay are its base's too."""
    from reconciler.applying.history import Author, git_commit
    from reconciler.declared.layout import locate

    return Author(user=current_user(), commit=git_commit(locate(directory, None)[0]))


def current_user() -> str:
    """The name that a write is put down to."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def uses_colour() -> bool:
    """Colour only for a terminal, and never against NO_COLOR (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def terminal_width() -> int:
    """Columns of the terminal; 100 when there is none."""
    return max(60, os.get_terminal_size().columns) if sys.stdout.isatty() else 100


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_line(value: Mapping[str, Any]) -> None:
    """One JSON document on one line of standard output, at once."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_text(text: str, *, err: bool = False) -> None:
    """What `rendering/` made, ended by one line end."""
    click.echo(text.rstrip("\n"), err=err)


def say(text: str, *, err: bool = False) -> None:
    """One line for people, of whatever names, paths and errors stand in it: none of them moves the cursor, or fakes a
    second line."""
    from reconciler.rendering.text import printable

    click.echo(printable(text), err=err)


def print_note(text: str) -> None:
    """The same on standard error."""
    say(text, err=True)


def print_diagnostics(diagnostics: tuple[Diagnostic, ...], sources: Mapping[Path, str]) -> None:
    """All of them on standard error, with their lines and carets."""
    if diagnostics:
        from reconciler.rendering.diagnostics import render_diagnostics_text

        colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        print_text(render_diagnostics_text(diagnostics, sources, colour=colour), err=True)


def tell_interrupted(ctx: click.Context) -> None:
    """Mention applies that are not settled: the next one does that before its own plan."""
    from reconciler.applying.journal import JournalError, unfinished

    try:
        journals = unfinished(state_directory(ctx).journals)
    except JournalError as error:
        print_note(f"Warning: {error}.")
        return
    for journal in journals:
        then = "tries again" if journal.state.refused else "finishes it or rolls it back"
        print_note(f"{journal.state.unsettled}; the next `reconcile apply` {then}.")
